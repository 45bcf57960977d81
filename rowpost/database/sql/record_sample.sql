/*
Remember how a relay was at a look: since when a version exists, and how many rows waited.

Parameters: 1. @at, the time of the look. 2. @version, the newest of the database then. 3. @waiting. 4. @dead. 5. @lag, in seconds.
6. @look, all that was found, as JSON; NULL if it is quick to find.
Locks: one new row, and the relay's row of rowpost.Relays, for one update. If the connection dies: each is written or not; the next
look writes the next one.
*/
SET NOCOUNT ON;
DECLARE @at datetime2(7) = ?, @version bigint = ?, @waiting int = ?, @dead int = ?, @lag int = ?, @look nvarchar(max) = ?;
UPDATE rowpost.Relays
   SET LastLook = @look, LastLookAt = @at
 WHERE Relay = {relay} AND (LastLook IS NOT NULL OR @look IS NOT NULL);
INSERT INTO rowpost.Samples (Relay, At, Epoch, Version, Waiting, Dead, LagSeconds)
SELECT {relay}, @at, r.Epoch, @version, @waiting, @dead, @lag
  FROM rowpost.Relays r
 WHERE r.Relay = {relay}
   AND NOT EXISTS (SELECT 1 FROM rowpost.Samples WHERE Relay = {relay} AND At = @at);
