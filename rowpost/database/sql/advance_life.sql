/*
Write down that the database was seen to be the remembered one. The memory outside is told afterwards.

Parameters: 1. @app. 2. @seen, the token that was found; '' if there was none. 3. @token, the new one. 4. @found, the mark that was
found, and 5. @version, the version.
Locks: the app's row of rowpost.Lives. If the connection dies: it may be written; the next look finds the database ahead of the memory. A
database that was replaced since the look is left alone.
*/
SET NOCOUNT ON;
DECLARE @app nvarchar(100) = ?, @seen nvarchar(36) = ?, @token nvarchar(36) = ?, @found nvarchar(200) = ?, @version bigint = ?;
{database_mark}
IF @mark = @found AND @seen = N''
    INSERT INTO rowpost.Lives (App, DatabaseMark, Token, LookNumber, Version, Epoch)
    SELECT @app, @mark, CONVERT(uniqueidentifier, @token), 1, @version, 0
     WHERE NOT EXISTS (SELECT 1 FROM rowpost.Lives WITH (UPDLOCK, SERIALIZABLE) WHERE App = @app);
IF @mark = @found AND @seen <> N'' AND CHANGE_TRACKING_CURRENT_VERSION() >= @version
    UPDATE rowpost.Lives
       SET DatabaseMark = @mark, Token = CONVERT(uniqueidentifier, @token), LookNumber = LookNumber + 1, Version = @version
     WHERE App = @app AND Token = CONVERT(uniqueidentifier, @seen);
