/*
Put a page of a resync into the ledger, and move its position behind it, together. Rows that are there already are raised to the page's
version: each row that exists is delivered under the version of the resync's beginning or a later one.

Events that are sent for the sake of the resync are marked: those of the version that is in ResyncVersion. The version of the page may be
that of a row's own last change. The trigger posts the same event then, without a mark: so it never has one.

Parameters: 1. @resync, its id. 2. @pages, how many it had when the page was read. 3. @rows, a JSON array of objects: keyHash, rowKey,
and own, 1 if the row's last change has the version of the page or a later one. 4. @version, under which they are sent. 5. @position, the
last key, as JSON.
Result set: 1 if the page was queued; 0 if another worker was faster, or the resync has ended.
Locks: the record of the resync and those of the rows, until COMMIT. If the connection dies: nothing was written, and the page is read
again; or it was queued, and the next one is.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @resync char(36) = ?, @pages int = ?, @rows nvarchar(max) = ?, @version bigint = ?, @position nvarchar(max) = ?;
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @queued int = (SELECT COUNT(*) FROM OPENJSON(@rows)), @moved int;
BEGIN TRANSACTION;
UPDATE rowpost.Resyncs
   SET Pages = @pages + 1, Queued = Queued + @queued, Position = @position, NextStep = @utc, QueuedAt = @utc, Problem = NULL
 WHERE Resync = @resync AND State = 'paging' AND Pages = @pages;
SET @moved = @@ROWCOUNT;
IF @moved = 1
BEGIN
    -- First those that have no record: from here on no record of the page comes or goes until COMMIT.
    INSERT INTO rowpost.Ledger (Relay, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds, FirstFailure,
                                LastFailure, NextAttempt, LastError, ErrorClass, Noticed, Resync, ResyncVersion)
    SELECT {relay}, s.keyHash, s.rowKey, @version, 'U', {to_resynced}, 0, 0, @utc, @utc, @utc,
           N'{not_tried}: the whole table is being sent', 'other', 0, @resync, CASE s.own WHEN 0 THEN @version END
      FROM OPENJSON(@rows) WITH (keyHash char(64) '$.keyHash', rowKey nvarchar(max) '$.rowKey', own int '$.own') s
     WHERE NOT EXISTS (SELECT 1
                         FROM rowpost.Ledger g WITH (UPDLOCK, SERIALIZABLE)
                        WHERE g.Relay = {relay} AND g.KeyHash = s.keyHash);
    -- Then the others. A row that is failing already has its schedule; a dead one gets a new window.
    UPDATE g
       SET FirstFailure = CASE WHEN g.State IN ({from_resynced}) THEN @utc ELSE g.FirstFailure END,
           NextAttempt = CASE WHEN g.State IN ({from_resynced}) THEN @utc ELSE g.NextAttempt END,
           NotBefore = CASE WHEN g.State IN ({from_resynced}) THEN NULL ELSE g.NotBefore END,
           Rounds = CASE WHEN g.State IN ({from_resynced}) THEN 0 ELSE g.Rounds END,
           Noticed = CASE WHEN g.State IN ({from_resynced}) THEN 0 ELSE g.Noticed END,
           State = CASE WHEN g.State IN ({from_resynced}) THEN {to_resynced} ELSE g.State END,
           Operation = 'U',
           ChangeVersion = CASE WHEN @version > g.ChangeVersion THEN @version ELSE g.ChangeVersion END,
           Resync = @resync,
           ResyncVersion = CASE WHEN @version > g.ChangeVersion AND s.own = 0 THEN @version END
      FROM rowpost.Ledger g
      JOIN OPENJSON(@rows) WITH (keyHash char(64) '$.keyHash', own int '$.own') s ON g.KeyHash = s.keyHash
     WHERE g.Relay = {relay} AND (g.Resync IS NULL OR g.Resync <> @resync OR g.ChangeVersion < @version);
END;
COMMIT;
SELECT @moved;
