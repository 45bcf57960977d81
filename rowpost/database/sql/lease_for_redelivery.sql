/*
Lease detached rows that are due, for recovery to post them: whoever posts a row holds its lease. None while the relay is paused.

Only the version in such a lease is one that no advance of the trigger's cursor reaches: the cursor may be past the row, and would
take a lease of its version away.

Parameters: 1. @lease, the length of the leases in seconds.
Result set: for each row: its key as JSON, its key hash, the version for its event, the tracked version for its lease, and the resync for
whose sake it is sent, NULL if it is sent for its own. First those that are due for longest: they are read first.
Locks: the trigger's lock, the leases and the records, until COMMIT.
If the connection dies: nothing was written, or the leases lapse; the rows are redelivered later.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @lease int = ?, @lock int;
DECLARE @next TABLE (KeyHash char(64) NOT NULL PRIMARY KEY);
DECLARE @due TABLE (KeyHash char(64) NOT NULL PRIMARY KEY, Tracked bigint NULL);
-- Some more than are taken, since a newer change of a row may be in the hands of the trigger.
INSERT INTO @next (KeyHash)
SELECT TOP (2 * {at_most}) g.KeyHash
  FROM rowpost.Ledger g
 CROSS APPLY {key_of_record} k
 WHERE g.Relay = {relay} AND g.State = 'detached' AND g.NextAttempt <= SYSUTCDATETIME()
   AND NOT EXISTS (SELECT 1 FROM rowpost.Relays r WHERE r.Relay = {relay} AND r.PausedAt IS NOT NULL)
   AND {key_present_in_k}  -- a table made anew may have another key
 ORDER BY g.NextAttempt;
BEGIN TRANSACTION;
{take_trigger_lock}
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint = {cursor};
INSERT INTO @due (KeyHash, Tracked)
SELECT TOP ({at_most}) x.KeyHash, x.Version
  FROM (SELECT g.KeyHash, g.NextAttempt, v.SYS_CHANGE_VERSION AS Version,
               -- Two spellings of one key may each have a record; one at a time.
               ROW_NUMBER() OVER (PARTITION BY {key_of_k} ORDER BY g.ChangeVersion DESC, g.KeyHash) AS Number
          FROM @next n
          JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = n.KeyHash
         CROSS APPLY {key_of_record} k
          LEFT JOIN {leases} l ON {same_key_l_k}
         OUTER APPLY CHANGETABLE(VERSION {table}, ({key_columns}), ({key_of_k})) v
         WHERE g.State = 'detached' AND g.NextAttempt <= SYSUTCDATETIME() AND {lost_to_the_trigger}) x
 WHERE x.Number = 1
 ORDER BY x.NextAttempt;
-- A newer change belongs to the ledger from now on: its lease will say that it is done with.
UPDATE g
   SET ChangeVersion = d.Tracked, LastTried = NULL, LastStatus = NULL, LastError = N'{not_tried}: the row has changed',
       ErrorClass = 'other'
  FROM @due d
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = d.KeyHash
 WHERE d.Tracked > g.ChangeVersion;
UPDATE l
   SET _az_func_ChangeVersion = {redelivered_version},
       _az_func_AttemptCount = 1,
       _az_func_LeaseExpirationTime = DATEADD(second, @lease, @now)
  FROM @due d
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = d.KeyHash
 CROSS APPLY {key_of_record} k
  JOIN {leases} l ON {same_key_l_k};
INSERT INTO {leases} ({key_columns}, _az_func_ChangeVersion, _az_func_AttemptCount, _az_func_LeaseExpirationTime)
SELECT {key_of_k}, {redelivered_version}, 1, DATEADD(second, @lease, @now)
  FROM @due d
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = d.KeyHash
 CROSS APPLY {key_of_record} k
 WHERE NOT EXISTS (SELECT 1 FROM {leases} l WHERE {same_key_l_k});
-- The version of the event is that of the last change of the row, or the later one that a resync has given it.
SELECT g.RowKey, g.KeyHash, CASE WHEN d.Tracked > g.ChangeVersion THEN d.Tracked ELSE g.ChangeVersion END, COALESCE(d.Tracked, 0),
       CASE WHEN g.ResyncVersion = g.ChangeVersion THEN g.Resync END
  FROM @due d
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = d.KeyHash
 ORDER BY g.NextAttempt, g.KeyHash;
COMMIT;
