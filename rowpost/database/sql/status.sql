/*
What an operator asks first of a relay: what waits and where, what fails, why, and when it is tried again.

Result sets: 1. rows that wait, and dead letters, by where they are: the state of the record, or what the lease says of rows without a
live record; each row once, but a dead letter whose row has changed again; 2. the lowest version of a change that was never handed
out, the newest version; 3. the highest round, the oldest failure, the next attempt (UTC); 4. the circuit breaker, the gap,
and the initial snapshot, if it was ordered; 5. the
last failure; 6. the resync that is under way, else the last one: its record, its rows that are left, and about
how many rows the table has, by the catalogue.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint;
-- A trigger that has never started has no lease table: all that is tracked is untouched.
IF OBJECT_ID({leases_literal}, N'U') IS NULL
BEGIN
    WITH known AS (SELECT k.*, CASE g.State WHEN 'dead' THEN g.ChangeVersion ELSE {redelivered_version} END AS UpTo
                     FROM rowpost.Ledger g
                    CROSS APPLY {key_of_record} k
                    WHERE g.Relay = {relay})
    SELECT x.Place, COUNT(*)
      FROM (SELECT g.State AS Place FROM rowpost.Ledger g WHERE g.Relay = {relay}
            UNION ALL
            SELECT 'pending'
              FROM CHANGETABLE(CHANGES {table}, @last) c
              LEFT JOIN known k ON {same_key_c_k} AND k.UpTo >= c.SYS_CHANGE_VERSION
             WHERE k.UpTo IS NULL) x
     GROUP BY x.Place;
    SELECT MIN(c.SYS_CHANGE_VERSION), CHANGE_TRACKING_CURRENT_VERSION() FROM CHANGETABLE(CHANGES {table}, @last) c;
END
ELSE
BEGIN
    SET @last = {cursor};
    -- One statement, so that a row that goes from one place to another is counted at one of them.
    WITH known AS (SELECT k.*, CASE g.State WHEN 'dead' THEN g.ChangeVersion ELSE {redelivered_version} END AS UpTo
                     FROM rowpost.Ledger g
                    CROSS APPLY {key_of_record} k
                    WHERE g.Relay = {relay})
    SELECT x.Place, COUNT(*)
      FROM (SELECT g.State AS Place FROM rowpost.Ledger g WHERE g.Relay = {relay}
            UNION ALL
            SELECT {place_of_lease}
              FROM CHANGETABLE(CHANGES {table}, @last) c
              LEFT JOIN {leases} l ON {same_key_l_c}
              LEFT JOIN known k ON {same_key_c_k} AND k.UpTo >= c.SYS_CHANGE_VERSION
             WHERE k.UpTo IS NULL
               AND (l.{first_key} IS NULL
                    OR l._az_func_LeaseExpirationTime IS NOT NULL
                    OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION)
            UNION ALL
            -- Handed out or parked, and now unknown to change tracking: the retention was over, or the table was truncated.
            SELECT {place_of_lease}
              FROM {leases} l
              LEFT JOIN CHANGETABLE(CHANGES {table}, @last) c ON {same_key_c_l}
              LEFT JOIN known k ON {same_key_l_k} AND k.UpTo >= l._az_func_ChangeVersion
             WHERE k.UpTo IS NULL
               AND c.SYS_CHANGE_VERSION IS NULL
               AND l._az_func_LeaseExpirationTime IS NOT NULL
               AND l._az_func_AttemptCount <> 0
               AND l._az_func_ChangeVersion < {redelivered_version}) x
     GROUP BY x.Place;
    SELECT MIN(CASE WHEN l._az_func_LeaseExpirationTime IS NULL
                         AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION)
                    THEN c.SYS_CHANGE_VERSION END),
           CHANGE_TRACKING_CURRENT_VERSION()
      FROM CHANGETABLE(CHANGES {table}, @last) c
      LEFT JOIN {leases} l ON {same_key_l_c};
END;
SELECT MAX(g.Rounds),
       CONVERT(nvarchar(40), MIN(g.FirstFailure), 126),
       CONVERT(nvarchar(40), MIN(g.NextAttempt), 126)
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay} AND g.State <> 'dead';
SELECT t.Openings,
       CONVERT(nvarchar(40), t.OpenUntil, 126),
       CASE WHEN t.OpenUntil > SYSUTCDATETIME() THEN 1 ELSE 0 END,
       s.GapFrom,
       s.GapTo,
       s.InitialSnapshot
  FROM (SELECT 1 AS One) o
  LEFT JOIN rowpost.Relays s ON s.Relay = {relay}
  LEFT JOIN rowpost.Targets t ON t.App = {app} AND t.Target = {target};
SELECT TOP (1) g.LastError, g.LastStatus, CONVERT(nvarchar(40), g.LastFailure, 126)
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay}
 ORDER BY g.LastFailure DESC;
SELECT TOP (1) r.Resync, r.State, r.Cause, r.Reason, CONVERT(nvarchar(40), r.OrderedAt, 126), CONVERT(nvarchar(40), r.BegunAt, 126),
       CONVERT(nvarchar(40), r.EndedAt, 126), r.Since, r.Pages, r.Queued, r.GivenUp, r.BegunSaid, r.CompletedSaid, r.Problem,
       (SELECT COUNT(*) FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.Resync = r.Resync AND g.State <> 'dead'),
       (SELECT COUNT(*) FROM rowpost.Resyncs o WHERE o.Relay = {relay} AND o.State = 'ordered' AND o.Resync <> r.Resync),
       {rows_of_table}
  FROM rowpost.Resyncs r
 WHERE r.Relay = {relay}
 ORDER BY CASE WHEN r.State IN ({open_resyncs}) THEN 0 ELSE 1 END,
          CASE WHEN r.State IN ({open_resyncs}) THEN r.OrderedAt END,
          r.OrderedAt DESC;
