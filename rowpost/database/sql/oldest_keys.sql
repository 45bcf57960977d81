/*
The keys of the oldest rows that a notice tells of.

Parameters: 1. @about: target or row, for live rows of that kind; dead, for dead letters that nobody was told of. 2. @to: up to which time
dead letters are told.
Result set: the keys as JSON, oldest failure first.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @about varchar(10) = ?, @to datetime2(7) = ?, @openings int, @failures int, @closed_at datetime2(7), @told_to datetime2(7);
SELECT @openings = Openings, @failures = Failures, @closed_at = ClosedAt FROM rowpost.Targets WHERE App = {app} AND Target = {target};
SELECT @told_to = COALESCE(DeadToldTo, '0001-01-01') FROM rowpost.Relays WHERE Relay = {relay};
SELECT TOP ({keys}) LEFT(x.RowKey, {characters})
  FROM (SELECT CASE WHEN g.State = 'dead' THEN 'dead' ELSE {about} END AS About, g.RowKey, g.FirstFailure, g.KeyHash
          FROM rowpost.Ledger g
         WHERE g.Relay = {relay}
           AND ((@about = 'dead' AND g.State = 'dead' AND g.Noticed = 0 AND g.NextAttempt > @told_to AND g.NextAttempt <= @to)
                OR (@about <> 'dead' AND g.State <> 'dead'))) x
 WHERE x.About = @about
 ORDER BY x.FirstFailure, x.KeyHash;
