/*
An order: post nothing of the relay any more. A batch that is claimed from now on puts its rows into the ledger, and one that is under
way ends. An order while the relay is paused changes nothing.

Parameters: 1. @token, of the order. 2. @action. 3. @by, who ordered it. 4. @request, JSON. 5. @reason.
Result set: since when the relay is paused (UTC), and how many rows of the ledger wait.
Locks: the relay's row of rowpost.Relays, until COMMIT. If the connection dies: all is written, or nothing; it may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @token char(36) = ?, @action varchar(30) = ?, @by nvarchar(200) = ?, @request nvarchar(max) = ?;
DECLARE @relay nvarchar(261) = {relay}, @count bigint, @result nvarchar(400);
DECLARE @reason nvarchar(400) = ?, @utc datetime2(7) = SYSUTCDATETIME();
BEGIN TRANSACTION;
UPDATE rowpost.Relays
   SET PausedAt = @utc, PausedBy = @by, PauseReason = @reason
 WHERE Relay = {relay} AND PausedAt IS NULL;
SET @result = CASE @@ROWCOUNT WHEN 1 THEN N'done' ELSE N'nothing to do' END;
{record_order}
COMMIT;
SELECT CONVERT(nvarchar(40), r.PausedAt, 126), (SELECT COUNT(*) FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.State <> 'dead')
  FROM rowpost.Relays r
 WHERE r.Relay = {relay};
