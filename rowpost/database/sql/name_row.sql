/*
A key as the table spells it, and what is known of its row whether or not the trigger has ever started.

Parameters: 1. @keys, a JSON array of one object: number, and key with the key columns.
Result set: whether the trigger's lease table exists, whether the row does, the version of its last change; since
when the relay is paused; the key.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @keys nvarchar(max) = ?;
SELECT CASE WHEN OBJECT_ID({leases_literal}, N'U') IS NULL THEN 0 ELSE 1 END,
       CASE WHEN t.{first_key} IS NULL THEN 0 ELSE 1 END,
       v.SYS_CHANGE_VERSION,
       (SELECT CONVERT(nvarchar(40), PausedAt, 126) FROM rowpost.Relays WHERE Relay = {relay}),
       {read_key_of_k}
  FROM OPENJSON(@keys) WITH ({key_from_item}, number int '$.number') k
  LEFT JOIN {table} t ON {same_key_t_k}
 OUTER APPLY CHANGETABLE(VERSION {table}, ({key_columns}), ({key_of_k})) v;
