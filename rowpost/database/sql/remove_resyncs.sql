/*
Remove the records of resyncs that ended long ago, but the last one of each relay: one chunk of them.

Parameters: 1. @before, UTC. Result set: how many were removed; 0 ends the repetition.
Locks: the records of the chunk. If the connection dies: the next run goes on.
*/
SET NOCOUNT ON;
DECLARE @before datetime2(7) = ?;
DELETE TOP ({chunk_rows}) r
  FROM rowpost.Resyncs r
  JOIN rowpost.Resyncs n ON n.Relay = r.Relay AND n.OrderedAt > r.OrderedAt
 WHERE r.EndedAt < @before;
SELECT @@ROWCOUNT;
