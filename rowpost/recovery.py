"""Recovery of one table: what its orchestration asks the database to do, one transaction a question.

The schedule belongs to the row, the orchestration is its clockwork: an exhausted row gets its next round and its lease is held
until then, so that the trigger itself delivers it again; a row whose lease is gone is redelivered from here; a row that failed
for the whole window becomes a dead letter.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from rowpost.app import App
from rowpost.claim import APP_LOCK, claim_keys, numbered_keys
from rowpost.ledger import fetch_records, rename_records, to_json
from rowpost.relay import Outcome, post, summarize
from rowpost.settlement import settle
from rowpost.tables import Table, literal

_REDELIVER_AT_MOST = 100  # rows that one call leases and posts
_LAPSED_SECONDS = 180  # a hold that ran out so long ago, and was not handed out: the trigger does not know the row any more
_LEASE_MARGIN_SECONDS = 30
_SURVEY_AT_LEAST_SECONDS = 1
_SURVEY_AT_MOST_SECONDS = 6 * 3600  # look again at least so often, whatever is planned


@dataclass(frozen=True, slots=True)
class Survey:
    """The state of a table's ledger after its rows were planned.

    Attributes:
        live: rows still to be delivered, in all states.
        round: the highest round among them.
        orphans_due: rows that are to be redelivered now, from here.
        next_seconds: when to look again.
        unnoticed_dead: dead letters that nobody was told of.
        dead: all dead letters of the table.
        as_of: the database's clock, ISO 8601, UTC.
        oldest_failure: the first failure among the live rows, ISO 8601, UTC.
        last_error: the reason of the latest failure.
        alarm: whether people are to be told that rows are not delivered.
    """

    live: int
    round: int
    orphans_due: int
    next_seconds: int
    unnoticed_dead: int
    dead: int
    as_of: str
    oldest_failure: str | None
    last_error: str | None
    alarm: bool


def survey(app: App, table_name: str) -> dict[str, Any]:
    """Plan the table's exhausted rows, give up those older than the window, and say what is left (see :class:`Survey`).

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; nothing was changed.
    """
    retry = app.config.retry
    if app.config.table(table_name) is None:  # no longer configured: nothing is left to recover
        return asdict(Survey(0, 0, 0, _SURVEY_AT_MOST_SECONDS, 0, 0, "", None, None, False))
    table = app.table(table_name)
    delays = [{"r": r, "s": s} for r, s in enumerate(retry.backoff.schedule_seconds())]
    ((row,),) = app.database.run(_survey_sql(table), to_json(delays), len(delays) - 1, round(retry.window.seconds))
    live, rounds, orphans_due, next_seconds, unnoticed, dead, as_of, oldest, error = row
    pause = _SURVEY_AT_MOST_SECONDS if next_seconds is None else next_seconds
    pause = max(_SURVEY_AT_LEAST_SECONDS, min(pause, _SURVEY_AT_MOST_SECONDS))
    alarm = bool(live) and rounds >= retry.notify_after_rounds
    return asdict(Survey(live or 0, rounds or 0, orphans_due or 0, pause, unnoticed or 0, dead or 0, as_of, oldest, error, alarm))


def redeliver(app: App, table_name: str) -> Outcome:
    """Redeliver due rows that the trigger does not hand out any more.

    Whoever posts a row holds its lease: the rows are leased first, exactly as a hand-out would, for as long as this may take.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; what was leased lapses and is redelivered later.
    """
    table = app.table(table_name)
    downstream = app.config.downstream
    lease = round(downstream.batch_budget.seconds + 2 * downstream.timeout.seconds + _LEASE_MARGIN_SECONDS)
    (rows,) = app.database.run(_lease_sql(table), lease)
    if not rows:
        return summarize([])
    keys = numbered_keys(table, [json.loads(row[0], parse_float=Decimal) for row in rows])
    claimed = claim_keys(app.database, table, keys)
    renamed = [row for row in claimed.rows if row.key_hash != rows[row.index][1]]
    if renamed:
        changes = [{"o": rows[row.index][1], "h": row.key_hash, "k": row.key_text} for row in renamed]
        rename_records(app.database, table, changes)
        records = fetch_records(app.database, table, [row.key_hash for row in renamed])
        for row in renamed:
            row.record = records.get(row.key_hash)
    settlements = post(app, table, claimed)
    settle(app.database, table, settlements)
    return summarize(settlements, claimed.unknown)


def mark_noticed(app: App, table_name: str, as_of: str) -> None:
    """Remember that people were told of the dead letters that a survey at ``as_of`` counted."""
    sql = f"""
