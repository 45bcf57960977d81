-- What people are to be told, and what was told to whom; and the incidents that are open.
IF OBJECT_ID(N'rowpost.Notices', N'U') IS NULL
CREATE TABLE rowpost.Notices (
    Notice     nvarchar(200) NOT NULL CONSTRAINT PK_Notices PRIMARY KEY,  -- its id
    App        nvarchar(100) NOT NULL,  -- the app that tells it
    Relay      nvarchar(261) NOT NULL,
    Kind       varchar(20)   NOT NULL,
    Document   nvarchar(max) NOT NULL,  -- JSON, as people get it; never holds values of a row
    CreatedAt  datetime2(7)  NOT NULL,  -- UTC, as all times here
    DoneAt     datetime2(7)  NULL       -- when nobody was left to tell
);
GO
IF OBJECT_ID(N'rowpost.NoticeRecipients', N'U') IS NULL
CREATE TABLE rowpost.NoticeRecipients (
    Notice     nvarchar(200) NOT NULL,
    Number     int           NOT NULL,  -- from 1
    Channel    varchar(20)   NOT NULL,
    Address    nvarchar(400) NOT NULL,
    Place      int           NOT NULL,  -- among the addresses of the channel
    State      varchar(10)   NOT NULL,  -- waiting, sent, failed
    Starts     int           NOT NULL,  -- how often an orchestration was started to tell; only the last one may
    Tries      int           NOT NULL,
    NextTry    datetime2(7)  NOT NULL,  -- when the next try is due; long past: whoever should tell hangs
    LastError  nvarchar(400) NULL,
    CONSTRAINT PK_NoticeRecipients PRIMARY KEY (Notice, Number)
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.NoticeRecipients') AND name = N'IX_NoticeRecipients_State')
CREATE INDEX IX_NoticeRecipients_State ON rowpost.NoticeRecipients (State, Notice);
GO
IF OBJECT_ID(N'rowpost.Incidents', N'U') IS NULL
CREATE TABLE rowpost.Incidents (
    Relay      nvarchar(261) NOT NULL,
    About      varchar(10)   NOT NULL,  -- target: rows wait for it; row: rows fail for their own sake
    Since      datetime2(7)  NOT NULL,  -- the first failure among its rows
    ToldAt     datetime2(7)  NOT NULL,  -- when people were told that it has begun
    CONSTRAINT PK_Incidents PRIMARY KEY (Relay, About)
);
GO
IF OBJECT_ID(N'rowpost.IncidentRows', N'U') IS NULL
CREATE TABLE rowpost.IncidentRows (
    Relay        nvarchar(261) NOT NULL,
    About        varchar(10)   NOT NULL,
    KeyHash      char(64)      NOT NULL,
    FirstFailure datetime2(7)  NOT NULL,
    CONSTRAINT PK_IncidentRows PRIMARY KEY (Relay, About, KeyHash)
);
GO
-- People were told of the dead letters up to this time.
IF COL_LENGTH(N'rowpost.Relays', N'DeadToldTo') IS NULL ALTER TABLE rowpost.Relays ADD DeadToldTo datetime2(7) NULL;
