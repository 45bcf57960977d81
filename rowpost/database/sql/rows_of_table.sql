/*
About how many rows a resync would send.

Result set: what the catalogue has of the table; NULL if it says nothing.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SELECT {rows_of_table};
