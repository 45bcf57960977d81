-- What the consumer keeps, for PostgreSQL 12 or newer. Each part begins with its name; :names are parameters.
-- Read committed is enough: the row of the source is locked, shared by those who put rows and alone by the end of a resync.
-- The type is json and not jsonb, which refuses a text with U+0000. SQL Server can have such texts.

-- name: create_copy
CREATE TABLE IF NOT EXISTS rowpost_copy (
    source   text NOT NULL,              -- the table of the relay, such as dbo.Orders
    row_key  text NOT NULL,              -- the key as canonical JSON
    sequence text COLLATE "C" NOT NULL,  -- epoch and version of the state that is kept; ordered as text, byte by byte
    data     json,                       -- the row, as it came; NULL: it was deleted (a tombstone: no older state can come back)
    PRIMARY KEY (source, row_key)
);

-- name: create_sources
CREATE TABLE IF NOT EXISTS rowpost_sources (
    source text NOT NULL PRIMARY KEY,
    floor  text COLLATE "C" NOT NULL     -- the beginning of the last resync that was completed: what is older does not exist
);

-- name: begin
BEGIN;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: know_source
INSERT INTO rowpost_sources (source, floor) VALUES (:source, '') ON CONFLICT (source) DO NOTHING;

-- name: floor
SELECT floor FROM rowpost_sources WHERE source = :source FOR SHARE;

-- name: put
INSERT INTO rowpost_copy (source, row_key, sequence, data)
VALUES (:source, :row_key, :sequence, CAST(:data AS json))
ON CONFLICT (source, row_key) DO UPDATE
   SET sequence = excluded.sequence, data = excluded.data
 WHERE excluded.sequence > rowpost_copy.sequence;

-- name: raise_floor
UPDATE rowpost_sources SET floor = :sequence WHERE source = :source AND floor < :sequence;

-- name: remove_older
DELETE FROM rowpost_copy WHERE source = :source AND sequence < :sequence;

-- name: rows
SELECT row_key, CAST(data AS text) FROM rowpost_copy WHERE source = :source AND data IS NOT NULL;
