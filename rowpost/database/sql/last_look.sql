/*
What the watchdog saw last of the relay, if it was long to find and nothing was ordered of the relay since.

Result set: it as JSON, if there is one.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SELECT r.LastLook
  FROM rowpost.Relays r
 WHERE r.Relay = {relay}
   AND r.LastLook IS NOT NULL
   AND NOT EXISTS (SELECT 1 FROM rowpost.Audit a WHERE a.App = {app} AND a.Relay = r.Relay AND a.At >= r.LastLookAt);
