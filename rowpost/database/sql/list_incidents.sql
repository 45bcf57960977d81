/*
Incidents of an app, open and over, newest first: a page of them.

Parameters: 1. @app. 2. @relay; '' is any. 3. @open: 1 for those that are open, 0 for those that are over, -1 for both. 4. @before and
5. @before_id: when the last one of the page before was told, and its id. 6. @limit, how many at most.
Result set: id, relay, about, since, told, ended; its rows that were delivered, those given up, those that wait; notices sent;
acknowledged when and by whom; the last error; when it was told with all digits.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @app nvarchar(100) = ?, @relay nvarchar(261) = ?, @open int = ?, @before datetime2(7) = ?, @before_id nvarchar(200) = ?;
DECLARE @limit int = ?;
SELECT TOP (@limit) x.Incident, x.Relay, x.About, CONVERT(nvarchar(40), x.Since, 126), CONVERT(nvarchar(40), x.ToldAt, 126),
       CONVERT(nvarchar(40), x.EndedAt, 126), x.Delivered, x.GivenUp, x.Waiting, x.Notices,
       CONVERT(nvarchar(40), x.AcknowledgedAt, 126), x.AcknowledgedBy, x.LastError
  FROM (SELECT i.Incident, i.Relay, i.About, i.Since, i.ToldAt, CAST(NULL AS datetime2(7)) AS EndedAt,
               (SELECT COUNT(*)
                  FROM rowpost.IncidentRows m
                 WHERE m.Relay = i.Relay AND m.About = i.About
                   AND NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.Relay = m.Relay AND g.KeyHash = m.KeyHash)) AS Delivered,
               (SELECT COUNT(*)
                  FROM rowpost.IncidentRows m
                  JOIN rowpost.Ledger g ON g.Relay = m.Relay AND g.KeyHash = m.KeyHash
                 WHERE m.Relay = i.Relay AND m.About = i.About AND g.State = 'dead') AS GivenUp,
               (SELECT COUNT(*)
                  FROM rowpost.IncidentRows m
                  JOIN rowpost.Ledger g ON g.Relay = m.Relay AND g.KeyHash = m.KeyHash
                 WHERE m.Relay = i.Relay AND m.About = i.About AND g.State <> 'dead') AS Waiting,
               (SELECT COUNT(*)
                  FROM rowpost.Notices n
                  JOIN rowpost.NoticeRecipients p ON p.Notice = n.Notice
                 WHERE n.Incident = i.Incident AND p.State = 'sent') AS Notices,
               i.AcknowledgedAt, i.AcknowledgedBy,
               (SELECT TOP (1) g.LastError FROM rowpost.Ledger g WHERE g.Relay = i.Relay ORDER BY g.LastFailure DESC) AS LastError
          FROM rowpost.Incidents i
          JOIN rowpost.Relays r ON r.Relay = i.Relay
         WHERE r.App = @app AND @open <> 0 AND (@relay = N'' OR i.Relay = @relay)
        UNION ALL
        SELECT h.Incident, h.Relay, h.About, h.Since, h.ToldAt, h.EndedAt, h.Delivered, h.GivenUp, 0, h.Notices,
               h.AcknowledgedAt, h.AcknowledgedBy, h.LastError
          FROM rowpost.IncidentHistory h
         WHERE h.App = @app AND @open <> 1 AND (@relay = N'' OR h.Relay = @relay)) x
 WHERE x.ToldAt < @before OR (x.ToldAt = @before AND x.Incident < @before_id)
 ORDER BY x.ToldAt DESC, x.Incident DESC;
