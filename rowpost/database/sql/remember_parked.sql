/*
The leases of parked changes are ours, and no progress of the trigger: the next look compares with them.

Locks: the table's row of rowpost.TableState. If the connection dies: the trigger is seen to stand still one look later.
*/
UPDATE rowpost.TableState
   SET StillLeased = {newest_lease}
 WHERE TableName = {table_name};
