/*
What the app must know of a table before it relays it: its columns and key, its change tracking, and the rights of the app's user.

Result sets: 1. a row for each column: shape, place in the key, whether it is computed, whether the app's user sees a mask, whether it
is encrypted, hidden, generated, a column set, its formula, its collation, and whether it can be NULL; 2. one row of facts; 3. the
policies that filter rows, each with its predicate: only those that the app's user may know of; 4. the key columns of the trigger's
lease table, if there is one; 5. the version of the app's own tables, 0 if there are none.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
SELECT c.name, t.name, c.max_length, c.[precision], c.scale, k.key_ordinal, c.is_computed,
       -- Before SQL Server 2022 the permission is one on the database only, and the first question has no answer.
       CASE WHEN c.is_masked = 1
                 AND COALESCE(HAS_PERMS_BY_NAME({table_literal}, 'OBJECT', 'UNMASK', c.name, 'COLUMN'),
                              HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'UNMASK'), 0) = 0 THEN 1 ELSE 0 END,
       CASE WHEN c.encryption_type IS NULL THEN 0 ELSE 1 END,
       c.is_hidden,
       CASE WHEN c.generated_always_type = 0 THEN 0 ELSE 1 END,
       c.is_column_set,
       f.[definition],
       c.collation_name,
       -- What a computed column gives can be NULL whatever the catalogue says of it: its settings are those of the session.
       CASE WHEN c.is_nullable = 0 AND c.is_computed = 0 THEN 0 ELSE 1 END
  FROM sys.columns c
  LEFT JOIN sys.types t ON t.user_type_id = c.system_type_id
  LEFT JOIN (SELECT ic.object_id, ic.column_id, ic.key_ordinal
               FROM sys.indexes i
               JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
              WHERE i.is_primary_key = 1) k
    ON k.object_id = c.object_id AND k.column_id = c.column_id
  LEFT JOIN sys.computed_columns f ON f.object_id = c.object_id AND f.column_id = c.column_id
 WHERE c.object_id = OBJECT_ID({table_literal}, N'U')
 ORDER BY c.column_id;
SELECT d.retention_period,
       d.retention_period_units,
       (SELECT ct.is_track_columns_updated_on FROM sys.change_tracking_tables ct WHERE ct.object_id = OBJECT_ID({table_literal}, N'U')),
       HAS_PERMS_BY_NAME({table_literal}, 'OBJECT', 'SELECT'),
       HAS_PERMS_BY_NAME({table_literal}, 'OBJECT', 'VIEW CHANGE TRACKING'),
       HAS_PERMS_BY_NAME(N'rowpost', 'SCHEMA', 'UPDATE'),
       b.[compatibility_level],
       b.collation_name
  FROM sys.databases b
  LEFT JOIN sys.change_tracking_databases d ON d.database_id = b.database_id
 WHERE b.name = DB_NAME();
SELECT s.name, p.predicate_definition
  FROM sys.security_predicates p
  JOIN sys.security_policies s ON s.object_id = p.object_id
 WHERE p.target_object_id = OBJECT_ID({table_literal}, N'U') AND p.predicate_type = 0 AND s.is_enabled = 1
 ORDER BY s.name;
SELECT c.name, t.name, c.max_length, c.[precision], c.scale
  FROM sys.columns c
  JOIN sys.types t ON t.user_type_id = c.system_type_id
 WHERE c.object_id = OBJECT_ID({leases_literal}, N'U') AND c.name NOT LIKE N'[_]az[_]func[_]%';
IF OBJECT_ID(N'rowpost.Ledger', N'U') IS NOT NULL AND OBJECT_ID(N'rowpost.SchemaVersion', N'U') IS NOT NULL
BEGIN
    SELECT COALESCE(MAX(Version), 0) FROM rowpost.SchemaVersion;
END
ELSE
BEGIN
    -- Tables without a version are the first ones.
    SELECT CASE WHEN OBJECT_ID(N'rowpost.Ledger', N'U') IS NULL THEN 0 ELSE 1 END;
END;
