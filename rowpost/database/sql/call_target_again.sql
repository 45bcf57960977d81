/*
An order that rows are tried again also ends the interval of the target's circuit breaker: it is half-open, and the target is called.

Locks: the target's row of rowpost.Targets, for one update. If the connection dies: it is half-open or not; it may be repeated.
*/
SET NOCOUNT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
UPDATE rowpost.Targets
   SET OpenUntil = @utc
 WHERE App = {app} AND Target = {target} AND OpenUntil > @utc;
