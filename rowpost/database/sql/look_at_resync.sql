/*
How far a resync has come, and what its next step depends on.

Parameters: 1. @resync, its id.
Result set: its state, its cause, its epoch, the version at its beginning, the position, pages so far, tries of the present event, starts;
whether the target takes its events; whether an older one is still under way; for how many seconds a newer one has waited, NULL if
none waits; its rows that are still to be delivered, and those that were given up; the last error of these; seconds for which the
circuit breaker is open; seconds to the next attempt of a row of the relay, since it began, or was ordered, and
since its last page; its rows that were queued; when it began (UTC), and now; whether the relay is paused. No row if
it has ended.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @resync char(36) = ?, @utc datetime2(7) = SYSUTCDATETIME();
SELECT r.State, r.Cause, r.Epoch, r.Since, r.Position, r.Pages, r.Tries, r.Starts, r.EventsTaken,
       CASE WHEN EXISTS (SELECT 1
                           FROM rowpost.Resyncs o
                          WHERE o.Relay = {relay} AND o.State IN ({open_resyncs})
                            AND (o.OrderedAt < r.OrderedAt OR (o.OrderedAt = r.OrderedAt AND o.Resync < r.Resync)))
            THEN 1 ELSE 0 END,
       (SELECT DATEDIFF(second, MIN(o.OrderedAt), @utc)
          FROM rowpost.Resyncs o
         WHERE o.Relay = {relay} AND o.State = 'ordered' AND o.Resync <> r.Resync),
       (SELECT COUNT(*) FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.Resync = r.Resync AND g.State <> 'dead'),
       (SELECT COUNT(*) FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.Resync = r.Resync AND g.State = 'dead')
       + COALESCE(r.GivenUp, 0),
       (SELECT TOP (1) g.LastError
          FROM rowpost.Ledger g
         WHERE g.Relay = {relay} AND g.Resync = r.Resync AND g.State = 'dead'
         ORDER BY g.LastFailure DESC),
       (SELECT DATEDIFF(second, @utc, t.OpenUntil)
          FROM rowpost.Targets t
         WHERE t.App = {app} AND t.Target = {target} AND t.Openings > 0),
       (SELECT DATEDIFF(second, @utc, MIN(g.NextAttempt)) FROM rowpost.Ledger g WHERE g.Relay = {relay} AND g.State <> 'dead'),
       DATEDIFF(second, COALESCE(r.BegunAt, r.OrderedAt), @utc),
       DATEDIFF(second, COALESCE(r.QueuedAt, @utc), @utc),
       r.Queued,
       CONVERT(nvarchar(40), r.BegunAt, 126),
       CONVERT(nvarchar(40), @utc, 126),
       (SELECT COUNT(*) FROM rowpost.Relays p WHERE p.Relay = {relay} AND p.PausedAt IS NOT NULL)
  FROM rowpost.Resyncs r
 WHERE r.Resync = @resync AND r.State IN ({open_resyncs});
