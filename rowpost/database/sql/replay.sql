/*
An operator's order: give dead letters a new window, starting now; one chunk of them.

Parameters: 1. @started, when the order was given: a row that dies again meanwhile stays dead.
Result set: how many were taken back; 0 ends the repetition.
Locks: the records of the chunk. If the connection dies: some may be taken back already, and the next order takes the others.
*/
SET NOCOUNT ON;
DECLARE @started datetime2(7) = ?, @utc datetime2(7) = SYSUTCDATETIME();
UPDATE TOP ({chunk_rows}) rowpost.Ledger
   SET State = {to_replayed}, Rounds = 0, Noticed = 0, FirstFailure = @utc, NextAttempt = @utc, NotBefore = NULL
 WHERE Relay = {relay} AND State IN ({from_replayed}) AND NextAttempt <= @started;
SELECT @@ROWCOUNT;
