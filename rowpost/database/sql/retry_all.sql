/*
An order: every row of the relay that waits is due at once. Recovery carries it out.

Parameters: 1. @token, of the order.
Result set: how many rows become due.
Locks: the relay's row of rowpost.Relays and the order's of rowpost.Audit, until COMMIT. If the connection dies: nothing was changed, or
the order stands; it may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @token char(36) = ?, @utc datetime2(7) = SYSUTCDATETIME(), @changed bigint;
SELECT @changed = COUNT(*)
  FROM rowpost.Ledger
 WHERE Relay = {relay} AND State <> 'dead' AND LastFailure < @utc AND NextAttempt > @utc;
BEGIN TRANSACTION;
UPDATE rowpost.Relays SET RetryOrdered = @utc WHERE Relay = {relay};
UPDATE rowpost.Audit SET Rows = @changed WHERE Token = @token AND Rows IS NULL;
COMMIT;
SELECT @changed;
