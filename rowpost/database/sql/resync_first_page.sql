/*
The first page of a resync: the keys of the first rows, of those that meet the condition, in the order of the primary
key.

Result sets: 1. how many rows are still to be delivered, and the newest version; 2. the keys, each with 1 if the
row's last change has the newest version or a later one.
Locks: none that last. If the connection dies: nothing was changed; the page is read again.
*/
SET NOCOUNT ON;
-- Read before the rows: what is sent later under this version is at least as new as it.
DECLARE @version bigint = CHANGE_TRACKING_CURRENT_VERSION(), @before bigint;
SET @before = CASE WHEN @version > 0 THEN @version - 1 ELSE 0 END;
SELECT COUNT(*), @version FROM rowpost.Ledger WHERE Relay = {relay} AND State <> 'dead';
SELECT TOP ({page_rows}) {read_key_of_t}, CASE WHEN c.SYS_CHANGE_VERSION >= @version THEN 1 ELSE 0 END
  FROM {table} t
  LEFT JOIN CHANGETABLE(CHANGES {table}, @before) c ON {same_key_t_c}
 WHERE {matching_of_t}
 ORDER BY {key_of_t};
