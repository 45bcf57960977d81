/*
Write down how an order ended.

Parameters: 1. @token, of the order. 2. @result. 3. @count, how many rows it has changed; NULL if that is written already.
Result set: how many rows it has changed; NULL if it is about none.
Locks: its record. If the connection dies: it may be repeated; else the record says that the order is under way.
*/
SET NOCOUNT ON;
DECLARE @token char(36) = ?, @result nvarchar(400) = ?, @count bigint = ?;
UPDATE rowpost.Audit SET Result = @result, Rows = COALESCE(@count, Rows) WHERE Token = @token;
SELECT Rows FROM rowpost.Audit WHERE Token = @token;
