/*
The ledger's records of some rows.

Parameters: 1. @hashes, a JSON array of key hashes.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @hashes nvarchar(max) = ?;
SELECT g.KeyHash, g.ChangeVersion, g.State, g.Attempts, g.Rounds,
       DATEDIFF(second, SYSUTCDATETIME(), g.NextAttempt),
       DATEDIFF(second, g.LastTried, SYSUTCDATETIME()),
       g.Operation,
       CAST(CASE WHEN {about_the_target} THEN 0 ELSE 1 END AS bit),
       CASE WHEN g.ResyncVersion = g.ChangeVersion THEN g.Resync END
  FROM OPENJSON(@hashes) WITH (keyHash char(64) '$') s
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = s.keyHash;
