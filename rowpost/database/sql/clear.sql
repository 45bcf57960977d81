/*
All that a batch without a failure has to write, if anything: drop the records of rows that are delivered now, and close the breaker.

Parameters: 1. @rows, a JSON array of objects: keyHash, version, clears (1). 2. @epoch, as the claim saw it. 3. to 7. the circuit
breaker; the first is -1 if it stays as it is.
Result set: 1 if rows are left for recovery to look after.
Locks: the records, and the target's row of rowpost.Targets, until COMMIT.
If the connection dies: nothing was written; the records are cleared by a later delivery, or the
rows are delivered once more.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @rows nvarchar(max) = ?, @epoch bigint = ?, @utc datetime2(7) = SYSUTCDATETIME();
DECLARE @failures int = NULLIF(?, -1), @openings int = ?, @open_seconds int = ?, @seen_openings int = ?, @added int = ?;
BEGIN TRANSACTION;
{guard_epoch}
{remove_delivered}
{update_breaker}
COMMIT;
SELECT COUNT(*)
  FROM (SELECT TOP (1) 1 AS One FROM rowpost.Ledger WHERE Relay = {relay} AND State <> 'dead') live;
