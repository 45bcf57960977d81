/*
Write an order down in the audit, once, however often the statement is sent.
Needs: @token, of the order; @relay, NULL for the whole app; @action, @by, @request; @count and @result, as far as they are known.
*/
INSERT INTO rowpost.Audit (Token, App, Relay, At, Action, ByWhom, Request, Rows, Result)
SELECT @token, {app}, @relay, SYSUTCDATETIME(), @action, @by, @request, @count, @result
 WHERE NOT EXISTS (SELECT 1 FROM rowpost.Audit WITH (UPDLOCK, SERIALIZABLE) WHERE Token = @token);
