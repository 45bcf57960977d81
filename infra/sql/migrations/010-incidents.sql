-- An incident has a name, which its notices share. A person can acknowledge it, and reminders end.
IF COL_LENGTH(N'rowpost.Incidents', N'Incident') IS NULL
    ALTER TABLE rowpost.Incidents ADD Incident nvarchar(200) NULL, AcknowledgedAt datetime2(7) NULL, AcknowledgedBy nvarchar(200) NULL,
        Reminders int NOT NULL CONSTRAINT DF_Incidents_Reminders DEFAULT 0, RemindedAt datetime2(7) NULL;
GO
UPDATE rowpost.Incidents SET Incident = N'incident-' + CONVERT(nvarchar(36), NEWID()) WHERE Incident IS NULL;
GO
-- Incidents that are over: kept as long as other history.
IF OBJECT_ID(N'rowpost.IncidentHistory', N'U') IS NULL
CREATE TABLE rowpost.IncidentHistory (
    Incident       nvarchar(200) NOT NULL CONSTRAINT PK_IncidentHistory PRIMARY KEY,
    App            nvarchar(100) NOT NULL,
    Relay          nvarchar(261) NOT NULL,
    About          varchar(10)   NOT NULL,  -- as in rowpost.Incidents
    Since          datetime2(7)  NOT NULL,  -- the first failure among its rows; UTC, as all times here
    ToldAt         datetime2(7)  NOT NULL,  -- the alarm
    EndedAt        datetime2(7)  NOT NULL,
    Delivered      int           NOT NULL,  -- rows
    GivenUp        int           NOT NULL,  -- rows
    Notices        int           NOT NULL,  -- how many people were sent: the alarm, the reminders, the end
    LastError      nvarchar(400) NULL,
    AcknowledgedAt datetime2(7)  NULL,
    AcknowledgedBy nvarchar(200) NULL
);
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.IncidentHistory') AND name = N'IX_IncidentHistory_EndedAt')
CREATE INDEX IX_IncidentHistory_EndedAt ON rowpost.IncidentHistory (App, EndedAt);
GO
IF COL_LENGTH(N'rowpost.Notices', N'Incident') IS NULL ALTER TABLE rowpost.Notices ADD Incident nvarchar(200) NULL;
GO
-- A recipient gets so many notices in a time. Those above wait, and are told together: with the notice that Digest names.
IF COL_LENGTH(N'rowpost.NoticeRecipients', N'TurnAt') IS NULL
    ALTER TABLE rowpost.NoticeRecipients ADD
        TurnAt datetime2(7)  NULL,  -- when it was first tried to be told
        Held   bit           NOT NULL CONSTRAINT DF_NoticeRecipients_Held DEFAULT 0,  -- 1: it waits for its turn, and others join it
        Digest nvarchar(200) NULL;
GO
IF NOT EXISTS (SELECT 1 FROM sys.indexes WHERE object_id = OBJECT_ID(N'rowpost.NoticeRecipients') AND name = N'IX_NoticeRecipients_TurnAt')
CREATE INDEX IX_NoticeRecipients_TurnAt ON rowpost.NoticeRecipients (Channel, Place, TurnAt);
