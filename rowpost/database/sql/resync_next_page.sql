/*
A later page of a resync: the keys of the rows behind the last one of the page before, in the order of the primary key. So no page
depends on how many rows came before it.

Parameters: 1. @after, the last key of the page before, as JSON.
Result sets: 1. how many rows are still to be delivered, and the newest version; 2. the keys, each with 1 if the
row's last change has the newest version or a later one.
Locks: none that last. If the connection dies: nothing was changed; the page is read again.
*/
SET NOCOUNT ON;
DECLARE @after nvarchar(max) = ?, {declare_key};
SELECT {set_key} FROM OPENJSON(@after) WITH ({key_from_text}) k;
-- Read before the rows: what is sent later under this version is at least as new as it.
DECLARE @version bigint = CHANGE_TRACKING_CURRENT_VERSION(), @before bigint;
SET @before = CASE WHEN @version > 0 THEN @version - 1 ELSE 0 END;
SELECT COUNT(*), @version FROM rowpost.Ledger WHERE Relay = {relay} AND State <> 'dead';
SELECT TOP ({page_rows}) {read_key_of_t}, CASE WHEN c.SYS_CHANGE_VERSION >= @version THEN 1 ELSE 0 END
  FROM {table} t
  LEFT JOIN CHANGETABLE(CHANGES {table}, @before) c ON {same_key_t_c}
 WHERE {behind_key}
   AND {matching_of_t}
 ORDER BY {key_of_t};
