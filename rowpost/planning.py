"""Planning: what becomes of the rows of a table's ledger as time passes. Set by set, in chunks, whatever the number of rows.

A chunk is chosen without any lock, and begins where the one before ended: a pass reads the ledger once. The trigger's lock, which
all triggers of the database share, is held only while the chunk's leases and records are written; rows that changed meanwhile are
left out.
"""

from __future__ import annotations

from rowpost.app import App
from rowpost.claim import APP_LOCK
from rowpost.ledger import ABOUT_THE_TARGET, to_json
from rowpost.tables import Table, literal, quote

LAPSED_SECONDS = 180  # a hold that ran out so long ago, and was not handed out: the trigger does not know the row any more
_CHUNK = 500  # rows
_PROBES = 3  # rows that try a target whose gate's time has come
_END = "z"  # after every hash
_CHUNKS_AT_MOST = 100  # of one call; what is left is planned by the next


def plan(app: App, table_name: str) -> bool:
    """Bring the table's ledger up to date with the clock, the gate and the operator's orders.

    Rows older than the window become dead letters; exhausted ones get their next round; those that wait for a target that works
    again, or that an operator ordered, become due; those that the trigger does not know any more are detached.

    Returns:
        Whether more is left to plan: a call ends after so many chunks that it never comes near the time limit of a function.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; each chunk was planned wholly or not at all.
    """
    table, retry = app.table(table_name), app.config.retry
    delays = [{"r": r, "s": s} for r, s in enumerate(retry.backoff.schedule_seconds())]
    sql = _plan_sql(table)
    parameters = (to_json(delays), len(delays) - 1, round(retry.window.seconds), retry.detach_after_rounds, retry.attempts)
    found = 0
    after = lost = ""
    for _ in range(_CHUNKS_AT_MOST):
        (((planned, last, last_lost),),) = app.database.run(sql, *parameters, after, lost)
        found += planned
        if last is not None or last_lost is not None:
            after, lost = last or _END, last_lost or lost
        elif found:  # what was planned may ask for more, such as an exhausted row that an operator ordered: from the start again
            after, lost, found = "", "", 0
        else:
            return False
    return True


def orphaned(table: Table) -> str:
    """Whether the trigger will not hand out the row of a ledger record and its lease ``l`` (by left join) any more."""
    return f"""(l.{quote(table.key[0].name)} IS NULL OR l._az_func_LeaseExpirationTime IS NULL
       OR l._az_func_LeaseExpirationTime < DATEADD(second, -{LAPSED_SECONDS}, @now)
       OR (l._az_func_ChangeVersion <= @last AND (l._az_func_AttemptCount <= 0 OR l._az_func_LeaseExpirationTime < @now)))"""


def _plan_sql(table: Table) -> str:
    """D: dead. P: planned for its next round. R: due now. L: unknown to the trigger."""
    name = literal(table.name)
    chosen = f"""@rows r JOIN rowpost.Ledger g ON g.TableName = {name} AND g.KeyHash = r.KeyHash
  CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k"""
    lease = f"{table.lease_sql} l ON {table.on('l', 'k')}"
    columns = "KeyHash, Fate, Seconds, State, LastFailure, NextAttempt"
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @delays nvarchar(max) = ?, @steps int = ?, @window int = ?, @detach int = ?, @attempts int = ?;
DECLARE @after char(64) = ?, @after_lost char(64) = ?, @end char(64), @end_lost char(64), @lock int, @planned int = 0;
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME(), @last bigint = {table.cursor_sql};
DECLARE @round int, @until datetime2(7), @opened datetime2(7), @ordered datetime2(7);
SELECT @round = GateRound, @until = GateUntil, @opened = GateOpened, @ordered = RetryOrdered
  FROM rowpost.TableState WHERE TableName = {name};
DECLARE @closed int = CASE WHEN @round >= @attempts AND @until > @utc THEN DATEDIFF(second, @utc, @until) + 1 ELSE 0 END;
DECLARE @rows TABLE (KeyHash char(64) NOT NULL PRIMARY KEY, Fate char(1) NOT NULL, Seconds int NOT NULL,
                     State varchar(10) NOT NULL, LastFailure datetime2(7) NOT NULL, NextAttempt datetime2(7) NOT NULL);
