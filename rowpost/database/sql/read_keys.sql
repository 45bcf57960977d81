/*
Read keys as the claim does, and nothing else: it fails if one of them is no key of the table, such as a number that is too large.

Parameters: 1. @keys, a JSON array of objects: number, and key with the key columns.
Result set: the keys.
Locks: none. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @keys nvarchar(max) = ?;
SELECT k.number, {read_key_of_k}
  FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k;
