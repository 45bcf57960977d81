/*
A resync has gone over the table: the gap is repaired, unless it has grown beyond the version with which the resync began.

Parameters: 1. @since, that version.
Locks: the table's row of rowpost.Relays. If the connection dies: the last page is read again, and this is repeated.
*/
DECLARE @since bigint = ?;
UPDATE rowpost.Relays
   SET GapFrom = NULL, GapTo = NULL, GapTold = NULL
 WHERE Relay = {relay} AND GapTo <= @since;