INSERT INTO @rows ({columns})
SELECT c.KeyHash, c.Fate, CASE WHEN c.Wait >= d.s THEN c.Wait ELSE d.s END, c.State, c.LastFailure, c.NextAttempt
  FROM (SELECT TOP ({_CHUNK}) x.* FROM (
        SELECT g.KeyHash, g.State, g.Rounds, g.LastFailure, g.NextAttempt,
               CASE WHEN g.NotBefore > DATEADD(second, @closed, @utc)
                    THEN DATEDIFF(second, @utc, g.NotBefore) ELSE @closed END AS Wait,
               CASE WHEN g.FirstFailure <= DATEADD(second, -@window, @utc) THEN 'D'
                    WHEN g.State = 'exhausted' OR (g.State = 'held' AND g.Detached = 1 AND g.NextAttempt <= @utc AND @closed > 0)
                         THEN 'P'
                    WHEN g.State IN ('held', 'retrying') AND g.NextAttempt > @utc AND (@closed = 0 OR g.Detached = 0)
                         AND (g.LastFailure < @ordered OR (g.LastFailure < @opened AND g.State = 'held' AND {ABOUT_THE_TARGET}
                                                           AND (g.NotBefore IS NULL OR g.NotBefore <= @utc))) THEN 'R' END AS Fate
          FROM rowpost.Ledger g WHERE g.TableName = {name} AND g.KeyHash > @after AND g.State <> 'dead') x
         WHERE x.Fate IS NOT NULL ORDER BY x.KeyHash) c
  JOIN OPENJSON(@delays) WITH (r int '$.r', s int '$.s') d ON d.r = CASE WHEN c.Rounds < @steps THEN c.Rounds ELSE @steps END;
SELECT @end = MAX(KeyHash) FROM @rows;
IF @end IS NULL
BEGIN
INSERT INTO @rows ({columns})
SELECT TOP ({_CHUNK}) g.KeyHash, 'L', 0, g.State, g.LastFailure, g.NextAttempt
  FROM rowpost.Ledger g CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k LEFT JOIN {lease}
 WHERE g.TableName = {name} AND g.State IN ('held', 'retrying') AND g.Detached = 0
   AND g.KeyHash > @after_lost AND g.NextAttempt < DATEADD(second, -{LAPSED_SECONDS}, @utc) AND {orphaned(table)}
 ORDER BY g.KeyHash;
SELECT @end_lost = MAX(KeyHash) FROM @rows;
END;
-- The gate's time has come: besides those that are due some try the target that failed least for their own sake.
IF @round >= @attempts AND @closed = 0 AND NOT EXISTS (SELECT 1 FROM @rows)
   AND NOT EXISTS (SELECT 1 FROM rowpost.Ledger WHERE TableName = {name} AND State = 'held' AND NextAttempt >= @until
                                                  AND NextAttempt <= @utc)
INSERT INTO @rows ({columns})
SELECT TOP ({_PROBES}) g.KeyHash, 'R', 0, g.State, g.LastFailure, g.NextAttempt
  FROM rowpost.Ledger g WHERE g.TableName = {name} AND g.State = 'held' AND (g.NotBefore IS NULL OR g.NotBefore <= @utc)
 ORDER BY CASE WHEN g.LastTried IS NULL THEN 0 ELSE 1 END, g.Attempts, g.LastTried;
IF EXISTS (SELECT 1 FROM @rows)
BEGIN
  BEGIN TRANSACTION;
  {APP_LOCK}
  SET @now = SYSDATETIME();
  SET @utc = SYSUTCDATETIME();
  DELETE r FROM @rows r
   WHERE NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.TableName = {name} AND g.KeyHash = r.KeyHash AND g.State = r.State
                        AND g.LastFailure = r.LastFailure AND g.NextAttempt = r.NextAttempt);
  -- AttemptCount 0 with a lease in the future keeps the row back and still counted as unprocessed; without a lease the cursor may
  -- pass it. A lease that somebody has in hand is left alone, and one of a newer change is never released.
  UPDATE l
     SET _az_func_AttemptCount = 0,
         _az_func_LeaseExpirationTime = CASE WHEN r.Fate = 'R' THEN DATEADD(millisecond, -1, @now)
                                             WHEN r.Fate = 'P'
                                                  AND (g.Rounds < @detach OR l._az_func_ChangeVersion > g.ChangeVersion)
                                                  THEN DATEADD(second, r.Seconds, @now) END
    FROM {chosen} JOIN {lease}
   WHERE l._az_func_AttemptCount <= 0 AND l._az_func_LeaseExpirationTime IS NOT NULL
     AND (r.Fate IN ('P', 'R') OR (r.Fate = 'D' AND l._az_func_ChangeVersion <= g.ChangeVersion));
  UPDATE g
     SET State = CASE r.Fate WHEN 'D' THEN 'dead' ELSE 'held' END,
         Noticed = CASE r.Fate WHEN 'D' THEN 0 ELSE g.Noticed END,
         Rounds = CASE r.Fate WHEN 'P' THEN g.Rounds + 1 ELSE g.Rounds END,
         NextAttempt = CASE r.Fate WHEN 'P' THEN DATEADD(second, r.Seconds, @utc) WHEN 'L' THEN g.NextAttempt ELSE @utc END,
         Detached = CASE WHEN r.Fate = 'L' OR l._az_func_LeaseExpirationTime IS NULL THEN 1 ELSE 0 END
    FROM {chosen} LEFT JOIN {lease};
  SET @planned = @@ROWCOUNT;
  COMMIT;
END;
SELECT @planned, @end, @end_lost;
"""
