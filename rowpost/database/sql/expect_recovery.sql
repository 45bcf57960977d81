/*
Write down by when a recovery looks again, if it is the current one of the relay.

Parameters: 1. @number, the recovery's. 2. @seconds until then; -1: it is about to end.
Result set: 1 if it is the current one, else 0.
Locks: the relay's row of rowpost.Relays, for one update. If the connection dies: it stands, or the recovery says it again.
*/
SET NOCOUNT ON;
DECLARE @number bigint = ?, @seconds int = NULLIF(?, -1);
UPDATE rowpost.Relays
   SET RecoveryDue = DATEADD(second, @seconds, SYSUTCDATETIME())
 WHERE Relay = {relay} AND RecoveryNumber = @number AND RecoveryNumber > 0;
SELECT @@ROWCOUNT;
