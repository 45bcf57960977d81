/*
What happened to a relay in a time: everything that is kept of it, on one axis.

Parameters: 1. @from and 2. @to; NULL: a day before, now. 3. @attempts, the built-in attempts. 4. @bucket, seconds that attempts are
put together for.
Result sets: 1. the time that is meant; 2. attempts that failed, put together: time, status, whether they belong to a round, how many;
3. changes of the circuit breaker; 4. notices; 5. incidents that began or ended; 6. samples; 7. orders.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @from datetime2(7) = ?, @to datetime2(7) = ?, @attempts int = ?, @bucket int = ?;
SET @to = COALESCE(@to, SYSUTCDATETIME());
SET @from = COALESCE(@from, DATEADD(day, -1, @to));
SELECT CONVERT(nvarchar(40), @from, 126), CONVERT(nvarchar(40), @to, 126);
SELECT CONVERT(nvarchar(40), MIN(x.At), 126), x.Status, x.IsRound, COUNT(*)
  FROM (SELECT a.At, a.Status, CASE WHEN a.Attempt > @attempts THEN 1 ELSE 0 END AS IsRound,
               DATEDIFF(second, @from, a.At) / @bucket AS Place
          FROM rowpost.Attempts a
         WHERE a.Relay = {relay} AND a.At >= @from AND a.At < @to) x
 GROUP BY x.Place, x.Status, x.IsRound;
SELECT TOP (500) CONVERT(nvarchar(40), b.At, 126), b.Opened
  FROM rowpost.BreakerChanges b
 WHERE b.App = {app} AND b.Target = {target} AND b.At >= @from AND b.At < @to
 ORDER BY b.At DESC;
SELECT TOP (500) CONVERT(nvarchar(40), n.CreatedAt, 126), n.Kind
  FROM rowpost.Notices n
 WHERE n.Relay = {relay} AND n.CreatedAt >= @from AND n.CreatedAt < @to
 ORDER BY n.CreatedAt DESC;
SELECT CONVERT(nvarchar(40), x.At, 126), x.About, x.Ended, x.Number
  FROM (SELECT i.ToldAt AS At, i.About, 0 AS Ended, CAST(NULL AS int) AS Number, i.Relay FROM rowpost.Incidents i
        UNION ALL
        SELECT h.ToldAt, h.About, 0, NULL, h.Relay FROM rowpost.IncidentHistory h WHERE h.App = {app}
        UNION ALL
        SELECT h.EndedAt, h.About, 1, h.Delivered, h.Relay FROM rowpost.IncidentHistory h WHERE h.App = {app}) x
 WHERE x.Relay = {relay} AND x.At >= @from AND x.At < @to;
SELECT TOP (2100) CONVERT(nvarchar(40), s.At, 126), s.Waiting, s.Dead, s.LagSeconds
  FROM rowpost.Samples s
 WHERE s.Relay = {relay} AND s.At >= @from AND s.At < @to
 ORDER BY s.At DESC;
SELECT TOP (500) CONVERT(nvarchar(40), o.At, 126), o.Action, o.ByWhom, o.Rows
  FROM rowpost.Audit o
 WHERE o.App = {app} AND o.Relay = {relay} AND o.At >= @from AND o.At < @to
 ORDER BY o.At DESC;
