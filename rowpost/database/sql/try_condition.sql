/*
Let the server look at the condition of a relay without running it: it fails as a statement with it would, and says why.

Parameters: 1. @rows, what such a statement selects from, with the condition.
Result set: the shape of the result.
Locks: none. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @rows nvarchar(max) = ?;
DECLARE @statement nvarchar(max) = N'SELECT 1 AS Matches FROM ' + @rows;
EXEC sp_describe_first_result_set @tsql = @statement;
