/*
Keep the last attempts of the rows that have failed now: twenty of each, or two while many rows fail. Their places are used again in a
circle. A row whose record was not written now, since others have gone on with it, is left alone.
Needs: @rows, as settle.sql describes it; @redelivered; @trace; @utc, the time of the settlement.
*/
DECLARE @kept int = 20;
IF (SELECT COUNT(*) FROM (SELECT TOP (1001) 1 AS One FROM rowpost.Ledger WHERE Relay = {relay}) many) > 1000 SET @kept = 2;
DELETE a
  FROM rowpost.Attempts a
  JOIN OPENJSON(@rows) WITH ({failure_fields}) s ON a.KeyHash = s.keyHash AND a.Number = s.attempts % @kept
  JOIN rowpost.Ledger g ON g.Relay = a.Relay AND g.KeyHash = a.KeyHash
 WHERE a.Relay = {relay} AND s.state IS NOT NULL AND s.tried = 1 AND g.LastFailure = @utc;
INSERT INTO rowpost.Attempts (Relay, KeyHash, Number, At, ChangeVersion, Status, Error, Milliseconds, ByWhom, Attempt, Trace)
SELECT {relay}, s.keyHash, s.attempts % @kept, @utc, s.version, s.status, s.error, s.milliseconds,
       CASE @redelivered WHEN 1 THEN 'recovery' ELSE 'trigger' END, s.attempts, @trace
  FROM OPENJSON(@rows) WITH ({failure_fields}) s
  JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = s.keyHash
 WHERE s.state IS NOT NULL AND s.tried = 1 AND g.LastFailure = @utc;
