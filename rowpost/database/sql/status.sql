/*
What an operator asks first of a table: what is pending, what fails, why, and when it is tried again.

Result sets: 1. rows that the trigger would hand out now, rows in hand, the lowest version of a change that was never handed out, the
newest version; 2. the ledger by state, the highest round, the oldest failure, the next attempt (UTC); 3. the circuit breaker and the
gap; 4. the last failure; 5. the resync that is under way, else the last one: its record, and its rows that are left.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint;
-- A trigger that has never started has no lease table: all that is tracked is untouched.
IF OBJECT_ID({leases_literal}, N'U') IS NULL
BEGIN
    SELECT COUNT(*), 0, MIN(c.SYS_CHANGE_VERSION), CHANGE_TRACKING_CURRENT_VERSION() FROM CHANGETABLE(CHANGES {table}, @last) c;
END
ELSE
BEGIN
    SET @last = {cursor};
    SELECT COUNT(CASE WHEN (l._az_func_AttemptCount IS NULL OR l._az_func_AttemptCount < 5)
                           AND ((l._az_func_LeaseExpirationTime IS NULL
                                 AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION))
                                OR l._az_func_LeaseExpirationTime < @now) THEN 1 END),
           COUNT(CASE WHEN l._az_func_AttemptCount > 0 AND l._az_func_LeaseExpirationTime >= @now THEN 1 END),
           MIN(CASE WHEN l._az_func_LeaseExpirationTime IS NULL
                         AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION)
                    THEN c.SYS_CHANGE_VERSION END),
           CHANGE_TRACKING_CURRENT_VERSION()
      FROM CHANGETABLE(CHANGES {table}, @last) c
      LEFT JOIN {leases} l ON {same_key_l_c};
END;
SELECT SUM(CASE g.State WHEN 'retrying' THEN 1 ELSE 0 END),
       SUM(CASE g.State WHEN 'exhausted' THEN 1 ELSE 0 END),
       SUM(CASE g.State WHEN 'held' THEN 1 ELSE 0 END),
       SUM(CASE g.State WHEN 'detached' THEN 1 ELSE 0 END),
       SUM(CASE g.State WHEN 'dead' THEN 1 ELSE 0 END),
       MAX(CASE WHEN g.State <> 'dead' THEN g.Rounds END),
       CONVERT(nvarchar(40), MIN(CASE WHEN g.State <> 'dead' THEN g.FirstFailure END), 126),
       CONVERT(nvarchar(40), MIN(CASE WHEN g.State <> 'dead' THEN g.NextAttempt END), 126)
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay};
SELECT t.Openings,
       CONVERT(nvarchar(40), t.OpenUntil, 126),
       CASE WHEN t.OpenUntil > SYSUTCDATETIME() THEN 1 ELSE 0 END,
       s.GapFrom,
       s.GapTo
  FROM (SELECT 1 AS One) o
  LEFT JOIN rowpost.Relays s ON s.Relay = {relay}
  LEFT JOIN rowpost.Targets t ON t.App = {app} AND t.Target = {target};
SELECT TOP (1) g.LastError, g.LastStatus, CONVERT(nvarchar(40), g.LastFailure, 126)
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay}
 ORDER BY g.LastFailure DESC;
SELECT TOP (1) r.Resync, r.State, r.Reason, CONVERT(nvarchar(40), r.OrderedAt, 126), CONVERT(nvarchar(40), r.BegunAt, 126),
       CONVERT(nvarchar(40), r.EndedAt, 126), r.Since, r.Queued, r.GivenUp, r.BegunSaid, r.CompletedSaid, r.Problem,
       (SELECT COUNT(*) FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.Resync = r.Resync AND g.State <> 'dead'),
       (SELECT COUNT(*) FROM rowpost.Resyncs o WHERE o.Relay = {relay} AND o.State = 'ordered' AND o.Resync <> r.Resync)
  FROM rowpost.Resyncs r
 WHERE r.Relay = {relay}
 ORDER BY CASE WHEN r.State IN ({open_resyncs}) THEN 0 ELSE 1 END,
          CASE WHEN r.State IN ({open_resyncs}) THEN r.OrderedAt END,
          r.OrderedAt DESC;
