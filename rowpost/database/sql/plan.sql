/*
Plan one chunk of the ledger: what becomes of its rows as time passes.

A chunk is chosen without any lock, in the order of the key hashes, and begins where the one before ended. Then leases and records are
written together. A row whose record has changed in between is left to the next look.

Events: window_over (the row becomes a dead letter), planned (an exhausted row gets its next round), ordered (a row becomes due now,
since its target works again or an operator says so), lease_lost (the trigger does not know the row any more: recovery redelivers it).

Parameters: 1. @delays, a JSON array of objects: r, rounds so far; s, seconds until the next. 2. @steps, the last r. 3. @window, the
retry window in seconds. 4. @detach, rounds after which a lease is released. 5. @attempts, the built-in attempts. 6. @after and
7. @after_lost, where the chunk before ended; '' at first.
Result set: where the chunk ended if it was full, else NULL: of the other events, of lease_lost; 1 if what was planned may ask for more
from the start: an exhausted row that was ordered, probes of a half-open breaker; how many rows were given up.
Locks: while the chunk is written: the trigger's lock, the leases and the records of the chunk.
If the connection dies: the chunk is planned wholly or not at all; the next look goes on.
*/
SET NOCOUNT ON;
SET XACT_ABORT ON;
DECLARE @delays nvarchar(max) = ?, @steps int = ?, @window int = ?, @detach int = ?, @attempts int = ?;
DECLARE @after char(64) = ?, @after_lost char(64) = ?, @end char(64), @end_lost char(64), @lock int, @found int, @again int = 0;
DECLARE @dead int = 0;
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME(), @last bigint = {cursor};
DECLARE @openings int, @open_until datetime2(7), @closed_at datetime2(7), @ordered datetime2(7);
DECLARE @paused datetime2(7), @resumed datetime2(7);
SELECT @ordered = RetryOrdered, @paused = PausedAt, @resumed = ResumedAt FROM rowpost.Relays WHERE Relay = {relay};
-- While the relay is paused nothing is given up, and nothing is put off. Its rows are planned at the end of the pause.
IF @paused IS NOT NULL
BEGIN
    SELECT @end, @end_lost, @again, @dead;
    RETURN;
END;
SELECT @openings = Openings, @open_until = OpenUntil, @closed_at = ClosedAt
  FROM rowpost.Targets
 WHERE App = {app} AND Target = {target};
-- For how long the circuit breaker keeps recovery from posting; 0 if it does not.
DECLARE @open_seconds int = CASE WHEN @openings >= @attempts AND @open_until > @utc
                                 THEN DATEDIFF(second, @utc, @open_until) + 1 ELSE 0 END;
DECLARE @rows TABLE (
    KeyHash     char(64)     NOT NULL PRIMARY KEY,
    Event       varchar(12)  NOT NULL,
    Seconds     int          NOT NULL,
    State       varchar(10)  NOT NULL,
    LastFailure datetime2(7) NOT NULL,
    NextAttempt datetime2(7) NOT NULL
);
INSERT INTO @rows (KeyHash, Event, Seconds, State, LastFailure, NextAttempt)
SELECT c.KeyHash, c.Event, CASE WHEN c.Wait >= d.s THEN c.Wait ELSE d.s END, c.State, c.LastFailure, c.NextAttempt
  FROM (SELECT TOP ({chunk_rows}) x.*
          FROM (SELECT g.KeyHash, g.State, g.Rounds, g.LastFailure, g.NextAttempt,
                       CASE WHEN g.NotBefore > DATEADD(second, @open_seconds, @utc)
                            THEN DATEDIFF(second, @utc, g.NotBefore) ELSE @open_seconds END AS Wait,
                       CASE WHEN g.State IN ({from_window_over})
                                 AND g.FirstFailure <= DATEADD(second, -@window, @utc)
                                 AND (@resumed IS NULL OR @resumed <= DATEADD(second, -@window, @utc))
                            THEN 'window_over'
                            WHEN g.State IN ({from_planned})
                                 AND (g.State = 'exhausted' OR (g.NextAttempt <= @utc AND @open_seconds > 0))
                            THEN 'planned'
                            WHEN g.State IN ({from_ordered})
                                 AND g.NextAttempt > @utc
                                 AND (@open_seconds = 0 OR g.State <> 'detached')
                                 AND {due_by_order}
                            THEN 'ordered' END AS Event
                  FROM rowpost.Ledger g
                 WHERE g.Relay = {relay} AND g.KeyHash > @after AND g.State <> 'dead') x
         WHERE x.Event IS NOT NULL
         ORDER BY x.KeyHash) c
  JOIN OPENJSON(@delays) WITH (r int '$.r', s int '$.s') d ON d.r = CASE WHEN c.Rounds < @steps THEN c.Rounds ELSE @steps END;
