/*
Make the table's row in rowpost.TableState, once, so that every other statement only updates it.

Locks: the key range of this one row, until COMMIT. If the connection dies: the row is made at the next start.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
BEGIN TRANSACTION;
IF NOT EXISTS (SELECT 1 FROM rowpost.TableState WITH (UPDLOCK, SERIALIZABLE) WHERE TableName = {table_name})
    INSERT INTO rowpost.TableState (TableName) VALUES ({table_name});
COMMIT;
