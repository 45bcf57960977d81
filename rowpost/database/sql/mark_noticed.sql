/*
Remember that people were told of dead letters: one chunk of them.

Parameters: 1. @as_of, the time up to which they were told of. Result set: how many were marked; 0 ends the repetition.
Locks: the records of the chunk. If the connection dies: the rest is marked by the next notice.
*/
SET NOCOUNT ON;
DECLARE @as_of datetime2(7) = ?;
UPDATE TOP ({chunk_rows}) rowpost.Ledger
   SET Noticed = 1
 WHERE Relay = {relay} AND State = 'dead' AND Noticed = 0 AND NextAttempt <= @as_of;
SELECT @@ROWCOUNT;
