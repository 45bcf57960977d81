-- What the consumer keeps, for SQLite 3.24 or newer. Each part begins with its name; :names are parameters.
-- One transaction writes at a time (BEGIN IMMEDIATE), so nothing else needs a lock.

-- name: create_copy
CREATE TABLE IF NOT EXISTS rowpost_copy (
    source   TEXT NOT NULL,  -- the table of the relay, such as dbo.Orders
    row_key  TEXT NOT NULL,  -- the key as canonical JSON
    sequence TEXT NOT NULL,  -- epoch and version of the state that is kept; ordered as text
    data     TEXT,           -- the row as JSON; NULL: it was deleted (a tombstone, so that an older state cannot come back)
    PRIMARY KEY (source, row_key)
) WITHOUT ROWID;

-- name: create_sources
CREATE TABLE IF NOT EXISTS rowpost_sources (
    source TEXT NOT NULL PRIMARY KEY,
    floor  TEXT NOT NULL     -- the beginning of the last resync that was completed: what is older does not exist
);

-- name: begin
BEGIN IMMEDIATE;

-- name: commit
COMMIT;

-- name: rollback
ROLLBACK;

-- name: know_source
INSERT INTO rowpost_sources (source, floor) VALUES (:source, '') ON CONFLICT (source) DO NOTHING;

-- name: floor
SELECT floor FROM rowpost_sources WHERE source = :source;

-- name: put
INSERT INTO rowpost_copy (source, row_key, sequence, data)
VALUES (:source, :row_key, :sequence, :data)
ON CONFLICT (source, row_key) DO UPDATE
   SET sequence = excluded.sequence, data = excluded.data
 WHERE excluded.sequence > rowpost_copy.sequence;

-- name: raise_floor
UPDATE rowpost_sources SET floor = :sequence WHERE source = :source AND floor < :sequence;

-- name: remove_older
DELETE FROM rowpost_copy WHERE source = :source AND sequence < :sequence;

-- name: rows
SELECT row_key, data FROM rowpost_copy WHERE source = :source AND data IS NOT NULL;
