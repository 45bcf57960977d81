/*
Which recovery of the relay is the current one.

Result set: its number, 0 if there was none yet; the seconds since it was given; whether it has ended, or is about to.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SELECT RecoveryNumber,
       COALESCE(DATEDIFF(second, RecoveryBegun, SYSUTCDATETIME()), 0),
       CASE WHEN RecoveryDue IS NULL THEN 1 ELSE 0 END
  FROM rowpost.Relays
 WHERE Relay = {relay};