SET NOCOUNT ON;
UPDATE rowpost.Ledger SET Noticed = 1
 WHERE TableName = {literal(app.table(table_name).name)} AND State = 'dead' AND Noticed = 0 AND NextAttempt <= ?;"""
    app.database.run(sql, as_of)


def _orphaned(table: Table) -> str:
    """Whether the trigger will not hand out the row of ledger record ``g`` and lease ``l`` (by left join) any more."""
    first = f"l.[{table.key[0].name.replace(']', ']]')}]"
    return f"""({first} IS NULL OR l._az_func_LeaseExpirationTime IS NULL
       OR l._az_func_LeaseExpirationTime < DATEADD(second, -{_LAPSED_SECONDS}, @now)
       OR (l._az_func_ChangeVersion <= @last AND (l._az_func_AttemptCount <= 0 OR l._az_func_LeaseExpirationTime < @now)))"""


def _records(table: Table) -> str:
    """The table's ledger records ``g``, each with its key ``k`` and its lease ``l``, if it has one."""
    return f"""rowpost.Ledger g
  CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k
  LEFT JOIN {table.lease_sql} l ON {table.on("l", "k")}"""


def _begin(table: Table, parameters: str) -> str:
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE {parameters}, @lock int;
BEGIN TRANSACTION;
{APP_LOCK}
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME();
DECLARE @last bigint = (SELECT MIN(LastSyncVersion) FROM az_func.GlobalState
                         WHERE UserTableID = OBJECT_ID({literal(table.sql)}));"""


def _survey_sql(table: Table) -> str:
    name = literal(table.name)
    planned = "CASE WHEN g.NotBefore > DATEADD(second, d.s, @utc) THEN DATEDIFF(second, @utc, g.NotBefore) ELSE d.s END"
    steps = """OPENJSON(@delays) WITH (r int '$.r', s int '$.s') d
    ON d.r = CASE WHEN g.Rounds < @steps THEN g.Rounds ELSE @steps END"""
    keyed = f"""rowpost.Ledger g CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k
  JOIN {table.lease_sql} l ON {table.on("l", "k")}"""
    return f"""{_begin(table, "@delays nvarchar(max) = ?, @steps int = ?, @window int = ?")}
-- Older than the window: dead. A lease that nobody has in hand is released, so that the cursor may pass the row.
UPDATE l SET _az_func_AttemptCount = 0, _az_func_LeaseExpirationTime = NULL
  FROM {keyed}
 WHERE g.TableName = {name} AND g.State <> 'dead' AND g.FirstFailure <= DATEADD(second, -@window, @utc)
   AND l._az_func_AttemptCount <= 0 AND l._az_func_LeaseExpirationTime IS NOT NULL
   AND l._az_func_ChangeVersion <= g.ChangeVersion;
UPDATE rowpost.Ledger SET State = 'dead', Noticed = 0, NextAttempt = @utc
 WHERE TableName = {name} AND State <> 'dead' AND FirstFailure <= DATEADD(second, -@window, @utc);
-- Exhausted: the next round. AttemptCount 0 with a lease in the future keeps the row back and still counted as unprocessed.
UPDATE l SET _az_func_AttemptCount = 0, _az_func_LeaseExpirationTime = DATEADD(second, {planned}, @now)
  FROM {keyed} JOIN {steps}
 WHERE g.TableName = {name} AND g.State = 'exhausted'
   AND l._az_func_AttemptCount <= 0 AND l._az_func_LeaseExpirationTime IS NOT NULL;
