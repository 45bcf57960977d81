/*
Records by why they fail: the largest groups first.

Result sets: 1. whether they are dead, class, status, error, their number, the oldest first failure, and the key of one of them; 2. the
clock, how long the statement took by the server's clock in milliseconds.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
SELECT x.Dead, x.Class, x.LastStatus, x.LastError, x.Number, CONVERT(nvarchar(40), x.Oldest, 126), e.RowKey
  FROM (SELECT TOP (200) y.Dead, y.Class, y.LastStatus, y.LastError, COUNT(*) AS Number, MIN(y.FirstFailure) AS Oldest,
               MIN(y.KeyHash) AS Example
          FROM (SELECT CASE g.State WHEN 'dead' THEN 1 ELSE 0 END AS Dead, COALESCE(g.ErrorClass, 'other') AS Class,
                       g.LastStatus, g.LastError,
                       g.FirstFailure, g.KeyHash
                  FROM rowpost.Ledger g
                 WHERE g.Relay = {relay} AND NOT (g.Attempts = 0 AND g.Resync IS NOT NULL)) y
         GROUP BY y.Dead, y.Class, y.LastStatus, y.LastError
         ORDER BY COUNT(*) DESC) x
  JOIN rowpost.Ledger e ON e.Relay = {relay} AND e.KeyHash = x.Example
 ORDER BY x.Number DESC, x.Dead, x.Class, x.LastStatus, x.LastError;
SELECT CONVERT(nvarchar(40), @utc, 126), DATEDIFF(millisecond, @utc, SYSUTCDATETIME());
