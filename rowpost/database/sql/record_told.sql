/*
Write down how a try to tell one recipient ended.

Parameters: 1. @notice. 2. @number, the recipient's. 3. @state: sent, failed, or waiting. 4. @tries so far. 5. @wait, seconds until the
next try. 6. @error of the last one.
Locks: the records of the notice, until COMMIT. If the connection dies: nothing was written; it is repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @notice nvarchar(200) = ?, @number int = ?, @state varchar(10) = ?, @tries int = ?, @wait int = ?, @error nvarchar(400) = ?;
BEGIN TRANSACTION;
UPDATE rowpost.NoticeRecipients
   SET State = @state, Tries = @tries, NextTry = DATEADD(second, @wait, SYSUTCDATETIME()), LastError = @error
 WHERE Notice = @notice AND Number = @number AND State = 'waiting';
UPDATE rowpost.Notices
   SET DoneAt = SYSUTCDATETIME()
 WHERE Notice = @notice
   AND DoneAt IS NULL
   AND NOT EXISTS (SELECT 1 FROM rowpost.NoticeRecipients WHERE Notice = @notice AND State = 'waiting');
COMMIT;
