/*
An order: end the resyncs of the relay that are ordered or under way. Rows that are in the ledger by then are still sent.

Parameters: 1. @token, of the order. 2. @action. 3. @by, who ordered it. 4. @request, JSON.
Result set: how many were ended.
Locks: their records, until COMMIT. If the connection dies: they are ended or not; it may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @token char(36) = ?, @action varchar(30) = ?, @by nvarchar(200) = ?, @request nvarchar(max) = ?;
DECLARE @relay nvarchar(261) = {relay}, @count bigint, @result nvarchar(400), @ended int;
BEGIN TRANSACTION;
UPDATE rowpost.Resyncs
   SET State = 'cancelled', EndedAt = SYSUTCDATETIME(), Problem = NULL
 WHERE Relay = {relay} AND State IN ({open_resyncs});
SET @ended = @@ROWCOUNT;
SET @result = CASE @ended WHEN 0 THEN N'nothing to do' ELSE N'done' END;
{record_order}
COMMIT;
SELECT @ended;
