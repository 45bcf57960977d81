/*
The table's dead letters, newest first.

Parameters: 1. @limit, how many at most.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @limit int = ?;
SELECT TOP (@limit) g.RowKey, g.ChangeVersion, g.Operation, g.Attempts, g.Rounds,
       CONVERT(nvarchar(40), g.FirstFailure, 126), CONVERT(nvarchar(40), g.LastFailure, 126), g.LastStatus, g.LastError
  FROM rowpost.Ledger g
 WHERE g.Relay = {relay} AND g.State = 'dead'
 ORDER BY g.NextAttempt DESC, g.KeyHash;
