/*
The choice of columns in force, if the durable entity was not told of it yet.

Result set: the choice, a JSON array of names or NULL for all columns; when it was made (UTC). No row if the entity knows it.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SELECT ClientColumns, CONVERT(nvarchar(40), ChosenAt, 126)
  FROM rowpost.Relays
 WHERE Relay = {relay} AND ChosenAt IS NOT NULL AND (ChoiceStored IS NULL OR ChoiceStored < ChosenAt);
