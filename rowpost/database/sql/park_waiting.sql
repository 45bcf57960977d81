/*
Park changes that a trigger which has ended does not hand out: at most a chunk of those that have a lease, and one of those that have
none. The watchdog adopts what is parked. A change of unwatched columns is marked as done.

Parameters: 1. @to, the newest version to take. Result set: how many were parked.
Locks: the trigger's lock and the leases, until COMMIT.
If the connection dies: each chunk is parked wholly or not at all; the next look goes on.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @to bigint = ?, @lock int, @rows int;
{watch_base}
{recent}
BEGIN TRANSACTION;
{take_trigger_lock}
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint = {cursor};
UPDATE TOP ({chunk_rows}) l
   SET _az_func_ChangeVersion = c.SYS_CHANGE_VERSION,
       _az_func_AttemptCount = CASE WHEN {skipped_by} IS NULL THEN {never_handed_out} ELSE 0 END,
       _az_func_LeaseExpirationTime = CASE WHEN {skipped_by} IS NULL THEN DATEADD(hour, 1, @now) END
  FROM {leases} l
  JOIN CHANGETABLE(CHANGES {table}, @last) c ON {same_key_l_c}
  {join_watched_c}
 WHERE c.SYS_CHANGE_VERSION <= @to AND {waits_for_the_trigger};
SET @rows = @@ROWCOUNT;
INSERT INTO {leases} ({key_columns}, _az_func_ChangeVersion, _az_func_AttemptCount, _az_func_LeaseExpirationTime)
SELECT TOP ({chunk_rows}) {key_of_c}, c.SYS_CHANGE_VERSION,
       CASE WHEN {skipped_by} IS NULL THEN {never_handed_out} ELSE 0 END,
       CASE WHEN {skipped_by} IS NULL THEN DATEADD(hour, 1, @now) END
  FROM CHANGETABLE(CHANGES {table}, @last) c
  {join_watched_c}
 WHERE c.SYS_CHANGE_VERSION <= @to
   AND NOT EXISTS (SELECT 1 FROM {leases} l WHERE {same_key_l_c})
 ORDER BY c.SYS_CHANGE_VERSION;
SELECT @rows + @@ROWCOUNT;
COMMIT;
