/*
Take on a resync: whoever made its steps before may not any more.

Parameters: 1. @resync, its id. 2. @starts, how often an orchestration was started before.
Result set: 1 if the one that is started now may make its steps.
Locks: its record. If the connection dies: it may be repeated; else the watchdog finds that nobody makes its steps.
*/
SET NOCOUNT ON;
DECLARE @resync char(36) = ?, @starts int = ?;
UPDATE rowpost.Resyncs
   SET Starts = @starts + 1, NextStep = SYSUTCDATETIME()
 WHERE Resync = @resync AND Starts = @starts AND State IN ({open_resyncs});
SELECT COUNT(*) FROM rowpost.Resyncs WHERE Resync = @resync AND Starts = @starts + 1 AND State IN ({open_resyncs});
