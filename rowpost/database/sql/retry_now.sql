/*
An operator's order: close the table's circuit breaker, and make every row that waits due at once. Recovery carries it out.

Result set: how many rows become due.
Locks: the table's row of rowpost.TableState. If the connection dies: nothing was changed, or the order stands; it may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
UPDATE rowpost.TableState
   SET RetryOrdered = @utc, BreakerFailures = 0, BreakerOpenings = 0, BreakerOpenUntil = NULL
 WHERE TableName = {table_name};
SELECT COUNT(*)
  FROM rowpost.Ledger
 WHERE TableName = {table_name} AND State <> 'dead' AND LastFailure < @utc AND NextAttempt > @utc;
