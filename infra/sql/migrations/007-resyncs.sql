-- Orders to send a whole table again, and how far each has come. All that a resync must remember is here.
IF OBJECT_ID(N'rowpost.Resyncs', N'U') IS NULL
CREATE TABLE rowpost.Resyncs (
    Resync         char(36)      NOT NULL CONSTRAINT PK_Resyncs PRIMARY KEY,  -- its id
    Relay          nvarchar(261) NOT NULL,
    Reason         nvarchar(400) NOT NULL,
    Epoch          bigint        NOT NULL,  -- of the relay when it was ordered: versions are comparable within it only
    State          varchar(12)   NOT NULL,  -- ordered, begun, paging, settling; completed, incomplete, cancelled, superseded
    OrderedAt      datetime2(7)  NOT NULL,  -- UTC, as all times here
    OrderedVersion bigint        NOT NULL,  -- the database's newest version then
    BegunAt        datetime2(7)  NULL,
    Since          bigint        NULL,      -- the version at its beginning: all that it sends has this one or a later one
    Position       nvarchar(max) NULL,      -- the last key that was queued, as JSON
    Pages          int           NOT NULL,
    Queued         bigint        NOT NULL,  -- rows
    GivenUp        int           NULL,      -- rows that became dead letters, at its end
    EventsTaken    bit           NULL,      -- whether the target took the event of its beginning; 0: also if it is not sent
    BegunSaid      nvarchar(200) NULL,      -- what the target said to the events
    CompletedSaid  nvarchar(200) NULL,
    Problem        nvarchar(400) NULL,      -- why it does not go on
    Tries          int           NOT NULL,  -- of the present event
    Starts         int           NOT NULL,  -- how often an orchestration was started for it; only the last one may go on
    NextStep       datetime2(7)  NOT NULL,  -- when the next step is due; long past: whoever should make it hangs
    EndedAt        datetime2(7)  NULL
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.Resyncs') AND name = N'IX_Resyncs_Relay')
CREATE INDEX IX_Resyncs_Relay ON rowpost.Resyncs (Relay, State, OrderedAt);
GO
-- A change in this table gives the database a new change version. infra/prepare_database.py lets its changes be tracked.
IF OBJECT_ID(N'rowpost.Ticks', N'U') IS NULL
CREATE TABLE rowpost.Ticks (
    Relay    nvarchar(261) NOT NULL CONSTRAINT PK_Ticks PRIMARY KEY,
    TickedAt datetime2(7)  NOT NULL
);
GO
-- The resync that has queued the row last.
IF COL_LENGTH(N'rowpost.Ledger', N'Resync') IS NULL ALTER TABLE rowpost.Ledger ADD Resync char(36) NULL;
