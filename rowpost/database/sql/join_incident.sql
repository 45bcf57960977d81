/*
Remember which rows belong to the open incidents of a relay, one chunk of them: at the end people are told what became of them.

Result set: how many were new; 0 ends the repetition.
Locks: the records of the incident. If the connection dies: the next look goes on.
*/
SET NOCOUNT ON;
DECLARE @openings int, @failures int, @closed_at datetime2(7);
SELECT @openings = Openings, @failures = Failures, @closed_at = ClosedAt
  FROM rowpost.Targets
 WHERE App = {app} AND Target = {target};
UPDATE m
   SET FirstFailure = g.FirstFailure, DiscardedAt = NULL
  FROM rowpost.IncidentRows m
  JOIN rowpost.Ledger g ON g.Relay = m.Relay AND g.KeyHash = m.KeyHash
 WHERE m.Relay = {relay} AND g.State <> 'dead' AND m.FirstFailure <> g.FirstFailure AND m.About = {about};
INSERT INTO rowpost.IncidentRows (Relay, About, KeyHash, FirstFailure)
SELECT TOP ({chunk_rows}) {relay}, x.About, x.KeyHash, x.FirstFailure
  FROM (SELECT g.KeyHash, g.FirstFailure, {about} AS About
          FROM rowpost.Ledger g
         WHERE g.Relay = {relay} AND g.State <> 'dead') x
  JOIN rowpost.Incidents i ON i.Relay = {relay} AND i.About = x.About
 WHERE NOT EXISTS (SELECT 1
                     FROM rowpost.IncidentRows m
                    WHERE m.Relay = {relay} AND m.About = x.About AND m.KeyHash = x.KeyHash);
SELECT @@ROWCOUNT;
