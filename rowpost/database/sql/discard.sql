/*
An order: give up the present change of some rows for good; one chunk of them. Their records are removed and their leases released, so
that the trigger's cursor may pass them. A change that is newer than the record is sent as usual. A row that somebody posts at this
moment is left as it is.

A chunk is chosen without any lock, in the order of the key hashes, and begins where the one before ended.

Parameters: 1. @token, of the order. 2. @started, when it was given: a row that fails since then is left. 3. @after, where the chunk
before ended; '' at first. 4. @hashes, 5. @states and 6. @classes, JSON arrays, 7. @from and 8. @to, UTC: which rows; NULL is any.
Result set: where the chunk ended if it was full, else NULL; how many rows were discarded, how many of them were waiting, and how many
were left since they are being posted.
Locks: the trigger's lock, the leases and the records of the chunk, until COMMIT.
If the connection dies: the chunk is discarded wholly or not at all; the order may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @token char(36) = ?, @started datetime2(7) = ?, @after char(64) = ?;
DECLARE @hashes nvarchar(max) = ?, @states nvarchar(max) = ?, @classes nvarchar(max) = ?, @from datetime2(7) = ?, @to datetime2(7) = ?;
DECLARE @lock int, @found int, @busy int, @waiting int, @changed bigint, @end char(64);
DECLARE @rows TABLE (
    KeyHash       char(64)    NOT NULL PRIMARY KEY,
    State         varchar(10) NOT NULL,
    ChangeVersion bigint      NOT NULL,
    Resync        char(36)    NULL
);
INSERT INTO @rows (KeyHash, State, ChangeVersion, Resync)
SELECT TOP ({chunk_rows}) g.KeyHash, g.State, g.ChangeVersion, g.Resync
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay} AND g.KeyHash > @after AND g.LastFailure <= @started AND {selected}
 ORDER BY g.KeyHash;
SELECT @found = COUNT(*), @end = MAX(KeyHash) FROM @rows;
IF @found < {chunk_rows} SET @end = NULL;
BEGIN TRANSACTION;
{take_trigger_lock}
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME();
DELETE r
  FROM @rows r
 WHERE NOT EXISTS (SELECT 1
                     FROM rowpost.Ledger g
                    WHERE g.Relay = {relay} AND g.KeyHash = r.KeyHash AND g.State = r.State
                      AND g.ChangeVersion = r.ChangeVersion AND g.LastFailure <= @started);
DELETE r
  FROM @rows r
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = r.KeyHash
 CROSS APPLY {key_of_record} k
  JOIN {leases} l ON {same_key_l_k}
 WHERE l._az_func_AttemptCount > 0
   AND l._az_func_LeaseExpirationTime >= @now
   AND (l._az_func_ChangeVersion <= g.ChangeVersion OR l._az_func_ChangeVersion = {redelivered_version});
SET @busy = @@ROWCOUNT;
-- A lease of a newer change is left alone. That of a redelivery which ended without an outcome gets a version of the row again.
UPDATE l
   SET _az_func_ChangeVersion = CASE WHEN l._az_func_ChangeVersion < {redelivered_version} THEN l._az_func_ChangeVersion
                                     WHEN v.SYS_CHANGE_VERSION < g.ChangeVersion THEN v.SYS_CHANGE_VERSION
                                     ELSE g.ChangeVersion END,
       _az_func_AttemptCount = 0,
       _az_func_LeaseExpirationTime = NULL
  FROM @rows r
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = r.KeyHash
 CROSS APPLY {key_of_record} k
  JOIN {leases} l ON {same_key_l_k}
 OUTER APPLY CHANGETABLE(VERSION {table}, ({key_columns}), ({key_of_k})) v
 WHERE l._az_func_LeaseExpirationTime IS NOT NULL
   AND (l._az_func_ChangeVersion <= g.ChangeVersion OR l._az_func_ChangeVersion = {redelivered_version});
-- An incident tells at its end what became of its rows; so does a resync, whose end the target is not told if a row of it is missing.
UPDATE m
   SET DiscardedAt = @utc
  FROM rowpost.IncidentRows m
  JOIN @rows r ON r.KeyHash = m.KeyHash
 WHERE m.Relay = {relay};
UPDATE s
   SET GivenUp = COALESCE(s.GivenUp, 0) + (SELECT COUNT(*) FROM @rows r WHERE r.Resync = s.Resync)
  FROM rowpost.Resyncs s
 WHERE s.Relay = {relay} AND s.State IN ({open_resyncs}) AND s.Resync IN (SELECT r.Resync FROM @rows r);
DELETE g
  FROM rowpost.Ledger g
  JOIN @rows r ON r.KeyHash = g.KeyHash
 WHERE g.Relay = {relay} AND g.State IN ({from_discarded});
SET @changed = @@ROWCOUNT;
SET @waiting = (SELECT COUNT(*) FROM @rows WHERE State <> 'dead');
{count_changed}
COMMIT;
SELECT @end, @changed, @waiting, @busy;