SELECT @found = COUNT(*) FROM @rows;
IF @found = {chunk_rows} SELECT @end = MAX(KeyHash) FROM @rows;
IF @found < {chunk_rows}
BEGIN
    INSERT INTO @rows (KeyHash, Event, Seconds, State, LastFailure, NextAttempt)
    SELECT TOP ({chunk_rows}) g.KeyHash, 'lease_lost', 0, g.State, g.LastFailure, g.NextAttempt
      FROM rowpost.Ledger g
     CROSS APPLY {key_of_record} k
      LEFT JOIN {leases} l ON {same_key_l_k}
     WHERE g.Relay = {relay}
       AND g.State IN ({from_lease_lost})
       AND g.KeyHash > @after_lost
       AND g.NextAttempt < DATEADD(second, -{lapsed_seconds}, @utc)
       AND {lost_to_the_trigger}
       AND NOT EXISTS (SELECT 1 FROM @rows r WHERE r.KeyHash = g.KeyHash)
     ORDER BY g.KeyHash;
    IF @@ROWCOUNT = {chunk_rows} SELECT @end_lost = MAX(KeyHash) FROM @rows WHERE Event = 'lease_lost';
END;
IF EXISTS (SELECT 1
             FROM @rows r
             JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = r.KeyHash
            WHERE (@openings >= @attempts AND @open_seconds = 0)
               OR (r.Event = 'planned'
                   AND (r.LastFailure < @ordered OR r.LastFailure < g.RetryOrdered OR r.LastFailure < @closed_at)))
    SET @again = 1;
-- The breaker is half-open: besides rows that are due some probe the target, those that failed least for their own sake.
IF @openings >= @attempts
   AND @open_seconds = 0
   AND NOT EXISTS (SELECT 1 FROM @rows)
   AND NOT EXISTS (SELECT 1
                     FROM rowpost.Ledger
                    WHERE Relay = {relay} AND State IN ('held', 'detached')
                      AND NextAttempt >= @open_until AND NextAttempt <= @utc)
    INSERT INTO @rows (KeyHash, Event, Seconds, State, LastFailure, NextAttempt)
    SELECT TOP ({probes}) g.KeyHash, 'ordered', 0, g.State, g.LastFailure, g.NextAttempt
      FROM rowpost.Ledger g
     WHERE g.Relay = {relay} AND g.State IN ('held', 'detached') AND (g.NotBefore IS NULL OR g.NotBefore <= @utc)
     ORDER BY CASE WHEN g.LastTried IS NULL THEN 0 ELSE 1 END, g.Attempts, g.LastTried;
IF EXISTS (SELECT 1 FROM @rows)
BEGIN
    BEGIN TRANSACTION;
    {take_trigger_lock}
    SET @now = SYSDATETIME();
    SET @utc = SYSUTCDATETIME();
    DELETE r
      FROM @rows r
     WHERE NOT EXISTS (SELECT 1
                         FROM rowpost.Ledger g
                        WHERE g.Relay = {relay} AND g.KeyHash = r.KeyHash AND g.State = r.State
                          AND g.LastFailure = r.LastFailure AND g.NextAttempt = r.NextAttempt);
    -- A count of 0 with a lease in the future keeps the row back and still counted as unprocessed. Without a lease the cursor may
    -- pass it. A lease that somebody has in hand is left alone, and one of a newer change is never released.
    UPDATE l
       SET _az_func_AttemptCount = 0,
           _az_func_LeaseExpirationTime = CASE WHEN r.Event = 'ordered' THEN DATEADD(millisecond, -1, @now)
                                               WHEN r.Event = 'planned'
                                                    AND (g.Rounds < @detach OR l._az_func_ChangeVersion > g.ChangeVersion)
                                               THEN DATEADD(second, r.Seconds, @now) END
      FROM @rows r
      JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = r.KeyHash
     CROSS APPLY {key_of_record} k
      JOIN {leases} l ON {same_key_l_k}
     WHERE l._az_func_AttemptCount <= 0
       AND l._az_func_LeaseExpirationTime IS NOT NULL
       AND (r.Event IN ('planned', 'ordered') OR (r.Event = 'window_over' AND l._az_func_ChangeVersion <= g.ChangeVersion));
    UPDATE g
       SET State = CASE WHEN r.Event = 'window_over' THEN {to_window_over}
                        WHEN r.Event = 'lease_lost' THEN {to_lease_lost}
                        WHEN r.Event = 'planned' AND l._az_func_LeaseExpirationTime IS NULL THEN {to_planned_detached}
                        WHEN r.Event = 'planned' THEN {to_planned}
                        WHEN l._az_func_LeaseExpirationTime IS NULL THEN {to_ordered_detached}
                        ELSE {to_ordered} END,
           Noticed = CASE r.Event WHEN 'window_over' THEN 0 ELSE g.Noticed END,
           Rounds = CASE r.Event WHEN 'planned' THEN g.Rounds + 1 ELSE g.Rounds END,
           NextAttempt = CASE r.Event WHEN 'planned' THEN DATEADD(second, r.Seconds, @utc)
                                      WHEN 'lease_lost' THEN g.NextAttempt
                                      ELSE @utc END
      FROM @rows r
      JOIN rowpost.Ledger g ON g.Relay = {relay} AND g.KeyHash = r.KeyHash
     CROSS APPLY {key_of_record} k
      LEFT JOIN {leases} l ON {same_key_l_k};
    SET @dead = (SELECT COUNT(*) FROM @rows WHERE Event = 'window_over');
    COMMIT;
END;
SELECT @end, @end_lost, @again, @dead;
