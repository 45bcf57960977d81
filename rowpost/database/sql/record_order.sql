/*
Write down an order before it is carried out.

Parameters: 1. @token, of the order. 2. @action. 3. @by, who ordered it. 4. @request, JSON. 5. @relay; NULL for the whole app. 6. @count,
how many rows it has changed; NULL if none so far. 7. @result.
Result set: when it was given (UTC).
Locks: its place in the index of rowpost.Audit. If the connection dies: it is written or not; it may be repeated.
*/
SET NOCOUNT ON;
DECLARE @token char(36) = ?, @action varchar(30) = ?, @by nvarchar(200) = ?, @request nvarchar(max) = ?, @relay nvarchar(261) = ?;
DECLARE @count bigint = ?, @result nvarchar(400) = ?;
{record_order}
SELECT CONVERT(nvarchar(40), At, 126) FROM rowpost.Audit WHERE Token = @token;
