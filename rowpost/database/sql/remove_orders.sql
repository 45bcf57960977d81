/*
Remove orders of long ago from the audit: one chunk of them.

Parameters: 1. @app. 2. @before, UTC. Result set: how many were removed; 0 ends the repetition.
Locks: the records of the chunk. If the connection dies: the next run goes on.
*/
SET NOCOUNT ON;
DECLARE @app nvarchar(100) = ?, @before datetime2(7) = ?;
DELETE TOP ({chunk_rows}) FROM rowpost.Audit WHERE App = @app AND At < @before;
SELECT @@ROWCOUNT;
