-- Which recovery of a relay is the current one, and how far the storage of Durable Functions follows the database.
-- The number of the current recovery, which is in its instance id and never given twice; 0: there was none yet.
IF COL_LENGTH(N'rowpost.Relays', N'RecoveryNumber') IS NULL
ALTER TABLE rowpost.Relays ADD RecoveryNumber bigint NOT NULL CONSTRAINT DF_Relays_RecoveryNumber DEFAULT 0;
GO
-- When that number was given (UTC).
IF COL_LENGTH(N'rowpost.Relays', N'RecoveryBegun') IS NULL ALTER TABLE rowpost.Relays ADD RecoveryBegun datetime2(7) NULL;
GO
-- By when it looks again (UTC); long past: it does not move. NULL: it has ended, or is about to.
IF COL_LENGTH(N'rowpost.Relays', N'RecoveryDue') IS NULL ALTER TABLE rowpost.Relays ADD RecoveryDue datetime2(7) NULL;
GO
-- ChosenAt of the choice of columns that the durable entity was told last.
IF COL_LENGTH(N'rowpost.Relays', N'ChoiceStored') IS NULL ALTER TABLE rowpost.Relays ADD ChoiceStored datetime2(7) NULL;
