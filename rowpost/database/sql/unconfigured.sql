/*
Relays of this app that are not in its configuration any more, while rows of them wait.

Parameters: 1. @app. 2. @known, a JSON array: the names of the relays that are configured.
Result set: the relay, its live rows, the oldest failure (UTC), one of the reasons.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @app nvarchar(100) = ?, @known nvarchar(max) = ?;
SELECT r.Relay, COUNT(*), CONVERT(nvarchar(40), MIN(g.FirstFailure), 126), MAX(g.LastError)
  FROM rowpost.Relays r
  JOIN rowpost.Ledger g ON g.Relay = r.Relay AND g.State <> 'dead'
 WHERE r.App = @app
   AND NOT EXISTS (SELECT 1 FROM OPENJSON(@known) WITH (name nvarchar(261) '$') k WHERE k.name = r.Relay)
 GROUP BY r.Relay;
