/*
An operator's order: end the resyncs of the relay that are ordered or under way. Rows that are in the ledger by then are still sent.

Result set: how many were ended.
Locks: their records, for one update. If the connection dies: they are ended or not; it may be repeated.
*/
SET NOCOUNT ON;
UPDATE rowpost.Resyncs
   SET State = 'cancelled', EndedAt = SYSUTCDATETIME(), Problem = NULL
 WHERE Relay = {relay} AND State IN ({open_resyncs});
SELECT @@ROWCOUNT;
