-- What the consumer keeps, for SQL Server 2016 or newer and Azure SQL. Each part begins with its name; :names are parameters.
-- The keys are compared byte by byte, as JSON text is. A long key cannot stand in an index, so its hash (SHA-256) does.

-- name: create_copy
IF OBJECT_ID(N'dbo.rowpost_copy', N'U') IS NULL
CREATE TABLE dbo.rowpost_copy (
    source   nvarchar(261) NOT NULL,     -- the table of the relay, such as dbo.Orders
    key_hash binary(32)    NOT NULL,     -- of row_key
    row_key  nvarchar(max) NOT NULL,     -- the key as canonical JSON
    sequence varchar(31) COLLATE Latin1_General_BIN2 NOT NULL,  -- epoch and version of the state that is kept; ordered as text
    data     nvarchar(max) NULL,         -- the row as JSON; NULL: it was deleted (a tombstone, so that an older state cannot come back)
    CONSTRAINT PK_rowpost_copy PRIMARY KEY (source, key_hash)
);

-- name: create_sources
IF OBJECT_ID(N'dbo.rowpost_sources', N'U') IS NULL
CREATE TABLE dbo.rowpost_sources (
    source nvarchar(261) NOT NULL CONSTRAINT PK_rowpost_sources PRIMARY KEY,
    floor  varchar(31) COLLATE Latin1_General_BIN2 NOT NULL  -- the beginning of the last resync that was completed
);

-- name: begin
SET XACT_ABORT ON; BEGIN TRANSACTION;

-- name: commit
COMMIT TRANSACTION;

-- name: rollback
IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;

-- name: know_source
DECLARE @source nvarchar(261) = :source;
INSERT INTO dbo.rowpost_sources (source, floor)
SELECT @source, ''
 WHERE NOT EXISTS (SELECT 1 FROM dbo.rowpost_sources WITH (UPDLOCK, HOLDLOCK) WHERE source = @source);

-- name: floor
-- The lock lasts to the end of the transaction: no resync is completed between this look and what is put. Who puts rows of the same
-- table waits too, so that no two of them can wait for each other in a circle.
SELECT floor FROM dbo.rowpost_sources WITH (UPDLOCK, HOLDLOCK) WHERE source = :source;

-- name: put
-- UPDLOCK and HOLDLOCK hold the row, or the gap where it will be: of two who put the same new row one waits. That is safer than
-- MERGE, which needs the same hint, and has more to know about.
DECLARE @source nvarchar(261) = :source, @key nvarchar(max) = :row_key, @sequence varchar(31) = :sequence;
DECLARE @data nvarchar(max) = :data, @hash binary(32);
SET @hash = CONVERT(binary(32), HASHBYTES('SHA2_256', @key));
IF EXISTS (SELECT 1 FROM dbo.rowpost_copy WITH (UPDLOCK, HOLDLOCK) WHERE source = @source AND key_hash = @hash)
BEGIN
    UPDATE dbo.rowpost_copy
       SET sequence = @sequence, data = @data
     WHERE source = @source AND key_hash = @hash AND sequence < @sequence;
END
ELSE
BEGIN
    INSERT INTO dbo.rowpost_copy (source, key_hash, row_key, sequence, data) VALUES (@source, @hash, @key, @sequence, @data);
END;

-- name: raise_floor
DECLARE @source nvarchar(261) = :source, @sequence varchar(31) = :sequence;
UPDATE dbo.rowpost_sources SET floor = @sequence WHERE source = @source AND floor < @sequence;

-- name: remove_older
DELETE FROM dbo.rowpost_copy WHERE source = :source AND sequence < CAST(:sequence AS varchar(31));

-- name: rows
SELECT row_key, data FROM dbo.rowpost_copy WHERE source = :source AND data IS NOT NULL;
