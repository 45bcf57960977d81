-- Change tracking of the database. Its retention must be longer than retry.window: what falls out of it is never handed out.
-- Variable: $(RetentionDays)
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases WHERE database_id = DB_ID())
    ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = $(RetentionDays) DAYS, AUTO_CLEANUP = ON);
ELSE IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_databases
                     WHERE database_id = DB_ID() AND retention_period * CASE retention_period_units WHEN 1 THEN 1 WHEN 2 THEN 60 ELSE 1440 END >= $(RetentionDays) * 1440)
    ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = $(RetentionDays) DAYS);
GO
