/*
Who is still to be told of what.

Parameters: 1. @app. 2. @relay; empty for all.
Result set: the notice's id and document; the recipient's number, channel, address and place; how often somebody was started to tell,
and tried; seconds until the next try is due.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @app nvarchar(100) = ?, @relay nvarchar(261) = ?;
SELECT n.Notice, n.Document, r.Number, r.Channel, r.Address, r.Place, r.Starts, r.Tries, DATEDIFF(second, SYSUTCDATETIME(), r.NextTry)
  FROM rowpost.NoticeRecipients r
  JOIN rowpost.Notices n ON n.Notice = r.Notice
 WHERE r.State = 'waiting' AND n.App = @app AND (@relay = N'' OR n.Relay = @relay)
 ORDER BY n.CreatedAt, n.Notice, r.Number;
