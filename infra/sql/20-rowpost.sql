-- The app's own tables (schema rowpost) and its role. Idempotent.
IF SCHEMA_ID(N'rowpost') IS NULL EXEC (N'CREATE SCHEMA rowpost');
GO
-- The trigger extension makes this schema if it may; made here, so that the app needs no CREATE SCHEMA.
IF SCHEMA_ID(N'az_func') IS NULL EXEC (N'CREATE SCHEMA az_func');
GO
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
    NextAttempt   datetime2(7)  NOT NULL,
    NotBefore     datetime2(7)  NULL,      -- the target's Retry-After
    LastStatus    int           NULL,      -- HTTP status
    LastError     nvarchar(400) NULL,      -- never holds values of the row or of the target's answer
    Noticed       bit           NOT NULL,  -- whether people were told that the row is dead
    CONSTRAINT PK_Ledger PRIMARY KEY (TableName, KeyHash)
);
GO
-- What is known of a table as a whole.
IF OBJECT_ID(N'rowpost.TableState', N'U') IS NULL
CREATE TABLE rowpost.TableState (
    TableName     nvarchar(261) NOT NULL CONSTRAINT PK_TableState PRIMARY KEY,
    ClientColumns nvarchar(max) NULL,      -- JSON array: the downstream system's own choice of columns
    WatchBase     bigint        NULL       -- the version that the change masks behind `watch` are relative to
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.database_principals WHERE name = N'rowpost_app' AND type = 'R') CREATE ROLE rowpost_app;
GO
GRANT SELECT, INSERT, UPDATE, DELETE ON SCHEMA::rowpost TO rowpost_app;
GRANT SELECT, INSERT, UPDATE, DELETE, ALTER, REFERENCES ON SCHEMA::az_func TO rowpost_app;
GRANT CREATE TABLE TO rowpost_app;
GO
