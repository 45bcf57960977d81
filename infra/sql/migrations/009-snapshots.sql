-- A snapshot is a resync with another cause: the whole table is sent once, at the start of a relay.
IF COL_LENGTH(N'rowpost.Resyncs', N'Cause') IS NULL
    ALTER TABLE rowpost.Resyncs ADD Cause varchar(10) NOT NULL CONSTRAINT DF_Resyncs_Cause DEFAULT 'resync';  -- or initial
GO
-- When its last page was put into the ledger: for how long it waits since then until rows are delivered.
IF COL_LENGTH(N'rowpost.Resyncs', N'QueuedAt') IS NULL ALTER TABLE rowpost.Resyncs ADD QueuedAt datetime2(7) NULL;
GO
-- The initial snapshot of the relay: the id of the one that was ordered. There is one in the life of a relay.
IF COL_LENGTH(N'rowpost.Relays', N'InitialSnapshot') IS NULL ALTER TABLE rowpost.Relays ADD InitialSnapshot char(36) NULL;
GO
-- The version that the resync has given the row. An event of this version is sent for the sake of the resync; a later one is not.
IF COL_LENGTH(N'rowpost.Ledger', N'ResyncVersion') IS NULL ALTER TABLE rowpost.Ledger ADD ResyncVersion bigint NULL;
