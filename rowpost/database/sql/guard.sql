/*
Keep leases below five hand-outs where the claim itself could not: the server refused it as a whole, such as for a column that is gone.

Locks: the trigger's lock for one update, if a lease is at four hand-outs.
If the connection dies: nothing was written, or the leases are parked; the next claim looks again.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @lock int;
{guard_leases}
