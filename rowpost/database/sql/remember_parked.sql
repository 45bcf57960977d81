/*
The leases of parked changes are ours, and no progress of the trigger: the next look compares with them.

Locks: the table's row of rowpost.Relays. If the connection dies: the trigger is seen to stand still two looks later.
*/
UPDATE rowpost.Relays
   SET StillLeased = {newest_lease}
 WHERE Relay = {relay};
