/*
An order: go on posting. All rows that wait are due at once, and the retry window of each begins anew. Recovery carries it out. An order
while the relay is not paused changes nothing.

Parameters: 1. @token, of the order. 2. @action. 3. @by, who ordered it. 4. @request, JSON.
Result set: since when the relay runs (UTC), NULL if it was never paused; how many rows wait.
Locks: the relay's row of rowpost.Relays, until COMMIT. If the connection dies: all is written, or nothing; it may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @token char(36) = ?, @action varchar(30) = ?, @by nvarchar(200) = ?, @request nvarchar(max) = ?;
DECLARE @relay nvarchar(261) = {relay}, @count bigint, @result nvarchar(400);
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @waiting bigint;
SELECT @waiting = COUNT(*) FROM rowpost.Ledger WHERE Relay = {relay} AND State <> 'dead';
BEGIN TRANSACTION;
UPDATE rowpost.Relays
   SET PausedAt = NULL, PausedBy = NULL, PauseReason = NULL, ResumedAt = @utc, RetryOrdered = @utc
 WHERE Relay = {relay} AND PausedAt IS NOT NULL;
SET @result = CASE @@ROWCOUNT WHEN 1 THEN N'done' ELSE N'nothing to do' END;
SET @count = CASE @result WHEN N'done' THEN @waiting ELSE 0 END;
{record_order}
COMMIT;
SELECT CONVERT(nvarchar(40), ResumedAt, 126), @waiting FROM rowpost.Relays WHERE Relay = {relay};
