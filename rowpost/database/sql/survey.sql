/*
What is left in the ledger after planning: counts, the times of the next looks in seconds, and what people are to be told.

Result sets: 1. one row: live rows, the highest round, detached rows that are due, dead letters that nobody was told of, those of them
that may be told now, those that were told and are to be marked, all dead letters, seconds to the next attempt of detached rows and of
others, age of the oldest failure in seconds, seconds for which the circuit breaker is open, seconds since dead letters were last told,
the time up to which they may be told and that up to which they were, the oldest failure, the last error, and whether the relay is
paused. 2. live rows by what they are
about: their number, the highest round, the age of the oldest failure and its time. 3. the last error of each. 4. the open incidents:
their beginning, rows that were delivered, rows that were given up; whether something may wait behind the circuit breaker; its name,
the reminders that were sent, seconds since people were last told, and whether it is acknowledged.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
-- A settlement may write its time a little before others see its rows: nobody is told of rows that are younger.
DECLARE @as_of datetime2(7) = DATEADD(second, -{settled_seconds}, @utc);
DECLARE @openings int, @failures int, @open_until datetime2(7), @closed_at datetime2(7), @told_at datetime2(7), @told_to datetime2(7);
DECLARE @paused int, @resumed datetime2(7);
SELECT @openings = Openings, @failures = Failures, @open_until = OpenUntil, @closed_at = ClosedAt
  FROM rowpost.Targets
 WHERE App = {app} AND Target = {target};
SELECT @told_at = DeadToldAt, @told_to = COALESCE(DeadToldTo, '0001-01-01'), @paused = CASE WHEN PausedAt IS NULL THEN 0 ELSE 1 END,
       @resumed = ResumedAt
  FROM rowpost.Relays
 WHERE Relay = {relay};
SELECT SUM(CASE WHEN g.State <> 'dead' THEN 1 ELSE 0 END),
       MAX(CASE WHEN g.State <> 'dead' THEN g.Rounds END),
       SUM(CASE WHEN g.State = 'detached' AND g.NextAttempt <= @utc AND @paused = 0 THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' AND g.Noticed = 0 AND g.NextAttempt > @told_to THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' AND g.Noticed = 0 AND g.NextAttempt > @told_to AND g.NextAttempt <= @as_of THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' AND g.Noticed = 0 AND g.NextAttempt <= @told_to THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' THEN 1 ELSE 0 END),
       DATEDIFF(second, @utc, MIN(CASE WHEN g.State = 'detached' THEN g.NextAttempt END)) + 1,
       DATEDIFF(second, @utc, MIN(CASE WHEN g.State NOT IN ('dead', 'detached') THEN g.NextAttempt END)) + 1,
       DATEDIFF(second, MIN(CASE WHEN g.State <> 'dead' THEN {failing_since} END), @utc),
       CASE WHEN @openings > 0 THEN DATEDIFF(second, @utc, @open_until) + 1 END,
       DATEDIFF(second, @told_at, @utc),
       CONVERT(nvarchar(40), @as_of, 126),
       CONVERT(nvarchar(40), @told_to, 126),
       CONVERT(nvarchar(40), MIN(CASE WHEN g.State <> 'dead' THEN g.FirstFailure END), 126),
       (SELECT TOP (1) e.LastError FROM rowpost.Ledger e WHERE e.Relay = {relay} ORDER BY e.LastFailure DESC),
       @paused
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay};
SELECT x.About, COUNT(*), MAX(x.Rounds), DATEDIFF(second, MIN(x.Since), @utc), CONVERT(nvarchar(40), MIN(x.FirstFailure), 126)
  FROM (SELECT {about} AS About, g.Rounds, g.FirstFailure, {failing_since} AS Since
          FROM rowpost.Ledger g
         WHERE g.Relay = {relay} AND g.State <> 'dead') x
 GROUP BY x.About;
SELECT a.About,
       (SELECT TOP (1) x.LastError
          FROM (SELECT {about} AS About, g.LastError, g.LastFailure
                  FROM rowpost.Ledger g
                 WHERE g.Relay = {relay} AND g.State <> 'dead') x
         WHERE x.About = a.About
         ORDER BY x.LastFailure DESC)
  FROM (SELECT 'row' AS About UNION ALL SELECT 'target') a;
SELECT i.About,
       CONVERT(nvarchar(40), i.Since, 126),
       (SELECT COUNT(*)
          FROM rowpost.IncidentRows m
         WHERE m.Relay = i.Relay AND m.About = i.About AND m.DiscardedAt IS NULL
           AND NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.Relay = m.Relay AND g.KeyHash = m.KeyHash)),
       (SELECT COUNT(*)
          FROM rowpost.IncidentRows m
         WHERE m.Relay = i.Relay AND m.About = i.About AND m.DiscardedAt IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.Relay = m.Relay AND g.KeyHash = m.KeyHash))
       + (SELECT COUNT(*)
            FROM rowpost.Ledger g
           WHERE g.Relay = i.Relay AND g.State = 'dead'
             AND (EXISTS (SELECT 1
                            FROM rowpost.IncidentRows m
                           WHERE m.Relay = g.Relay AND m.About = i.About AND m.KeyHash = g.KeyHash)
                  OR (g.NextAttempt >= i.ToldAt AND i.About = CASE WHEN {about_the_target} THEN 'target' ELSE 'row' END))),
       -- Rows that were handed back come again within a minute of the end of the interval.
       CASE WHEN i.About = 'target' AND @openings > 0 AND @open_until > DATEADD(second, -{lapsed_seconds}, @utc) THEN 1 ELSE 0 END,
       COALESCE(i.Incident, N''),
       i.Reminders,
       DATEDIFF(second, COALESCE(i.RemindedAt, i.ToldAt), @utc),
       CASE WHEN i.AcknowledgedAt IS NOT NULL THEN 1 ELSE 0 END
  FROM rowpost.Incidents i
 WHERE i.Relay = {relay};
