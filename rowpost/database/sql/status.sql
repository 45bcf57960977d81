/*
What an operator asks first of a relay: what waits and where, what fails, why, and when it is tried again.

Result sets: 1. rows that wait, and dead letters, by where they are: the state of the record, or what the lease says of rows without a
live record; each row once, but a dead letter whose row has changed again; 2. the lowest version of a change that was never handed
out, the newest version, the lowest version of a change that is neither delivered nor in the ledger; 3. the highest round, the oldest
failure, the next attempt (UTC); 4. the circuit breaker, the gap, the initial snapshot, if it was ordered, and since when, by whom and
why the relay is paused; 5. the
last failure; 6. the resync that is under way, else the last one: its record, its rows that are left, and about
how many rows the table has, by the catalogue; 7. records by why they fail: whether they are dead, the class, their number, without
those that a resync has put there and nobody has tried; 8. the clock, the age of the oldest failure in seconds, since when at least and
at most the oldest change that is neither delivered nor in the ledger exists, as far as the samples tell; the change retention in
minutes, how long the statement took by the server's clock in milliseconds; 9. the last samples, newest first.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME(), @last bigint;
DECLARE @places TABLE (Place varchar(11) NOT NULL, Number int NOT NULL, Oldest bigint NULL);
-- A trigger that has never started has no lease table: all that is tracked is untouched.
IF OBJECT_ID({leases_literal}, N'U') IS NULL
BEGIN
    WITH known AS (SELECT k.*, CASE g.State WHEN 'dead' THEN g.ChangeVersion ELSE {redelivered_version} END AS UpTo
                     FROM rowpost.Ledger g
                    CROSS APPLY {key_of_record} k
                    WHERE g.Relay = {relay})
    INSERT INTO @places (Place, Number, Oldest)
    SELECT x.Place, COUNT(*), MIN(x.Version)
      FROM (SELECT g.State AS Place, CAST(NULL AS bigint) AS Version FROM rowpost.Ledger g WHERE g.Relay = {relay}
            UNION ALL
            SELECT 'pending', c.SYS_CHANGE_VERSION
              FROM CHANGETABLE(CHANGES {table}, @last) c
              LEFT JOIN known k ON {same_key_c_k} AND k.UpTo >= c.SYS_CHANGE_VERSION
             WHERE k.UpTo IS NULL) x
     GROUP BY x.Place;
    SELECT Place, Number FROM @places;
    SELECT MIN(c.SYS_CHANGE_VERSION), CHANGE_TRACKING_CURRENT_VERSION(), (SELECT MIN(Oldest) FROM @places)
      FROM CHANGETABLE(CHANGES {table}, @last) c;
END
ELSE
BEGIN
    SET @last = {cursor};
    -- One statement, so that a row that goes from one place to another is counted at one of them.
    WITH known AS (SELECT k.*, CASE g.State WHEN 'dead' THEN g.ChangeVersion ELSE {redelivered_version} END AS UpTo
                     FROM rowpost.Ledger g
                    CROSS APPLY {key_of_record} k
                    WHERE g.Relay = {relay})
    INSERT INTO @places (Place, Number, Oldest)
    SELECT x.Place, COUNT(*), MIN(x.Version)
      FROM (SELECT g.State AS Place, CAST(NULL AS bigint) AS Version FROM rowpost.Ledger g WHERE g.Relay = {relay}
            UNION ALL
            SELECT {place_of_lease}, c.SYS_CHANGE_VERSION
              FROM CHANGETABLE(CHANGES {table}, @last) c
              LEFT JOIN {leases} l ON {same_key_l_c}
              LEFT JOIN known k ON {same_key_c_k} AND k.UpTo >= c.SYS_CHANGE_VERSION
             WHERE k.UpTo IS NULL
               AND (l.{first_key} IS NULL
                    OR l._az_func_LeaseExpirationTime IS NOT NULL
                    OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION)
            UNION ALL
            -- Handed out or parked, and now unknown to change tracking: the retention was over, or the table was truncated.
            SELECT {place_of_lease}, l._az_func_ChangeVersion
              FROM {leases} l
              LEFT JOIN CHANGETABLE(CHANGES {table}, @last) c ON {same_key_c_l}
              LEFT JOIN known k ON {same_key_l_k} AND k.UpTo >= l._az_func_ChangeVersion
             WHERE k.UpTo IS NULL
               AND c.SYS_CHANGE_VERSION IS NULL
               AND l._az_func_LeaseExpirationTime IS NOT NULL
               AND l._az_func_AttemptCount <> 0
               AND l._az_func_ChangeVersion < {redelivered_version}) x
     GROUP BY x.Place;
    SELECT Place, Number FROM @places;
    SELECT MIN(CASE WHEN l._az_func_LeaseExpirationTime IS NULL
                         AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION)
                    THEN c.SYS_CHANGE_VERSION END),
           CHANGE_TRACKING_CURRENT_VERSION(),
           (SELECT MIN(Oldest) FROM @places)
      FROM CHANGETABLE(CHANGES {table}, @last) c
      LEFT JOIN {leases} l ON {same_key_l_c};
END;
DECLARE @rounds int, @first datetime2(7), @next datetime2(7);
SELECT @rounds = MAX(g.Rounds), @first = MIN(g.FirstFailure), @next = MIN(g.NextAttempt)
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay} AND g.State <> 'dead';
SELECT @rounds, CONVERT(nvarchar(40), @first, 126), CONVERT(nvarchar(40), @next, 126);
SELECT t.Openings,
       CONVERT(nvarchar(40), t.OpenUntil, 126),
       CASE WHEN t.OpenUntil > SYSUTCDATETIME() THEN 1 ELSE 0 END,
       s.GapFrom,
       s.GapTo,
       s.InitialSnapshot,
       CONVERT(nvarchar(40), s.PausedAt, 126),
       s.PausedBy,
       s.PauseReason
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
SELECT CASE g.State WHEN 'dead' THEN 1 ELSE 0 END, COALESCE(g.ErrorClass, 'other'), COUNT(*)
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay} AND NOT (g.Attempts = 0 AND g.Resync IS NOT NULL)
 GROUP BY CASE g.State WHEN 'dead' THEN 1 ELSE 0 END, COALESCE(g.ErrorClass, 'other');
-- A sample with that version or a newer one: it existed by then. One with an older version: it did not exist yet.
DECLARE @oldest bigint = (SELECT MIN(Oldest) FROM @places), @epoch bigint = (SELECT Epoch FROM rowpost.Relays WHERE Relay = {relay});
SELECT CONVERT(nvarchar(40), @utc, 126),
       DATEDIFF(second, @first, @utc),
       CONVERT(nvarchar(40), (SELECT MIN(At) FROM rowpost.Samples WHERE Relay = {relay} AND Epoch = @epoch AND Version >= @oldest), 126),
       CONVERT(nvarchar(40), (SELECT MAX(At) FROM rowpost.Samples WHERE Relay = {relay} AND Epoch = @epoch AND Version < @oldest), 126),
       (SELECT retention_period * CASE retention_period_units WHEN 1 THEN 1 WHEN 2 THEN 60 ELSE 1440 END
          FROM sys.change_tracking_databases
         WHERE database_id = DB_ID()),
       DATEDIFF(millisecond, @utc, SYSUTCDATETIME());
SELECT TOP (48) CONVERT(nvarchar(40), At, 126), Waiting, Dead, LagSeconds
  FROM rowpost.Samples
 WHERE Relay = {relay}
 ORDER BY At DESC;
