/*
Take the turn to tell one recipient of a notice. A recipient gets so many notices in a time. The first one above the limit waits, and
all that come meanwhile join it: they are told together, when it is its turn.

Parameters: 1. @notice. 2. @number, the recipient's. 3. @starts, the generation that asks. 4. @limit: so many notices; 0 for no limit.
5. @seconds, in that time. 6. @ordered: 1 if an end is told after what was told before of its incident.
Result sets: 1. one row: what follows (over: somebody else tells, or nobody has to; wait; tell), seconds to wait, and 1 if the notice
is an alarm or a reminder of an incident that is over. 2. the documents to tell, oldest first.
Locks: that of all turns, until COMMIT: who joins a notice and who begins to tell it come one after the other. If the connection dies:
a turn that was taken stays taken, and the repetition gives it again.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @notice nvarchar(200) = ?, @number int = ?, @starts int = ?, @limit int = ?, @seconds int = ?, @ordered int = ?;
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @lock int, @next varchar(10) = 'over', @wait int = 0, @ended int = 0, @sent int = 0;
DECLARE @app nvarchar(100), @channel varchar(20), @place int, @turn_at datetime2(7), @held int, @kind varchar(20);
DECLARE @incident nvarchar(200), @leader nvarchar(200), @oldest datetime2(7);
BEGIN TRANSACTION;
EXEC @lock = sp_getapplock @Resource = N'rowpost_turns', @LockMode = 'Exclusive', @LockOwner = 'Transaction',
         @LockTimeout = 20000, @DbPrincipal = N'public';
IF @lock < 0 THROW 50001, N'the lock rowpost_turns was not granted within 20 s', 1;
SELECT @app = n.App, @kind = n.Kind, @incident = n.Incident, @channel = r.Channel, @place = r.Place, @turn_at = r.TurnAt,
       @held = CONVERT(int, r.Held)
  FROM rowpost.NoticeRecipients r
  JOIN rowpost.Notices n ON n.Notice = r.Notice
 WHERE r.Notice = @notice AND r.Number = @number AND r.Starts = @starts AND r.State = 'waiting';
IF @channel IS NOT NULL SET @next = 'tell';
IF @next = 'tell' AND @ordered = 1 AND @kind = 'recovered'
   AND EXISTS (SELECT 1
                 FROM rowpost.NoticeRecipients r
                 JOIN rowpost.Notices n ON n.Notice = r.Notice
                WHERE n.App = @app AND n.Incident = @incident AND n.Notice <> @notice
                  AND r.Channel = @channel AND r.Place = @place AND r.State = 'waiting')
BEGIN
    SET @next = 'wait';
    SET @wait = 60;
    UPDATE rowpost.NoticeRecipients
       SET NextTry = DATEADD(second, @wait, @utc)
     WHERE Notice = @notice AND Number = @number;
END;
IF @next = 'tell' AND @limit > 0 AND @turn_at IS NULL  -- a turn that was taken is not taken back
BEGIN
    IF @held = 0
        SET @leader = (SELECT TOP (1) r.Notice
                         FROM rowpost.NoticeRecipients r
                         JOIN rowpost.Notices n ON n.Notice = r.Notice
                        WHERE n.App = @app AND r.Channel = @channel AND r.Place = @place AND r.State = 'waiting' AND r.Held = 1
                        ORDER BY n.CreatedAt, n.Notice);
    SELECT @sent = COUNT(*), @oldest = MIN(r.TurnAt)
      FROM rowpost.NoticeRecipients r
      JOIN rowpost.Notices n ON n.Notice = r.Notice
     WHERE n.App = @app AND r.Channel = @channel AND r.Place = @place AND r.TurnAt > DATEADD(second, -@seconds, @utc);
    IF @leader IS NOT NULL
    BEGIN
        SET @next = 'over';
        UPDATE rowpost.NoticeRecipients SET State = 'digest', Digest = @leader WHERE Notice = @notice AND Number = @number;
    END
    ELSE IF @sent >= @limit
    BEGIN
        SET @next = 'wait';
        SET @wait = DATEDIFF(second, @utc, DATEADD(second, @seconds, @oldest)) + 1;
        UPDATE rowpost.NoticeRecipients
           SET Held = 1, NextTry = DATEADD(second, @wait, @utc)
         WHERE Notice = @notice AND Number = @number;
    END;
END;
IF @next = 'tell'
BEGIN
    UPDATE rowpost.NoticeRecipients
       SET Held = 0, TurnAt = COALESCE(TurnAt, @utc)
     WHERE Notice = @notice AND Number = @number;
    IF @kind IN ('alarm', 'reminder') AND @incident IS NOT NULL
       AND NOT EXISTS (SELECT 1 FROM rowpost.Incidents WHERE Incident = @incident)
        SET @ended = 1;
END;
COMMIT;
SELECT @next, @wait, @ended;
SELECT n.Document
  FROM rowpost.NoticeRecipients r
  JOIN rowpost.Notices n ON n.Notice = r.Notice
 WHERE @next = 'tell' AND r.Channel = @channel AND r.Place = @place
   AND ((r.Notice = @notice AND r.Number = @number) OR (r.Digest = @notice AND r.State = 'digest'))
 ORDER BY n.CreatedAt, n.Notice;
