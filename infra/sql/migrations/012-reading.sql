-- What the API shows of the past of a relay. All of it is bounded, and nothing is decided by it.
-- One sample of each look of the watchdog: since when a version exists, and how many rows waited. Kept for a week.
IF OBJECT_ID(N'rowpost.Samples', N'U') IS NULL
CREATE TABLE rowpost.Samples (
    Relay      nvarchar(261) NOT NULL,
    At         datetime2(7)  NOT NULL,  -- UTC, as all times here
    Epoch      bigint        NOT NULL,  -- versions of different epochs are not comparable
    Version    bigint        NULL,      -- the newest of the database then
    Waiting    int           NOT NULL,
    Dead       int           NOT NULL,
    LagSeconds int           NOT NULL,
    CONSTRAINT PK_Samples PRIMARY KEY (Relay, At)
);
GO
-- What the watchdog saw last, if it was long to find, as JSON: an instance that knows nothing yet gives it while it looks anew.
IF COL_LENGTH(N'rowpost.Relays', N'LastLook') IS NULL ALTER TABLE rowpost.Relays ADD LastLook nvarchar(max) NULL;
GO
IF COL_LENGTH(N'rowpost.Relays', N'LastLookAt') IS NULL ALTER TABLE rowpost.Relays ADD LastLookAt datetime2(7) NULL;
GO
-- The last attempts of each row that has a record in the ledger. They go with the record.
IF OBJECT_ID(N'rowpost.Attempts', N'U') IS NULL
CREATE TABLE rowpost.Attempts (
    Relay         nvarchar(261) NOT NULL,
    KeyHash       char(64)      NOT NULL,
    Number        int           NOT NULL,  -- its place: the places are used again in a circle
    At            datetime2(7)  NOT NULL,
    ChangeVersion bigint        NOT NULL,
    Status        int           NULL,      -- HTTP status
    Error         nvarchar(400) NULL,      -- never holds values of the row or of the target's answer
    Milliseconds  int           NULL,      -- from the request to the end of its answer
    ByWhom        varchar(10)   NOT NULL,  -- trigger, recovery
    Attempt       int           NOT NULL,  -- the how manieth of the row
    Trace         char(32)      NULL,      -- the id of its trace, hexadecimal
    CONSTRAINT PK_Attempts PRIMARY KEY (Relay, KeyHash, Number)
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.Attempts') AND name = N'IX_Attempts_At')
CREATE INDEX IX_Attempts_At ON rowpost.Attempts (Relay, At);
GO
-- When the circuit breaker of a target was opened and closed. Kept for a week.
IF OBJECT_ID(N'rowpost.BreakerChanges', N'U') IS NULL
CREATE TABLE rowpost.BreakerChanges (
    Number bigint        NOT NULL IDENTITY CONSTRAINT PK_BreakerChanges PRIMARY KEY,
    App    nvarchar(100) NOT NULL,
    Target nvarchar(100) NOT NULL,
    At     datetime2(7)  NOT NULL,
    Opened bit           NOT NULL
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.BreakerChanges') AND name = N'IX_BreakerChanges_At')
CREATE INDEX IX_BreakerChanges_At ON rowpost.BreakerChanges (App, Target, At);
GO
-- Lists page through it: with the key hash, which SQL Server has in it anyway, it is a position.
IF NOT EXISTS (SELECT 1
                 FROM sys.indexes i
                 JOIN sys.index_columns c ON c.object_id = i.object_id AND c.index_id = i.index_id
                WHERE i.object_id = OBJECT_ID(N'rowpost.Ledger') AND i.name = N'IX_Ledger_NextAttempt'
                  AND COL_NAME(c.object_id, c.column_id) = N'KeyHash')
   AND EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.Ledger') AND name = N'IX_Ledger_NextAttempt')
    DROP INDEX IX_Ledger_NextAttempt ON rowpost.Ledger;
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.Ledger') AND name = N'IX_Ledger_NextAttempt')
    CREATE INDEX IX_Ledger_NextAttempt ON rowpost.Ledger (Relay, State, NextAttempt, KeyHash);
