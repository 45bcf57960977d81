-- What people order: a relay that is paused, rows that are tried again or given up by hand, and who ordered what.
-- While PausedAt is set nothing of the relay is posted. UTC, as all times here.
IF COL_LENGTH(N'rowpost.Relays', N'PausedAt') IS NULL ALTER TABLE rowpost.Relays ADD PausedAt datetime2(7) NULL;
GO
IF COL_LENGTH(N'rowpost.Relays', N'PausedBy') IS NULL ALTER TABLE rowpost.Relays ADD PausedBy nvarchar(200) NULL;
GO
IF COL_LENGTH(N'rowpost.Relays', N'PauseReason') IS NULL ALTER TABLE rowpost.Relays ADD PauseReason nvarchar(400) NULL;
GO
-- The end of the last pause. The retry window of a row that waited then begins anew.
IF COL_LENGTH(N'rowpost.Relays', N'ResumedAt') IS NULL ALTER TABLE rowpost.Relays ADD ResumedAt datetime2(7) NULL;
GO
-- An order to try this row again: it is due since, if it failed before.
IF COL_LENGTH(N'rowpost.Ledger', N'RetryOrdered') IS NULL ALTER TABLE rowpost.Ledger ADD RetryOrdered datetime2(7) NULL;
GO
-- The class of the last error, as rowpost/rules/error_class.py has it; NULL counts as other.
IF COL_LENGTH(N'rowpost.Ledger', N'ErrorClass') IS NULL ALTER TABLE rowpost.Ledger ADD ErrorClass varchar(20) NULL;
GO
-- Set for a row of an incident whose change was given up by an order.
IF COL_LENGTH(N'rowpost.IncidentRows', N'DiscardedAt') IS NULL ALTER TABLE rowpost.IncidentRows ADD DiscardedAt datetime2(7) NULL;
GO
-- Every order: of people, and of the app itself. Kept for `history` of [watchdog].
IF OBJECT_ID(N'rowpost.Audit', N'U') IS NULL
CREATE TABLE rowpost.Audit (
    Id      bigint         NOT NULL IDENTITY CONSTRAINT PK_Audit PRIMARY KEY,
    Token   char(36)       NOT NULL CONSTRAINT UQ_Audit_Token UNIQUE,  -- of one order, however often it is written
    App     nvarchar(100)  NOT NULL,
    Relay   nvarchar(261)  NULL,      -- NULL: it is about the whole app
    At      datetime2(7)   NOT NULL,
    Action  varchar(30)    NOT NULL,
    ByWhom  nvarchar(200)  NOT NULL,
    Request nvarchar(max)  NOT NULL,  -- JSON; of many keys only their number
    Rows    bigint         NULL,      -- that it has changed so far; NULL if it is about none
    Result  nvarchar(400)  NOT NULL   -- begun: it is under way, or its process has ended
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.Audit') AND name = N'IX_Audit_App')
CREATE INDEX IX_Audit_App ON rowpost.Audit (App, At);
