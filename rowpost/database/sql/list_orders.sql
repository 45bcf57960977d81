/*
A page of the audit, newest first.

Parameters: 1. @app. 2. @relay and 3. @action; '' for all. 4. @from and 5. @to, UTC, NULL if open. 6. @before, the number behind which the
page begins. 7. @limit.
Result set: number, token, time (UTC), action, relay, by whom, request, rows, result.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @app nvarchar(100) = ?, @relay nvarchar(261) = ?, @action varchar(30) = ?, @from datetime2(7) = ?, @to datetime2(7) = ?;
DECLARE @before bigint = ?, @limit int = ?;
SELECT TOP (@limit) Id, Token, CONVERT(nvarchar(40), At, 126), Action, Relay, ByWhom, Request, Rows, Result
  FROM rowpost.Audit
 WHERE App = @app
   AND (@relay = N'' OR Relay = @relay)
   AND (@action = '' OR Action = @action)
   AND (@from IS NULL OR At >= @from)
   AND (@to IS NULL OR At < @to)
   AND Id < @before
 ORDER BY Id DESC;
