/*
The records of rows by their keys, as SQL Server compares keys.

Parameters: 1. @keys, a JSON array of objects: number, and key with the key columns.
Result set: the key hash of each.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @keys nvarchar(max) = ?;
SELECT DISTINCT g.KeyHash
  FROM rowpost.Ledger g
 CROSS APPLY {key_of_record} k
  JOIN OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') q ON {same_key_q_k}
 WHERE g.Relay = {relay};
