/*
Remove notices that were told long ago: one chunk of them.

Parameters: 1. @app. 2. @before, UTC. Result set: how many were removed; 0 ends the repetition.
Locks: the records of the chunk, until COMMIT. If the connection dies: the next run goes on.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @app nvarchar(100) = ?, @before datetime2(7) = ?, @removed int;
DECLARE @old TABLE (Notice nvarchar(200) NOT NULL PRIMARY KEY);
INSERT INTO @old (Notice) SELECT TOP ({chunk_rows}) Notice FROM rowpost.Notices WHERE App = @app AND DoneAt < @before;
BEGIN TRANSACTION;
DELETE r FROM rowpost.NoticeRecipients r JOIN @old o ON o.Notice = r.Notice;
DELETE n FROM rowpost.Notices n JOIN @old o ON o.Notice = n.Notice;
SET @removed = @@ROWCOUNT;
COMMIT;
SELECT @removed;