UPDATE g SET State = 'held', Rounds = g.Rounds + 1, NextAttempt = DATEADD(second, {planned}, @utc)
  FROM rowpost.Ledger g JOIN {steps}
 WHERE g.TableName = {name} AND g.State = 'exhausted';
SELECT SUM(CASE WHEN x.State <> 'dead' THEN 1 ELSE 0 END),
       MAX(CASE WHEN x.State <> 'dead' THEN x.Rounds END),
       SUM(CASE WHEN x.State <> 'dead' AND x.Orphaned = 1 AND x.Seconds <= 0 THEN 1 ELSE 0 END),
       MIN(CASE WHEN x.State = 'dead' THEN NULL
                WHEN x.Orphaned = 1 AND x.Seconds < x.WindowSeconds THEN x.Seconds
                WHEN x.Orphaned = 0 AND x.Seconds + {_LAPSED_SECONDS} + 60 < x.WindowSeconds
                     THEN CASE WHEN x.Seconds > 0 THEN x.Seconds ELSE 0 END + {_LAPSED_SECONDS} + 60
                ELSE x.WindowSeconds END),
       SUM(CASE WHEN x.State = 'dead' AND x.Noticed = 0 THEN 1 ELSE 0 END),
       SUM(CASE WHEN x.State = 'dead' THEN 1 ELSE 0 END),
       CONVERT(nvarchar(40), @utc, 126),
       CONVERT(nvarchar(40), MIN(CASE WHEN x.State <> 'dead' THEN x.FirstFailure END), 126),
       (SELECT TOP (1) e.LastError FROM rowpost.Ledger e WHERE e.TableName = {name} ORDER BY e.LastFailure DESC)
  FROM (SELECT g.State, g.Rounds, g.Noticed, g.FirstFailure,
               CASE WHEN g.NextAttempt <= @utc THEN 0 ELSE DATEDIFF(second, @utc, g.NextAttempt) + 1 END AS Seconds,
               DATEDIFF(second, @utc, DATEADD(second, @window, g.FirstFailure)) AS WindowSeconds,
               CASE WHEN {_orphaned(table)} THEN 1 ELSE 0 END AS Orphaned
          FROM {_records(table)}
         WHERE g.TableName = {name}) x;
COMMIT;
"""


def _lease_sql(table: Table) -> str:
    name = literal(table.name)
    keyed = f"""@due d JOIN rowpost.Ledger g ON g.TableName = {name} AND g.KeyHash = d.KeyHash
  CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k"""
    key_columns = ", ".join(f"[{c.name.replace(']', ']]')}]" for c in table.key)
    return f"""{_begin(table, "@lease int = ?")}
DECLARE @due TABLE (KeyHash char(64) NOT NULL PRIMARY KEY, Version bigint NOT NULL);
INSERT INTO @due (KeyHash, Version)
SELECT TOP ({_REDELIVER_AT_MOST}) g.KeyHash,
       CASE WHEN v.SYS_CHANGE_VERSION > g.ChangeVersion THEN v.SYS_CHANGE_VERSION ELSE g.ChangeVersion END
  FROM {_records(table)}
  OUTER APPLY {table.version_apply} v
 WHERE g.TableName = {name} AND g.State <> 'dead' AND g.NextAttempt <= @utc AND {_orphaned(table)}
 ORDER BY g.NextAttempt;
UPDATE l SET _az_func_ChangeVersion = d.Version, _az_func_AttemptCount = 1,
             _az_func_LeaseExpirationTime = DATEADD(second, @lease, @now)
  FROM {keyed} JOIN {table.lease_sql} l ON {table.on("l", "k")};
INSERT INTO {table.lease_sql} ({key_columns}, _az_func_ChangeVersion, _az_func_AttemptCount, _az_func_LeaseExpirationTime)
SELECT {table.key_list("k")}, d.Version, 1, DATEADD(second, @lease, @now)
  FROM {keyed}
 WHERE NOT EXISTS (SELECT 1 FROM {table.lease_sql} l WHERE {table.on("l", "k")});
SELECT g.RowKey, g.KeyHash FROM @due d JOIN rowpost.Ledger g ON g.TableName = {name} AND g.KeyHash = d.KeyHash;
COMMIT;
"""
