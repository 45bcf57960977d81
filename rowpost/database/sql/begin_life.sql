/*
A new life of the database begins: its change versions are not those that were seen before. Every relay of the app gets a new epoch,
and what was remembered in versions of the former life is forgotten. All rows are sent again: EpochHandled says that this is to be
ordered still.

A relay that this database does not know may have been known in the former life: the backup is older than its first start. It is
made here, so that it is no new one.

Parameters: 1. @app. 2. @seen, the token that was found; '' if there was none. 3. @token, the new one. 4. @found, the mark that
was found. 5. @epoch and 6. @number, which the new ones must exceed. 7. @relays, a JSON array: name, table and target of each relay
that is configured; empty if no former life is known.
Locks: the rows of the app in rowpost.Lives, rowpost.Relays, rowpost.Ledger and rowpost.Resyncs, until COMMIT.
If the connection dies: all is written, or nothing. Another worker that found the same token has written it then, and it is not
written twice.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @app nvarchar(100) = ?, @seen nvarchar(36) = ?, @token nvarchar(36) = ?;
DECLARE @found nvarchar(200) = ?, @epoch bigint = ?, @number bigint = ?, @relays nvarchar(max) = ?, @new int;
DECLARE @current bigint = CHANGE_TRACKING_CURRENT_VERSION(), @now bigint = DATEDIFF_BIG(second, '1970-01-01', SYSUTCDATETIME());
{database_mark}
BEGIN TRANSACTION;
SELECT @epoch = MAX(e.Epoch) + 1
  FROM (SELECT @epoch AS Epoch
        UNION ALL
        SELECT @now - 1
        UNION ALL
        SELECT Epoch FROM rowpost.Relays WHERE App = @app
        UNION ALL
        SELECT Epoch FROM rowpost.Lives WHERE App = @app) e;
IF @seen = N''
BEGIN
    INSERT INTO rowpost.Lives (App, DatabaseMark, Token, LookNumber, Version, Epoch)
    SELECT @app, @mark, CONVERT(uniqueidentifier, @token), @number + 1, @current, @epoch
     WHERE @mark = @found
       AND @current IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM rowpost.Lives WITH (UPDLOCK, SERIALIZABLE) WHERE App = @app);
    SET @new = @@ROWCOUNT;
END
ELSE
BEGIN
    UPDATE rowpost.Lives
       SET DatabaseMark = @mark, Token = CONVERT(uniqueidentifier, @token),
           LookNumber = CASE WHEN LookNumber > @number THEN LookNumber ELSE @number END + 1, Version = @current, Epoch = @epoch
     WHERE App = @app AND Token = CONVERT(uniqueidentifier, @seen) AND @mark = @found AND @current IS NOT NULL;
    SET @new = @@ROWCOUNT;
END;
IF @new = 1
BEGIN
    UPDATE rowpost.Relays
       SET Epoch = CASE WHEN Epoch >= @epoch THEN Epoch + 1 ELSE @epoch END,
           TableId = NULL, TrackedSince = NULL, RewindDue = NULL, WatchBase = NULL, BeginVersion = NULL, Covered = NULL, Mark = NULL,
           MarkAt = NULL, GapFrom = NULL, GapTo = NULL, GapTold = NULL, StillCursor = NULL, StillLeased = NULL,
           StillSince = NULL, StillSeen = NULL
     WHERE App = @app;
    INSERT INTO rowpost.Relays (Relay, App, TableName, Target, Epoch, EpochHandled)
    SELECT k.name, @app, k.relayed, k.target, @epoch, 0
      FROM OPENJSON(@relays) WITH (name nvarchar(261), relayed nvarchar(261), target nvarchar(100)) k
     WHERE NOT EXISTS (SELECT 1 FROM rowpost.Relays r WITH (UPDLOCK, SERIALIZABLE) WHERE r.Relay = k.name);
    UPDATE g
       SET ChangeVersion = 0, ResyncVersion = NULL
      FROM rowpost.Ledger g
      JOIN rowpost.Relays r ON r.Relay = g.Relay
     WHERE r.App = @app;
    -- An initial snapshot that has not ended is not done: another one is ordered.
    UPDATE rowpost.Relays
       SET InitialSnapshot = NULL
     WHERE App = @app AND InitialSnapshot IN (SELECT Resync FROM rowpost.Resyncs WHERE State IN ({open_resyncs}));
    -- What a resync has sent is of the former epoch. Another one is ordered.
    UPDATE s
       SET State = 'superseded', EndedAt = SYSUTCDATETIME()
      FROM rowpost.Resyncs s
      JOIN rowpost.Relays r ON r.Relay = s.Relay
     WHERE r.App = @app AND s.State IN ({open_resyncs});
END;
COMMIT;
