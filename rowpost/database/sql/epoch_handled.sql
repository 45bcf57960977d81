/*
A new epoch was seen to: people were told, all rows were ordered to be sent again, and the trigger's cursor was put back.

Parameters: 1. @epoch. 2. @again: 1 if the cursor was put back once more, so that no batch of the former life is left.
Locks: the relay's row of rowpost.Relays. If the connection dies: the next look repeats it all, which does no harm.
*/
SET NOCOUNT ON;
DECLARE @epoch bigint = ?, @again int = ?;
UPDATE rowpost.Relays
   SET EpochHandled = @epoch, RewindDue = CASE @again WHEN 0 THEN DATEADD(second, {rewind_seconds}, SYSUTCDATETIME()) END
 WHERE Relay = {relay} AND Epoch = @epoch;
