/*
Take rows from the trigger and give them to recovery: rows that were parked, or handed out again and again without an outcome.

Parameters: 1. @rows, a JSON array of objects: key; keyHash and rowKey; version and attemptCount, as they stand in the lease.
Locks: the trigger's lock, the leases and the records, until COMMIT.
If the connection dies: nothing was written; the next look finds the same.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @rows nvarchar(max) = ?, @lock int;
BEGIN TRANSACTION;
{take_trigger_lock}
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME();
-- Released for the trigger, so that it does not fail on the row again; recovery redelivers it from the ledger, by its true key.
UPDATE l
   SET _az_func_AttemptCount = 0, _az_func_LeaseExpirationTime = NULL
  FROM {leases} l
  JOIN OPENJSON(@rows) WITH ({key_from_item}, version bigint '$.version', attemptCount int '$.attemptCount') k ON {same_key_l_k}
 WHERE l._az_func_ChangeVersion = k.version
   AND l._az_func_AttemptCount = k.attemptCount
   AND (l._az_func_AttemptCount < 0 OR l._az_func_LeaseExpirationTime < @now);
-- A row that was never handed out is due at once. One that failed to come back has a round to wait.
DECLARE @adopted TABLE (
    KeyHash  char(64)       NOT NULL PRIMARY KEY,
    RowKey   nvarchar(max)  NOT NULL,
    Version  bigint         NOT NULL,
    State    varchar(10)    NOT NULL,
    Attempts int            NOT NULL,
    Reason   nvarchar(400)  NOT NULL
);
INSERT INTO @adopted (KeyHash, RowKey, Version, State, Attempts, Reason)
SELECT s.keyHash, s.rowKey, s.version,
       CASE s.attemptCount WHEN {never_handed_out} THEN {to_taken_over} ELSE {to_adopted} END,
       CASE s.attemptCount WHEN {never_handed_out} THEN 0 ELSE ABS(s.attemptCount) END,
       CASE s.attemptCount WHEN {never_handed_out} THEN N'{not_tried}: the trigger stands still' ELSE {unsettled} END
  FROM OPENJSON(@rows)
       WITH (keyHash char(64) '$.keyHash', rowKey nvarchar(max) '$.rowKey', version bigint '$.version',
             attemptCount int '$.attemptCount') s;
UPDATE g
   SET FirstFailure = CASE g.State WHEN 'dead' THEN @utc ELSE g.FirstFailure END,
       Rounds = CASE g.State WHEN 'dead' THEN 0 ELSE g.Rounds END,
       ChangeVersion = CASE WHEN a.Version > g.ChangeVersion THEN a.Version ELSE g.ChangeVersion END,
       State = a.State,
       Attempts = g.Attempts + a.Attempts,
       LastFailure = @utc,
       NextAttempt = @utc,
       LastError = a.Reason,
       ErrorClass = 'other'
  FROM rowpost.Ledger g
  JOIN @adopted a ON g.KeyHash = a.KeyHash
 WHERE g.Relay = {relay}
   AND g.State IN ({from_adopted})
   AND (g.State <> 'dead' OR g.ChangeVersion < a.Version);
-- A record that recovery has in hand already stands for the newer change too, also when its window ends.
UPDATE g
   SET ChangeVersion = a.Version
  FROM rowpost.Ledger g
  JOIN @adopted a ON g.KeyHash = a.KeyHash
 WHERE g.Relay = {relay} AND g.State <> 'dead' AND g.State NOT IN ({from_adopted}) AND g.ChangeVersion < a.Version;
INSERT INTO rowpost.Ledger (Relay, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds, FirstFailure,
                            LastFailure, NextAttempt, LastError, ErrorClass, Noticed)
SELECT {relay}, a.KeyHash, a.RowKey, a.Version, 'U', a.State, a.Attempts, 0, @utc, @utc, @utc, a.Reason, 'other', 0
  FROM @adopted a
 WHERE NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.KeyHash = a.KeyHash);
COMMIT;
