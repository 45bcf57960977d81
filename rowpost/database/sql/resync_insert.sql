/*
Put a page of a resync into the ledger, as detached rows that are due: recovery delivers them like any other.

Parameters: 1. @rows, a JSON array of objects: keyHash, rowKey. 2. @version, under which they are sent.
Locks: the records, until COMMIT. If the connection dies: the page is taken again; twice does no harm.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @rows nvarchar(max) = ?, @version bigint = ?, @utc datetime2(7) = SYSUTCDATETIME();
BEGIN TRANSACTION;
-- A row that is failing already has its schedule; a dead one gets a new window.
UPDATE g
   SET State = {to_resynced}, Rounds = 0, Noticed = 0, FirstFailure = @utc, NextAttempt = @utc, NotBefore = NULL,
       ChangeVersion = CASE WHEN @version > g.ChangeVersion THEN @version ELSE g.ChangeVersion END
  FROM rowpost.Ledger g
  JOIN OPENJSON(@rows) WITH (keyHash char(64) '$.keyHash') s ON g.KeyHash = s.keyHash
 WHERE g.Relay = {relay} AND g.State IN ({from_resynced});
INSERT INTO rowpost.Ledger (Relay, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds, FirstFailure,
                            LastFailure, NextAttempt, LastError, Noticed)
SELECT {relay}, s.keyHash, s.rowKey, @version, 'U', {to_resynced}, 0, 0, @utc, @utc, @utc,
       N'{not_tried}: a resync was ordered', 0
  FROM OPENJSON(@rows) WITH (keyHash char(64) '$.keyHash', rowKey nvarchar(max) '$.rowKey') s
 WHERE NOT EXISTS (SELECT 1
                     FROM rowpost.Ledger g WITH (UPDLOCK, SERIALIZABLE)
                    WHERE g.Relay = {relay} AND g.KeyHash = s.keyHash);
COMMIT;
