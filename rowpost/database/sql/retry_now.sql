/*
An operator's order: make every row of the relay that waits due at once, and let the circuit breaker of its target be half-open, so
that they are posted. Recovery carries it out.

Result set: how many rows become due.
Locks: the relay's row of rowpost.Relays and the target's of rowpost.Targets. If the connection dies: nothing was changed, or the
order stands; it may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
UPDATE rowpost.Targets
   SET OpenUntil = @utc
 WHERE App = {app} AND Target = {target} AND OpenUntil > @utc;
UPDATE rowpost.Relays
   SET RetryOrdered = @utc
 WHERE Relay = {relay};
SELECT COUNT(*)
  FROM rowpost.Ledger
 WHERE Relay = {relay} AND State <> 'dead' AND LastFailure < @utc AND NextAttempt > @utc;
