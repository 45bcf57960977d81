/*
An order: some rows that wait are due at once; one chunk of them. Recovery carries it out.

Parameters: 1. @token, of the order. 2. @started, when it was given. 3. @hashes, 4. @states and 5. @classes, JSON arrays, 6. @from
and 7. @to, UTC: which rows; NULL is any.
Result set: how many rows become due; 0 ends the repetition.
Locks: the records of the chunk and the order's of rowpost.Audit, until COMMIT. If the connection dies: the chunk is ordered wholly or
not at all; the order may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @token char(36) = ?, @started datetime2(7) = ?;
DECLARE @hashes nvarchar(max) = ?, @states nvarchar(max) = ?, @classes nvarchar(max) = ?, @from datetime2(7) = ?, @to datetime2(7) = ?;
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @changed bigint;
BEGIN TRANSACTION;
UPDATE TOP ({chunk_rows}) g
   SET RetryOrdered = @utc
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay}
   AND {selected}
   AND g.State <> 'dead'
   AND g.NextAttempt > @utc
   AND g.LastFailure < @utc
   AND (g.RetryOrdered IS NULL OR g.RetryOrdered < @started);
SET @changed = @@ROWCOUNT;
{count_changed}
COMMIT;
SELECT @changed;
