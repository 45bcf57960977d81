/*
Write down what people are to be told and whom, once, together with what the notice is about. Who is to tell finds it here.

Parameters: 1. @notice, its id. 2. @app. 3. @relay. 4. @kind. 5. @document, JSON. 6. @people, a JSON array of objects: number, channel,
address, place. 7. @cause: begin or end of an incident; remind of one; dead, for dead letters; other. 8. @about, of the incident.
9. @time: of its first failure, or up to which dead letters are told.
Result set: 1 if the notice is new, else 0.
Locks: the key range of the notice, the incident and its records, until COMMIT. If the connection dies: all is written, or nothing.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @notice nvarchar(200) = ?, @app nvarchar(100) = ?, @relay nvarchar(261) = ?, @kind varchar(20) = ?;
DECLARE @document nvarchar(max) = ?, @people nvarchar(max) = ?, @cause varchar(10) = ?, @about varchar(10) = ?;
DECLARE @time datetime2(7) = ?, @reminders int, @incident nvarchar(200), @delivered int, @given_up int, @error nvarchar(400);
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @new int = 1, @openings int;
DECLARE @failures int, @closed_at datetime2(7), @since datetime2(7), @told_at datetime2(7), @sent int;
DECLARE @acknowledged_at datetime2(7), @acknowledged_by nvarchar(200);
SELECT @incident = d.incident, @reminders = d.reminders, @delivered = d.delivered, @given_up = d.given_up, @error = d.error
  FROM OPENJSON(@document)
       WITH (incident nvarchar(200) '$.incident', reminders int '$.reminders', delivered int '$.delivered', given_up int '$.given_up',
             error nvarchar(400) '$.last_error') d;
BEGIN TRANSACTION;
IF @cause = 'begin'
BEGIN
    INSERT INTO rowpost.Incidents (Relay, About, Since, ToldAt, Incident)
    SELECT @relay, @about, @time, @utc, @incident
     WHERE NOT EXISTS (SELECT 1 FROM rowpost.Incidents WITH (UPDLOCK, SERIALIZABLE) WHERE Relay = @relay AND About = @about);
    SET @new = @@ROWCOUNT;
END;
IF @cause = 'remind'
BEGIN
    UPDATE rowpost.Incidents
       SET Reminders = @reminders + 1, RemindedAt = @utc
     WHERE Relay = @relay AND About = @about AND Reminders = @reminders AND AcknowledgedAt IS NULL
       AND COALESCE(Incident, N'') = COALESCE(@incident, N'');
    SET @new = @@ROWCOUNT;
END;
IF @cause = 'end'
BEGIN
    SELECT @incident = COALESCE(Incident, NULLIF(@incident, N''), @notice), @since = Since, @told_at = ToldAt, @sent = Reminders + 2,
           @acknowledged_at = AcknowledgedAt, @acknowledged_by = AcknowledgedBy
      FROM rowpost.Incidents WITH (UPDLOCK)
     WHERE Relay = @relay AND About = @about;
    SELECT @openings = t.Openings, @failures = t.Failures, @closed_at = t.ClosedAt
      FROM rowpost.Relays r
      JOIN rowpost.Targets t ON t.App = r.App AND t.Target = r.Target
     WHERE r.Relay = @relay;
    DELETE FROM rowpost.Incidents
     WHERE Relay = @relay
       AND About = @about
       AND NOT EXISTS (SELECT 1
                         FROM (SELECT {about} AS About
                                 FROM rowpost.Ledger g
                                WHERE g.Relay = @relay AND g.State <> 'dead') x
                        WHERE x.About = @about);
    SET @new = @@ROWCOUNT;
    IF @new = 1
    BEGIN
        DELETE FROM rowpost.IncidentRows WHERE Relay = @relay AND About = @about;
        INSERT INTO rowpost.IncidentHistory (Incident, App, Relay, About, Since, ToldAt, EndedAt, Delivered, GivenUp, Notices,
                                             LastError, AcknowledgedAt, AcknowledgedBy)
        VALUES (@incident, @app, @relay, @about, @since, @told_at, @utc, COALESCE(@delivered, 0), COALESCE(@given_up, 0), @sent,
                @error, @acknowledged_at, @acknowledged_by);
    END;
END;
IF @cause = 'dead'
BEGIN
    UPDATE rowpost.Relays
       SET DeadToldAt = @utc, DeadToldTo = @time
     WHERE Relay = @relay AND (DeadToldTo IS NULL OR DeadToldTo < @time);
    SET @new = @@ROWCOUNT;
END;
IF @new = 1
BEGIN
    INSERT INTO rowpost.Notices (Notice, App, Relay, Kind, Document, Incident, CreatedAt, DoneAt)
    SELECT @notice, @app, @relay, @kind, @document, @incident, @utc, CASE @people WHEN N'[]' THEN @utc END
     WHERE NOT EXISTS (SELECT 1 FROM rowpost.Notices WITH (UPDLOCK, SERIALIZABLE) WHERE Notice = @notice);
    SET @new = @@ROWCOUNT;
END;
IF @new = 1
    INSERT INTO rowpost.NoticeRecipients (Notice, Number, Channel, Address, Place, State, Starts, Tries, NextTry)
    SELECT @notice, p.number, p.channel, p.address, p.place, 'waiting', 0, 0, @utc
      FROM OPENJSON(@people)
           WITH (number int '$.number', channel varchar(20) '$.channel', address nvarchar(400) '$.address', place int '$.place') p;
COMMIT;
SELECT @new;
