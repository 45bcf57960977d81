-- The demo's tables. Types are chosen for trouble: a text key, a composite key with an instant, decimals with more digits
-- than a double holds, and columns that are often NULL. May run again: it leaves existing tables as they are.
IF OBJECT_ID(N'dbo.Airports', N'U') IS NULL
CREATE TABLE dbo.Airports (
    Faa     nvarchar(8)     NOT NULL CONSTRAINT PK_Airports PRIMARY KEY,
    Name    nvarchar(100)   NOT NULL,
    Lat     decimal(18, 15) NOT NULL,
    Lon     decimal(18, 15) NOT NULL,
    Alt     int             NOT NULL,  -- feet
    Tz      smallint        NOT NULL,  -- hours from UTC
    Dst     nchar(1)        NOT NULL,
    TzName  nvarchar(40)    NULL
);
GO
IF OBJECT_ID(N'dbo.Weather', N'U') IS NULL
CREATE TABLE dbo.Weather (
    Origin      nchar(3)        NOT NULL,
    ObservedAt  datetime2(0)    NOT NULL,  -- UTC
    Temp        decimal(6, 2)   NULL,      -- °F
    Dewp        decimal(6, 2)   NULL,      -- °F
    Humid       decimal(6, 2)   NULL,      -- %
    WindDir     int             NULL,      -- degrees
    WindSpeed   decimal(20, 16) NULL,      -- mph
    WindGust    decimal(20, 16) NULL,      -- mph
    Precip      decimal(6, 2)   NOT NULL,  -- inches
    Pressure    decimal(7, 2)   NULL,      -- millibars
    Visib       decimal(6, 2)   NOT NULL,  -- miles
    CONSTRAINT PK_Weather PRIMARY KEY (Origin, ObservedAt)
);
GO
IF OBJECT_ID(N'dbo.Flights', N'U') IS NULL
CREATE TABLE dbo.Flights (
    FlightId     int          NOT NULL CONSTRAINT PK_Flights PRIMARY KEY,
    FlightDate   date         NOT NULL,
    Carrier      nvarchar(2)  NOT NULL,
    Flight       int          NOT NULL,
    Tailnum      nvarchar(6)  NULL,
    Origin       nchar(3)     NOT NULL,
    Dest         nchar(3)     NOT NULL,
    ScheduledAt  datetime2(0) NOT NULL,  -- New York's time
    DepTime      smallint     NULL,      -- hhmm
    DepDelay     smallint     NULL,      -- minutes
    ArrDelay     smallint     NULL,      -- minutes
    AirTime      smallint     NULL,      -- minutes
    Distance     int          NOT NULL   -- miles
);
GO
