-- A schema of a music shop, in the style of the sample databases that tools bring: brackets, named constraints, inserts of many rows.
IF EXISTS (SELECT name FROM master.dbo.sysdatabases WHERE name = N'Music')
BEGIN
    ALTER DATABASE [Music] SET OFFLINE WITH ROLLBACK IMMEDIATE;
    ALTER DATABASE [Music] SET ONLINE;
    DROP DATABASE [Music];
END
GO
CREATE DATABASE [Music];
GO
USE [rowpost];
GO
CREATE TABLE [dbo].[Artist]
(
    [ArtistId] INT NOT NULL IDENTITY,
    [Name] NVARCHAR(120),
    CONSTRAINT [PK_Artist] PRIMARY KEY CLUSTERED ([ArtistId])
);
GO
CREATE TABLE [dbo].[Album]
(
    [AlbumId] INT NOT NULL IDENTITY,
    [Title] NVARCHAR(160) NOT NULL,
    [ArtistId] INT NOT NULL,
    CONSTRAINT [PK_Album] PRIMARY KEY CLUSTERED ([AlbumId])
);
GO
CREATE TABLE [dbo].[Employee]
(
    [EmployeeId] INT NOT NULL IDENTITY,
    [LastName] NVARCHAR(20) NOT NULL,
    [ReportsTo] INT,
    [BirthDate] DATETIME,
    CONSTRAINT [PK_Employee] PRIMARY KEY CLUSTERED ([EmployeeId])
);
GO
CREATE TABLE [dbo].[Track]
(
    [TrackId] INT NOT NULL IDENTITY,
    [Name] NVARCHAR(200) NOT NULL,
    [AlbumId] INT,
    [Milliseconds] INT NOT NULL,
    [UnitPrice] NUMERIC(10,2) NOT NULL,
    CONSTRAINT [PK_Track] PRIMARY KEY CLUSTERED ([TrackId])
);
GO
ALTER TABLE [dbo].[Album] ADD CONSTRAINT [FK_AlbumArtistId]
    FOREIGN KEY ([ArtistId]) REFERENCES [dbo].[Artist] ([ArtistId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
GO
CREATE INDEX [IFK_AlbumArtistId] ON [dbo].[Album] ([ArtistId]);
GO
ALTER TABLE [dbo].[Employee] ADD CONSTRAINT [FK_EmployeeReportsTo]
    FOREIGN KEY ([ReportsTo]) REFERENCES [dbo].[Employee] ([EmployeeId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
GO
ALTER TABLE [dbo].[Track] ADD CONSTRAINT [FK_TrackAlbumId]
    FOREIGN KEY ([AlbumId]) REFERENCES [dbo].[Album] ([AlbumId]) ON DELETE NO ACTION ON UPDATE NO ACTION;
GO
INSERT INTO [dbo].[Artist] ([Name]) VALUES
    (N'Mótorhead'), (N'Sade'), (N'O''Brien & Sons');
GO
INSERT INTO [dbo].[Album] ([Title], [ArtistId]) VALUES
    (N'One', 1), (N'Two', 2), (N'[Three]', 2);
GO
INSERT INTO [dbo].[Employee] ([LastName], [ReportsTo], [BirthDate]) VALUES
    (N'Adams', NULL, '1962/2/18'), (N'Edwards', 1, '1958/12/8 10:00:00');
GO
INSERT INTO [dbo].[Track] ([Name], [AlbumId], [Milliseconds], [UnitPrice]) VALUES
    (N'Für Elise', 1, 343719, 0.99), (N'Ace', 3, 100, 1.99);
GO
SELECT a.[Name], COUNT(*) AS Tracks, SUM(t.[UnitPrice]) AS Price FROM [dbo].[Artist] a JOIN [dbo].[Album] b ON b.[ArtistId] = a.[ArtistId]
JOIN [dbo].[Track] t ON t.[AlbumId] = b.[AlbumId] GROUP BY a.[Name] ORDER BY a.[Name];
GO
