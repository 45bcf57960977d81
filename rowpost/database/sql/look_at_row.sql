/*
What is known of one row besides what a claim of it finds.

Parameters: 1. @keys, a JSON array of one object: number, and key with the key columns. 2. @hash, of the key in the ledger.
Result sets: 1. the cursor, the end of the lease, whether that is past, its version and count, until when the circuit breaker is open;
2. its record, if there is one; 3. its last attempts, the newest first.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @keys nvarchar(max) = ?, @hash char(64) = ?;
-- Leases end by the time of the server, which need not be UTC.
DECLARE @to_utc int = DATEDIFF(minute, SYSDATETIME(), SYSUTCDATETIME());
SELECT {cursor},
       CONVERT(nvarchar(40), DATEADD(minute, @to_utc, l._az_func_LeaseExpirationTime), 126),
       CASE WHEN l._az_func_LeaseExpirationTime < SYSDATETIME() THEN 1 ELSE 0 END,
       l._az_func_ChangeVersion,
       l._az_func_AttemptCount,
       CASE WHEN t.Openings > 0 AND t.OpenUntil > SYSUTCDATETIME() THEN CONVERT(nvarchar(40), t.OpenUntil, 126) END
  FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
  LEFT JOIN {leases} l ON {same_key_l_k}
  LEFT JOIN rowpost.Targets t ON t.App = {app} AND t.Target = {target};
SELECT {record_fields}
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay} AND g.KeyHash = @hash;
SELECT CONVERT(nvarchar(40), a.At, 126), a.ChangeVersion, a.Status, a.Error, a.Milliseconds, a.ByWhom, a.Attempt, a.Trace
  FROM rowpost.Attempts a
 WHERE a.Relay = {relay} AND a.KeyHash = @hash
 ORDER BY a.At DESC, a.Number DESC;
