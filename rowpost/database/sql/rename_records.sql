/*
Give records the present spelling of their keys: a key can change its case or its trailing blanks and remain the same to SQL Server.

Parameters: 1. @renamed, a JSON array of objects: oldHash; keyHash and rowKey, the present spelling.
Locks: the records, until COMMIT. If the connection dies: nothing was changed, and the next redelivery does it.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @renamed nvarchar(max) = ?;
BEGIN TRANSACTION;
-- The record that stays belongs to the resync of the one that goes, and is sent under its version or a later one.
UPDATE n
   SET Resync = COALESCE(g.Resync, n.Resync),
       ResyncVersion = CASE WHEN g.ChangeVersion > n.ChangeVersion THEN g.ResyncVersion ELSE n.ResyncVersion END,
       ChangeVersion = CASE WHEN g.ChangeVersion > n.ChangeVersion THEN g.ChangeVersion ELSE n.ChangeVersion END
  FROM rowpost.Ledger n
  JOIN OPENJSON(@renamed) WITH (oldHash char(64) '$.oldHash', keyHash char(64) '$.keyHash') s ON n.KeyHash = s.keyHash
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = s.oldHash
 WHERE n.Relay = {relay} AND g.Resync IS NOT NULL;
DELETE g
  FROM rowpost.Ledger g
  JOIN OPENJSON(@renamed) WITH (oldHash char(64) '$.oldHash', keyHash char(64) '$.keyHash') s ON g.KeyHash = s.oldHash
 WHERE g.Relay = {relay}
   AND EXISTS (SELECT 1 FROM rowpost.Ledger n WHERE n.Relay = {relay} AND n.KeyHash = s.keyHash);
UPDATE g
   SET KeyHash = s.keyHash, RowKey = s.rowKey
  FROM rowpost.Ledger g
  JOIN OPENJSON(@renamed)
       WITH (oldHash char(64) '$.oldHash', keyHash char(64) '$.keyHash', rowKey nvarchar(max) '$.rowKey') s
    ON g.KeyHash = s.oldHash
 WHERE g.Relay = {relay};
COMMIT;
