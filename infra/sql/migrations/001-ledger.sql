-- The tables as they were first. A database that has them already is left as it is.
-- One record per row that is not yet delivered; empty while all is well.
IF OBJECT_ID(N'rowpost.Ledger', N'U') IS NULL
CREATE TABLE rowpost.Ledger (
    TableName     nvarchar(261) NOT NULL,
    KeyHash       char(64)      NOT NULL,  -- SHA-256 of RowKey
    RowKey        nvarchar(max) NOT NULL,  -- canonical JSON of the primary key
    ChangeVersion bigint        NOT NULL,
    Operation     char(1)       NOT NULL,  -- U upsert, D delete
    State         varchar(10)   NOT NULL,  -- retrying, exhausted, held, dead
    Attempts      int           NOT NULL,
    Rounds        int           NOT NULL,
    FirstFailure  datetime2(7)  NOT NULL,  -- UTC, as all times here
    LastFailure   datetime2(7)  NOT NULL,
    LastTried     datetime2(7)  NULL,      -- when it was last posted; a failure may also be that the target was not called
    NextAttempt   datetime2(7)  NOT NULL,
    NotBefore     datetime2(7)  NULL,      -- the target's Retry-After
    LastStatus    int           NULL,      -- HTTP status
    LastError     nvarchar(400) NULL,      -- never holds values of the row or of the target's answer
    Noticed       bit           NOT NULL,  -- whether people were told that the row is dead
    Detached      bit           NOT NULL,  -- its lease is released: recovery redelivers it, the trigger does not hand it out
    CONSTRAINT PK_Ledger PRIMARY KEY (TableName, KeyHash)
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.Ledger') AND name = N'IX_Ledger_NextAttempt')
CREATE INDEX IX_Ledger_NextAttempt ON rowpost.Ledger (TableName, State, Detached, NextAttempt);
GO
-- What is known of a table as a whole.
IF OBJECT_ID(N'rowpost.TableState', N'U') IS NULL
CREATE TABLE rowpost.TableState (
    TableName     nvarchar(261) NOT NULL CONSTRAINT PK_TableState PRIMARY KEY,
    ClientColumns nvarchar(max) NULL,      -- JSON array: the downstream system's own choice of columns
    ChosenAt      datetime2(7)  NULL,      -- when that choice was made; later for each later one
    WatchBase     bigint        NULL,      -- the version that the change masks behind `watch` are relative to
    Failures      int           NOT NULL CONSTRAINT DF_TableState_Failures DEFAULT 0,   -- rows in a row that failed, no success between
    GateRound     int           NOT NULL CONSTRAINT DF_TableState_GateRound DEFAULT 0,  -- 0: open; else how often it was closed
    GateUntil     datetime2(7)  NULL,      -- until then nothing is posted
    GateOpened    datetime2(7)  NULL,      -- rows that the target failed before are due since
    RetryOrdered  datetime2(7)  NULL,      -- an operator's "retry now": rows that failed before are due since
    DeadToldAt    datetime2(7)  NULL,      -- when people were last told of dead letters
    BeginVersion  bigint        NULL,      -- with which version change tracking of the table began
    Covered       bigint        NULL,      -- every change up to this version is delivered, or in the ledger
    Mark          bigint        NULL,      -- the database's version at MarkAt: how far behind the trigger is
    MarkAt        datetime2(7)  NULL,
    GapFrom       bigint        NULL,      -- changes of these versions may be lost to the change retention
    GapTo         bigint        NULL,
    StillCursor   bigint        NULL,      -- the trigger's cursor, and the newest version under a lease,
    StillLeased   bigint        NULL,      -- as they were when changes waited for it
    StillSince    datetime2(7)  NULL,      -- when that was first seen, nothing having moved since
    StillSeen     datetime2(7)  NULL,      -- and when it was seen last
    GapTold       bigint        NULL       -- up to which of them people were told
);
