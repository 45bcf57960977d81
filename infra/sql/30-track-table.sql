-- Change tracking of one table, with the columns that each update touches (what `watch` needs).
-- Variables: $(Schema), $(Table)
IF NOT EXISTS (SELECT 1 FROM sys.change_tracking_tables WHERE object_id = OBJECT_ID(N'[$(Schema)].[$(Table)]'))
    ALTER TABLE [$(Schema)].[$(Table)] ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON);
GO
