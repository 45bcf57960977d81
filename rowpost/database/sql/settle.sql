/*
Settle a batch in which something failed: leases, ledger and circuit breaker in one transaction, as the last thing before the
function raises.

Each lease is touched only if its version and count are still those that the claim saw: a row that another worker has taken meanwhile
is left to it.

Parameters: 1. @rows, a JSON array of objects, one for each row: key; keyHash and rowKey; version, of the event; leaseVersion and
attemptCount, as the claim saw them; trackedVersion, for the lease; lease, the action, and waitSeconds; operation; state, attempts;
retryAfterSeconds; status, error, class; clears, whether its record is to go; tried, whether the target was asked;
snapshot, the resync for whose sake it was sent; milliseconds, how long the target took. 2. @redelivered: 1 if
recovery posted the rows, under leases of its own. 3. @epoch, as the claim saw it. 4. @trace, in which the rows were posted. 5. to 9. the
circuit breaker; the first is -1 if it stays as it is.
Locks: the trigger's lock, the leases and records of the batch, and the target's row of rowpost.Targets, until COMMIT: a few
milliseconds for a hundred rows.
If the connection dies: nothing was written; the leases lapse within a minute and the rows come again.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @rows nvarchar(max) = ?, @redelivered int = ?, @epoch bigint = ?, @trace char(32) = ?, @lock int;
DECLARE @failures int = NULLIF(?, -1), @openings int = ?, @open_seconds int = ?, @seen_openings int = ?, @added int = ?;
BEGIN TRANSACTION;
{take_trigger_lock}
{guard_epoch}
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME();
-- The trigger sweeps leases only when its cursor moves, and all at once: those of recovery that it does not need are removed here.
IF @redelivered = 1
    DELETE l
      FROM {leases} l
      JOIN OPENJSON(@rows)
           WITH ({key_from_item}, leaseVersion bigint '$.leaseVersion', trackedVersion bigint '$.trackedVersion',
                 attemptCount int '$.attemptCount') k
        ON {same_key_l_k}
     WHERE l._az_func_ChangeVersion = k.leaseVersion
       AND l._az_func_AttemptCount = k.attemptCount
       AND k.trackedVersion <= {cursor};
UPDATE l
   SET _az_func_ChangeVersion = k.trackedVersion,
       _az_func_AttemptCount = CASE k.lease WHEN 'hand_back' THEN k.attemptCount - 1 ELSE 0 END,
       _az_func_LeaseExpirationTime = CASE k.lease WHEN 'release' THEN NULL
                                                   WHEN 'hold' THEN DATEADD(second, k.waitSeconds, @now)
                                                   ELSE l._az_func_LeaseExpirationTime END
  FROM {leases} l
  JOIN OPENJSON(@rows)
       WITH ({key_from_item}, leaseVersion bigint '$.leaseVersion', trackedVersion bigint '$.trackedVersion',
             attemptCount int '$.attemptCount', lease varchar(10) '$.lease', waitSeconds int '$.waitSeconds') k
    ON {same_key_l_k}
 WHERE l._az_func_ChangeVersion = k.leaseVersion AND l._az_func_AttemptCount = k.attemptCount;
{remove_delivered}
{update_breaker}
-- Who fails for the first time after the breaker has closed begins anew: its rounds were those of an outage that is over.
DECLARE @closed_at datetime2(7) = (SELECT ClosedAt FROM rowpost.Targets WHERE App = {app} AND Target = {target});
UPDATE g
   SET FirstFailure = CASE g.State WHEN 'dead' THEN @utc ELSE g.FirstFailure END,
       Rounds = CASE WHEN g.State = 'dead' OR (g.LastFailure < @closed_at AND {about_the_target}) THEN 0 ELSE g.Rounds END,
       ChangeVersion = s.version,
       Operation = s.operation,
       Resync = COALESCE(s.snapshot, g.Resync),
       ResyncVersion = CASE WHEN s.snapshot IS NULL THEN g.ResyncVersion ELSE s.version END,
       State = s.state,
       Attempts = s.attempts,
       LastFailure = @utc,
       NextAttempt = DATEADD(second, s.waitSeconds, @utc),
       LastTried = CASE WHEN s.tried = 1 THEN @utc WHEN g.ChangeVersion = s.version THEN g.LastTried END,
       NotBefore = DATEADD(second, s.retryAfterSeconds, @utc),
       Noticed = 0,
       -- That the target was not called says less than how the last try ended, unless that was of a former state of the row.
       LastStatus = CASE WHEN s.tried = 0 AND g.ChangeVersion = s.version AND g.LastTried IS NOT NULL
                         THEN g.LastStatus ELSE s.status END,
       LastError = CASE WHEN s.tried = 0 AND g.ChangeVersion = s.version AND g.LastTried IS NOT NULL
                        THEN g.LastError ELSE s.error END,
       ErrorClass = CASE WHEN s.tried = 0 AND g.ChangeVersion = s.version AND g.LastTried IS NOT NULL
                         THEN g.ErrorClass ELSE s.class END
  FROM rowpost.Ledger g
  JOIN OPENJSON(@rows) WITH ({failure_fields}) s ON g.KeyHash = s.keyHash
 WHERE g.Relay = {relay}
   AND s.state IS NOT NULL
   -- Fewer attempts than are known: others have gone on with the row while this worker stood still.
   AND (g.ChangeVersion < s.version OR (g.State <> 'dead' AND g.ChangeVersion = s.version AND g.Attempts <= s.attempts));
INSERT INTO rowpost.Ledger (Relay, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds, FirstFailure,
                            LastFailure, LastTried, NextAttempt, NotBefore, LastStatus, LastError, ErrorClass, Noticed, Resync,
                            ResyncVersion)
SELECT {relay}, s.keyHash, s.rowKey, s.version, s.operation, s.state, s.attempts, 0, @utc,
       @utc, CASE WHEN s.tried = 1 THEN @utc END, DATEADD(second, s.waitSeconds, @utc),
       DATEADD(second, s.retryAfterSeconds, @utc), s.status, s.error, s.class, 0,
       s.snapshot, CASE WHEN s.snapshot IS NOT NULL THEN s.version END
  FROM OPENJSON(@rows) WITH ({failure_fields}) s
 WHERE s.state IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.KeyHash = s.keyHash);
{record_attempts}
COMMIT;
