/*
Write down how a try to tell one recipient ended. At its end it ended so for all notices that were told with it.

Parameters: 1. @notice. 2. @number, the recipient's. 3. @state: sent, failed, or waiting. 4. @tries so far. 5. @wait, seconds until the
next try. 6. @error of the last one.
Locks: the records of the notice and of those that were told with it, until COMMIT. If the connection dies: nothing was written; it is
repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @notice nvarchar(200) = ?, @number int = ?, @state varchar(10) = ?, @tries int = ?, @wait int = ?, @error nvarchar(400) = ?;
DECLARE @together TABLE (Notice nvarchar(200) NOT NULL PRIMARY KEY);
BEGIN TRANSACTION;
UPDATE rowpost.NoticeRecipients
   SET State = @state, Tries = @tries, NextTry = DATEADD(second, @wait, SYSUTCDATETIME()), LastError = @error
 WHERE Notice = @notice AND Number = @number AND State = 'waiting';
IF @state <> 'waiting'
BEGIN
    INSERT INTO @together (Notice)
    SELECT m.Notice
      FROM rowpost.NoticeRecipients m
      JOIN rowpost.NoticeRecipients r ON r.Channel = m.Channel AND r.Place = m.Place
     WHERE m.Digest = @notice AND m.State = 'digest' AND r.Notice = @notice AND r.Number = @number;
    UPDATE m
       SET State = @state, LastError = @error
      FROM rowpost.NoticeRecipients m
      JOIN rowpost.NoticeRecipients r ON r.Channel = m.Channel AND r.Place = m.Place
     WHERE m.Digest = @notice AND m.State = 'digest' AND r.Notice = @notice AND r.Number = @number;
END;
UPDATE n
   SET DoneAt = SYSUTCDATETIME()
  FROM rowpost.Notices n
 WHERE n.DoneAt IS NULL
   AND (n.Notice = @notice OR EXISTS (SELECT 1 FROM @together t WHERE t.Notice = n.Notice))
   AND NOT EXISTS (SELECT 1 FROM rowpost.NoticeRecipients r WHERE r.Notice = n.Notice AND r.State IN ('waiting', 'digest'));
COMMIT;
