-- Epochs: change versions are comparable within one life of the database only.
IF OBJECT_ID(N'rowpost.Lives', N'U') IS NULL
CREATE TABLE rowpost.Lives (
    App          nvarchar(100)    NOT NULL CONSTRAINT PK_Lives PRIMARY KEY,
    DatabaseMark nvarchar(200)    NOT NULL,  -- what told this database from others at the last look
    Token        uniqueidentifier NOT NULL,  -- written by the last look, and remembered outside the database
    LookNumber   bigint           NOT NULL,  -- it grows with each look
    Version      bigint           NOT NULL,  -- the newest change version at the last look
    Epoch        bigint           NOT NULL   -- with which this life began; 0: the first that was seen
);
GO
-- The events of a relay that is here already keep their ids: its epoch is 0 until its versions begin again.
IF COL_LENGTH(N'rowpost.Relays', N'Epoch') IS NULL
    ALTER TABLE rowpost.Relays ADD Epoch bigint NOT NULL CONSTRAINT DF_Relays_Epoch DEFAULT 0;
GO
-- The epoch of which people were told, and for which all rows were ordered to be sent again.
IF COL_LENGTH(N'rowpost.Relays', N'EpochHandled') IS NULL
    ALTER TABLE rowpost.Relays ADD EpochHandled bigint NOT NULL CONSTRAINT DF_Relays_EpochHandled DEFAULT 0;
GO
-- Until then a batch of the former life may still be under way: after it the trigger's cursor is put back once more.
IF COL_LENGTH(N'rowpost.Relays', N'RewindDue') IS NULL ALTER TABLE rowpost.Relays ADD RewindDue datetime2(7) NULL;
GO
-- The table, and the place where change tracking keeps its changes, to see that one of them was made anew.
IF COL_LENGTH(N'rowpost.Relays', N'TableId') IS NULL ALTER TABLE rowpost.Relays ADD TableId int NULL;
GO
IF COL_LENGTH(N'rowpost.Relays', N'TrackedSince') IS NULL ALTER TABLE rowpost.Relays ADD TrackedSince nvarchar(100) NULL;
GO
