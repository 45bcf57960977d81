/*
How many rows an order would change now.

Parameters: 1. @action: retry, replay or discard. 2. @hashes, 3. @states and 4. @classes, JSON arrays, 5. @from and 6. @to, UTC:
which rows; NULL is any.
Result set: the number.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @action varchar(30) = ?;
DECLARE @hashes nvarchar(max) = ?, @states nvarchar(max) = ?, @classes nvarchar(max) = ?, @from datetime2(7) = ?, @to datetime2(7) = ?;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
SELECT COUNT(*)
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay}
   AND {selected}
   AND (@action = 'discard'
        OR (@action = 'replay' AND g.State IN ({from_replayed}))
        OR (@action = 'retry' AND g.State <> 'dead' AND g.NextAttempt > @utc));
