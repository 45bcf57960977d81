/*
Remember that a person knows of an incident: reminders of it end. Who was first stays.

Parameters: 1. @app. 2. @incident, its id. 3. @by.
Result set: its relay, when it was acknowledged and by whom; no row if there is no such incident.
Locks: the incident, until COMMIT. If the connection dies: it is written or not; it may be repeated.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @app nvarchar(100) = ?, @incident nvarchar(200) = ?, @by nvarchar(200) = ?;
BEGIN TRANSACTION;
UPDATE i
   SET AcknowledgedAt = SYSUTCDATETIME(), AcknowledgedBy = @by
  FROM rowpost.Incidents i
  JOIN rowpost.Relays r ON r.Relay = i.Relay
 WHERE r.App = @app AND i.Incident = @incident AND i.AcknowledgedAt IS NULL;
UPDATE rowpost.IncidentHistory
   SET AcknowledgedAt = SYSUTCDATETIME(), AcknowledgedBy = @by
 WHERE App = @app AND Incident = @incident AND AcknowledgedAt IS NULL;
SELECT x.Relay, CONVERT(nvarchar(40), x.AcknowledgedAt, 126), x.AcknowledgedBy
  FROM (SELECT i.Relay, i.AcknowledgedAt, i.AcknowledgedBy
          FROM rowpost.Incidents i
          JOIN rowpost.Relays r ON r.Relay = i.Relay
         WHERE r.App = @app AND i.Incident = @incident
        UNION ALL
        SELECT h.Relay, h.AcknowledgedAt, h.AcknowledgedBy
          FROM rowpost.IncidentHistory h
         WHERE h.App = @app AND h.Incident = @incident) x;
COMMIT;
