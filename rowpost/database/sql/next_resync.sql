/*
The resync of the relay that is under way, or is to begin: the oldest one that has not ended.

Result set: its id, how often an orchestration was started for it, seconds until its next step is due; what it waits for,
NULL if it goes on; how often the present event of it was posted in vain, and what came of that. No row if there is none.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SELECT TOP (1) Resync, Starts, DATEDIFF(second, SYSUTCDATETIME(), NextStep), Problem, Tries,
       CASE State WHEN 'begun' THEN BegunSaid ELSE CompletedSaid END
  FROM rowpost.Resyncs
 WHERE Relay = {relay} AND State IN ({open_resyncs})
 ORDER BY OrderedAt, Resync;
