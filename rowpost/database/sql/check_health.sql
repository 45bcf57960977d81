/*
What a relay needs of the database, and how its trigger does. It works also if the app's own tables are missing.

Result sets: 1. whether the app's own tables are there, whether change tracking of the table is on, whether the app's user may read the
table, read its changes, and write the app's own tables; the change retention in minutes; whether the trigger's lease table is there.
2. if the app's own tables are there: their version, since when the trigger stands still, when that was seen last, and the clock, and
for how many seconds the relay is known.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
SELECT CASE WHEN OBJECT_ID(N'rowpost.Relays', N'U') IS NULL OR OBJECT_ID(N'rowpost.SchemaVersion', N'U') IS NULL THEN 0 ELSE 1 END,
       CASE WHEN EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID({table_literal}, N'U')) THEN 1 ELSE 0 END,
       COALESCE(HAS_PERMS_BY_NAME({table_literal}, 'OBJECT', 'SELECT'), 0),
       COALESCE(HAS_PERMS_BY_NAME({table_literal}, 'OBJECT', 'VIEW CHANGE TRACKING'), 0),
       COALESCE(HAS_PERMS_BY_NAME(N'rowpost', 'SCHEMA', 'UPDATE'), 0),
       (SELECT retention_period * CASE retention_period_units WHEN 1 THEN 1 WHEN 2 THEN 60 ELSE 1440 END
          FROM sys.change_tracking_databases
         WHERE database_id = DB_ID()),
       CASE WHEN OBJECT_ID({leases_literal}, N'U') IS NULL THEN 0 ELSE 1 END;
IF OBJECT_ID(N'rowpost.Relays', N'U') IS NOT NULL AND OBJECT_ID(N'rowpost.SchemaVersion', N'U') IS NOT NULL
    SELECT (SELECT MAX(Version) FROM rowpost.SchemaVersion),
           CONVERT(nvarchar(40), r.StillSince, 126),
           DATEDIFF(second, r.StillSince, r.StillSeen),
           DATEDIFF(second, r.StillSeen, @utc),
           DATEDIFF_BIG(second, '1970-01-01', @utc) - r.Epoch
      FROM (SELECT 1 AS One) o
      LEFT JOIN rowpost.Relays r ON r.Relay = {relay};
