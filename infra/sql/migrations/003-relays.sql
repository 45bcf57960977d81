-- All that is remembered belongs to a relay, and what is known of a target's health to the target.
IF OBJECT_ID(N'rowpost.Targets', N'U') IS NULL
CREATE TABLE rowpost.Targets (
    App        nvarchar(100) NOT NULL,  -- whose target it is: the name of the app's site
    Target     nvarchar(100) NOT NULL,
    -- The circuit breaker. It is closed while Openings is 0, then open until OpenUntil, then half-open.
    Failures   int           NOT NULL CONSTRAINT DF_Targets_Failures DEFAULT 0,  -- first failures of rows since the last sign of life
    Openings   int           NOT NULL CONSTRAINT DF_Targets_Openings DEFAULT 0,  -- how often it opened since it was last closed
    OpenUntil  datetime2(7)  NULL,      -- until then nothing is posted
    ClosedAt   datetime2(7)  NULL,      -- when it last showed that it works: rows that waited for it are due since
    CONSTRAINT PK_Targets PRIMARY KEY (App, Target)
);
GO
IF OBJECT_ID(N'rowpost.Relays', N'U') IS NULL
CREATE TABLE rowpost.Relays (
    Relay         nvarchar(261) NOT NULL CONSTRAINT PK_Relays PRIMARY KEY,
    App           nvarchar(100) NULL,      -- the app that it belongs to; NULL: the first that starts with a relay of this name
    TableName     nvarchar(261) NOT NULL,
    Target        nvarchar(100) NULL,
    ClientColumns nvarchar(max) NULL,      -- JSON array: the downstream system's own choice of columns
    ChosenAt      datetime2(7)  NULL,      -- when that choice was made; later for each later one
    WatchBase     bigint        NULL,      -- the version that the change masks behind `watch` are relative to
    RetryOrdered  datetime2(7)  NULL,      -- an operator's "retry now": rows that failed before are due since
    DeadToldAt    datetime2(7)  NULL,      -- when people were last told of dead letters
    BeginVersion  bigint        NULL,      -- with which version change tracking of the table began
    Covered       bigint        NULL,      -- every change up to this version is delivered, or in the ledger
    Mark          bigint        NULL,      -- the database's version at MarkAt: how far behind the trigger is
    MarkAt        datetime2(7)  NULL,
    GapFrom       bigint        NULL,      -- changes of these versions may be lost to the change retention
    GapTo         bigint        NULL,
    GapTold       bigint        NULL,      -- up to which of them people were told
    StillCursor   bigint        NULL,      -- the trigger's cursor, and the newest version under a lease,
    StillLeased   bigint        NULL,      -- as they were when changes waited for it
    StillSince    datetime2(7)  NULL,      -- when that was first seen, nothing having moved since
    StillSeen     datetime2(7)  NULL       -- and when it was seen last
);
GO
IF OBJECT_ID(N'rowpost.TableState', N'U') IS NOT NULL
EXEC (N'INSERT INTO rowpost.Relays (Relay, TableName, ClientColumns, ChosenAt, WatchBase, RetryOrdered, DeadToldAt, BeginVersion,
                            Covered, Mark, MarkAt, GapFrom, GapTo, GapTold)
        SELECT TableName, TableName, ClientColumns, ChosenAt, WatchBase, RetryOrdered, DeadToldAt, BeginVersion,
               Covered, Mark, MarkAt, GapFrom, GapTo, GapTold
          FROM rowpost.TableState s
         WHERE NOT EXISTS (SELECT 1 FROM rowpost.Relays r WHERE r.Relay = s.TableName)');
GO
IF COL_LENGTH(N'rowpost.Ledger', N'TableName') IS NOT NULL EXEC sp_rename N'rowpost.Ledger.TableName', N'Relay', N'COLUMN';
GO
IF OBJECT_ID(N'rowpost.TableState', N'U') IS NOT NULL DROP TABLE rowpost.TableState;
