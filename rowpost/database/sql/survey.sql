/*
What is left in the ledger after planning: counts, the times of the next looks in seconds, and what people are to be told.

Result set: one row: live rows, the highest round, detached rows that are due, dead letters that nobody was told of, those of them that
may be told now, all dead letters, seconds to the next attempt of detached rows and of others, age of the oldest failure in seconds,
seconds for which the circuit breaker is open, seconds since dead letters were last told, the time up to which they may be told, the
oldest failure, the last error.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
-- A settlement may write its time a little before others see its rows: nobody is told of rows that are younger.
DECLARE @as_of datetime2(7) = DATEADD(second, -{settled_seconds}, @utc);
DECLARE @open_seconds int = (SELECT DATEDIFF(second, @utc, OpenUntil) + 1
                               FROM rowpost.Targets
                              WHERE App = {app} AND Target = {target} AND Openings > 0);
SELECT SUM(CASE WHEN g.State <> 'dead' THEN 1 ELSE 0 END),
       MAX(CASE WHEN g.State <> 'dead' THEN g.Rounds END),
       SUM(CASE WHEN g.State = 'detached' AND g.NextAttempt <= @utc THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' AND g.Noticed = 0 THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' AND g.Noticed = 0 AND g.NextAttempt <= @as_of THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' THEN 1 ELSE 0 END),
       DATEDIFF(second, @utc, MIN(CASE WHEN g.State = 'detached' THEN g.NextAttempt END)) + 1,
       DATEDIFF(second, @utc, MIN(CASE WHEN g.State NOT IN ('dead', 'detached') THEN g.NextAttempt END)) + 1,
       DATEDIFF(second, MIN(CASE WHEN g.State <> 'dead' THEN g.FirstFailure END), @utc),
       @open_seconds,
       (SELECT DATEDIFF(second, DeadToldAt, @utc) FROM rowpost.Relays WHERE Relay = {relay}),
       CONVERT(nvarchar(40), @as_of, 126),
       CONVERT(nvarchar(40), MIN(CASE WHEN g.State <> 'dead' THEN g.FirstFailure END), 126),
       (SELECT TOP (1) e.LastError FROM rowpost.Ledger e WHERE e.Relay = {relay} ORDER BY e.LastFailure DESC)
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay};
