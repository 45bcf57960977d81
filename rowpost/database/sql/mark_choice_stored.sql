/*
Write down that the durable entity was told of a choice of columns.

Parameters: 1. @chosen_at, when that choice was made (UTC).
Locks: the relay's row of rowpost.Relays, for one update. If the connection dies: the entity is told once more, which does no harm.
*/
SET NOCOUNT ON;
DECLARE @chosen_at datetime2(7) = ?;
UPDATE rowpost.Relays
   SET ChoiceStored = @chosen_at
 WHERE Relay = {relay} AND (ChoiceStored IS NULL OR ChoiceStored < @chosen_at);
