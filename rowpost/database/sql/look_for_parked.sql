/*
What a crash or a trigger that stands still has left behind in the leases, and whether the table's recovery has something to do.

Result sets: 1. leases that nobody settles any more: the key, the lease version, the hand-outs; 2. whether anything waits
or is to be told, whether recovery must look at it now, and whether recovery does not move, whatever the state of its instance. While the
relay is paused nothing is late.
Locks: none that last. If the connection dies: nothing was changed.
*/
SET NOCOUNT ON;
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint;
-- Dead letters that wait for the next digest are no reason to look.
DECLARE @told datetime2(7) = (SELECT DeadToldAt
                                FROM rowpost.Relays
                               WHERE Relay = {relay}
                                 AND DeadToldAt > DATEADD(second, -{digest_seconds} - 300, SYSUTCDATETIME()));
IF OBJECT_ID({leases_literal}, N'U') IS NULL
BEGIN
    SELECT {no_key_columns}, CAST(NULL AS int) AS version, CAST(NULL AS int) AS attempt_count WHERE 1 = 0;
END
ELSE
BEGIN
    SET @last = {cursor};
    SELECT TOP ({at_most}) {read_key_of_l}, l._az_func_ChangeVersion, l._az_func_AttemptCount
      FROM {leases} l
     WHERE l._az_func_AttemptCount <= {parked_count}
        OR (l._az_func_AttemptCount >= {unsettled_count} AND l._az_func_LeaseExpirationTime < @now)
        -- In hand when its process ended, and now unknown to change tracking: the retention was over, or the table was truncated.
        OR (l._az_func_AttemptCount > 0
            AND l._az_func_LeaseExpirationTime < @now
            AND l._az_func_ChangeVersion < {redelivered_version}
            AND NOT EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES {table}, @last) c WHERE {same_key_c_l}));
END;
DECLARE @utc datetime2(7) = SYSUTCDATETIME(), @ordered datetime2(7), @due datetime2(7);
DECLARE @paused datetime2(7), @resumed datetime2(7);
SELECT @ordered = RetryOrdered, @due = RecoveryDue, @paused = PausedAt, @resumed = ResumedAt FROM rowpost.Relays WHERE Relay = {relay};
DECLARE @closed_at datetime2(7) = (SELECT ClosedAt FROM rowpost.Targets WHERE App = {app} AND Target = {target});
DECLARE @waits int = CASE WHEN EXISTS (SELECT 1 FROM rowpost.Ledger WHERE Relay = {relay} AND (State <> 'dead' OR Noticed = 0))
                               OR EXISTS (SELECT 1 FROM rowpost.Incidents WHERE Relay = {relay})
                          THEN 1 ELSE 0 END;
SELECT @waits,
       CASE WHEN EXISTS (SELECT 1
                           FROM rowpost.Ledger g
                          WHERE g.Relay = {relay}
                            AND ((g.State = 'dead' AND g.Noticed = 0 AND @told IS NULL)
                                 OR (@paused IS NULL
                                     AND (g.State = 'exhausted'
                                          OR (g.State <> 'dead' AND g.NextAttempt < DATEADD(minute, -5, @utc))
                                          -- Whoever should have woken recovery could not.
                                          OR (g.State IN ({from_ordered}) AND g.NextAttempt > @utc AND {due_by_order})))))
            THEN 1 ELSE 0 END,
       CASE WHEN @paused IS NULL
             AND (@resumed IS NULL OR @resumed < DATEADD(second, -{stuck_seconds}, @utc))
             AND (EXISTS (SELECT 1
                            FROM rowpost.Ledger
                           WHERE Relay = {relay}
                             AND State IN ('exhausted', 'detached')
                             AND NextAttempt < DATEADD(second, -{stuck_seconds}, @utc))
                  OR (@waits = 1 AND @due < DATEADD(second, -{stuck_seconds}, @utc)))
            THEN 1 ELSE 0 END;
