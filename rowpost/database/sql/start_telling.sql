/*
Take on the telling of one recipient: whoever was to tell before may not any more.

Parameters: 1. @notice. 2. @number, the recipient's. 3. @starts, how often somebody was started before.
Result set: 1 if the one that is started now may tell.
Locks: the recipient's record. If the connection dies: it may be repeated; else the watchdog finds that nobody tells.
*/
SET NOCOUNT ON;
DECLARE @notice nvarchar(200) = ?, @number int = ?, @starts int = ?;
UPDATE rowpost.NoticeRecipients
   SET Starts = @starts + 1, NextTry = CASE WHEN NextTry > SYSUTCDATETIME() THEN NextTry ELSE SYSUTCDATETIME() END
 WHERE Notice = @notice AND Number = @number AND Starts = @starts AND State = 'waiting';
SELECT COUNT(*)
  FROM rowpost.NoticeRecipients
 WHERE Notice = @notice AND Number = @number AND Starts = @starts + 1 AND State = 'waiting';
