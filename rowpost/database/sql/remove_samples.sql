/*
Remove samples of a relay and changes of its target's circuit breaker that are too old, and attempts of rows that have no record any
more: one chunk of each.

Result set: how many attempts were removed; 0 ends the repetition.
Locks: the rows that are removed. If the connection dies: the next look goes on.
*/
SET NOCOUNT ON;
DECLARE @before datetime2(7) = DATEADD(day, -{kept_days}, SYSUTCDATETIME());
DELETE TOP ({chunk_rows}) FROM rowpost.Samples WHERE Relay = {relay} AND At < @before;
DELETE TOP ({chunk_rows}) FROM rowpost.BreakerChanges WHERE App = {app} AND Target = {target} AND At < @before;
DELETE TOP ({chunk_rows}) a
  FROM rowpost.Attempts a
 WHERE a.Relay = {relay} AND NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.Relay = a.Relay AND g.KeyHash = a.KeyHash);
SELECT @@ROWCOUNT;
