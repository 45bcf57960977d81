/*
Write the downstream system's own choice of columns where claims read it.

Parameters: 1. @token, of the order. 2. @action. 3. @by, who ordered it. 4. @request, JSON. 5. @choice, a JSON array of names; '' for all
columns.
Result set: when the choice was made (UTC). Of two choices the later one has the later time, always.
Locks: the table's row of rowpost.Relays, until COMMIT. If the connection dies: the choice may stand or not; it was not confirmed.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @token char(36) = ?, @action varchar(30) = ?, @by nvarchar(200) = ?, @request nvarchar(max) = ?;
DECLARE @choice nvarchar(max) = NULLIF(?, N''), @utc datetime2(7) = SYSUTCDATETIME();
DECLARE @relay nvarchar(261) = {relay}, @count bigint, @result nvarchar(400) = N'done';
BEGIN TRANSACTION;
UPDATE rowpost.Relays
   SET ClientColumns = @choice,
       ChosenAt = CASE WHEN ChosenAt >= @utc THEN DATEADD(microsecond, 1, ChosenAt) ELSE @utc END
 WHERE Relay = {relay};
{record_order}
SELECT CONVERT(nvarchar(40), ChosenAt, 126) FROM rowpost.Relays WHERE Relay = {relay};
COMMIT;
