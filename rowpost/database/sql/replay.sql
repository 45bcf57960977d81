/*
An order: give dead letters a new window, starting now; one chunk of them.

Parameters: 1. @token, of the order. 2. @started, when it was given: a row that dies again meanwhile stays dead. 3. @hashes, 4.
@states and 5. @classes, JSON arrays, 6. @from and 7. @to, UTC: which rows; NULL is any.
Result set: how many were taken back; 0 ends the repetition.
Locks: the records of the chunk and the order's of rowpost.Audit, until COMMIT. If the connection dies: the chunk is taken back wholly
or not at all, and the next order takes the others.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @token char(36) = ?, @started datetime2(7) = ?;
DECLARE @hashes nvarchar(max) = ?, @states nvarchar(max) = ?, @classes nvarchar(max) = ?, @from datetime2(7) = ?, @to datetime2(7) = ?;
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @changed bigint;
BEGIN TRANSACTION;
UPDATE TOP ({chunk_rows}) g
   SET State = {to_replayed}, Rounds = 0, Noticed = 0, FirstFailure = @utc, NextAttempt = @utc, NotBefore = NULL
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay} AND g.State IN ({from_replayed}) AND g.NextAttempt <= @started AND {selected};
SET @changed = @@ROWCOUNT;
{count_changed}
COMMIT;
SELECT @changed;
