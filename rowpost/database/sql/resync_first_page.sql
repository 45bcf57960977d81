/*
The first page of a resync: the keys of the first rows, of those that meet the condition, in the order of the primary
key.

Result sets: 1. how many rows are still to be delivered, and the newest version; 2. the keys.
Locks: none that last. If the connection dies: nothing was changed; the page is read again.
*/
SET NOCOUNT ON;
-- Read before the rows: what is sent later under this version is at least as new as it.
DECLARE @version bigint = CHANGE_TRACKING_CURRENT_VERSION();
SELECT COUNT(*), @version FROM rowpost.Ledger WHERE Relay = {relay} AND State <> 'dead';
SELECT TOP ({page_rows}) {read_key_of_t}
  FROM {table} t
 WHERE {matching_of_t}
 ORDER BY {key_of_t};
