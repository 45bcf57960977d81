/*
What the app must know of a table before it relays it: its columns and key, its change tracking, and the rights of the app's user.

Result sets: 1. a row for each column; 2. one row of facts; 3. the version of the app's own tables, 0 if there are none.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SELECT c.name, t.name, c.max_length, c.[precision], c.scale, k.key_ordinal, c.is_computed
  FROM sys.columns c
  LEFT JOIN sys.types t ON t.user_type_id = c.system_type_id
  LEFT JOIN (SELECT ic.object_id, ic.column_id, ic.key_ordinal
               FROM sys.indexes i
               JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
              WHERE i.is_primary_key = 1) k
    ON k.object_id = c.object_id AND k.column_id = c.column_id
 WHERE c.object_id = OBJECT_ID({table_literal}, N'U')
 ORDER BY c.column_id;
SELECT d.retention_period,
       d.retention_period_units,
       (SELECT ct.is_track_columns_updated_on FROM sys.change_tracking_tables ct WHERE ct.object_id = OBJECT_ID({table_literal}, N'U')),
       HAS_PERMS_BY_NAME({table_literal}, 'OBJECT', 'SELECT'),
       HAS_PERMS_BY_NAME({table_literal}, 'OBJECT', 'VIEW CHANGE TRACKING'),
       HAS_PERMS_BY_NAME(N'rowpost', 'SCHEMA', 'UPDATE')
  FROM sys.databases b
  LEFT JOIN sys.change_tracking_databases d ON d.database_id = b.database_id
 WHERE b.name = DB_NAME();
IF OBJECT_ID(N'rowpost.Ledger', N'U') IS NOT NULL AND OBJECT_ID(N'rowpost.SchemaVersion', N'U') IS NOT NULL
BEGIN
    SELECT COALESCE(MAX(Version), 0) FROM rowpost.SchemaVersion;
END
ELSE
BEGIN
    -- Tables without a version are the first ones.
    SELECT CASE WHEN OBJECT_ID(N'rowpost.Ledger', N'U') IS NULL THEN 0 ELSE 1 END;
END;
