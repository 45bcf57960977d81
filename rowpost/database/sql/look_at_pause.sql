/*
Whether the relay is paused.

Result set: since when (UTC), by whom, why, for how many seconds, how many rows of the ledger wait, and the time now (UTC). No row if it
is not.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SELECT CONVERT(nvarchar(40), r.PausedAt, 126), r.PausedBy, r.PauseReason, DATEDIFF(second, r.PausedAt, SYSUTCDATETIME()),
       (SELECT COUNT(*) FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.State <> 'dead'),
       CONVERT(nvarchar(40), SYSUTCDATETIME(), 126)
  FROM rowpost.Relays r
 WHERE r.Relay = {relay} AND r.PausedAt IS NOT NULL;
