"""Recovery of one table: what its orchestration asks the database to do.

The schedule belongs to the row, the orchestration is its clockwork: an exhausted row gets its next round and its lease is held
until then, so that the trigger itself delivers it again; a row whose lease is gone, or was released after several rounds, is
redelivered from here; a row that failed for the whole window becomes a dead letter.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from decimal import Decimal
from typing import Any

from rowpost.app import App
from rowpost.claim import APP_LOCK, REDELIVERED_VERSION, claim_keys, numbered_keys
from rowpost.ledger import CHUNK_ROWS, NOT_TRIED, change_in_chunks, fetch_records, rename_records
from rowpost.planning import LAPSED_SECONDS, orphaned, plan
from rowpost.relay import Outcome, post, summarize
from rowpost.settlement import settle
from rowpost.tables import Table, literal, quote

REDELIVER_AT_MOST = 100  # rows that one call leases and posts
_LEASE_MARGIN_SECONDS = 30
DIGEST_SECONDS = 3600  # rows of a long outage die one after the other: they are told of once an hour
_SETTLED_SECONDS = 10
_SURVEY_AT_LEAST_SECONDS = 1
_SURVEY_AT_MOST_SECONDS = 6 * 3600  # look again at least so often, whatever is planned


@dataclass(frozen=True, slots=True)
class Survey:
    """The state of a table's ledger after its rows were planned.

    Attributes:
        live: rows still to be delivered, in all states.
        round: the highest round among them.
        due: detached rows that are to be redelivered now, from here.
        next_seconds: when to look again.
        unnoticed_dead: dead letters that nobody was told of.
        digest_seconds: how long these wait for a notice that tells of more at once; 0 if they are to be told now.
        dead: all dead letters of the table.
        as_of: the database's clock, ISO 8601, UTC.
        oldest_failure: the first failure among the live rows, ISO 8601, UTC.
        last_error: the reason of the latest failure.
        alarm: whether people are to be told that rows are not delivered.
    """

    live: int = 0
    round: int = 0
    due: int = 0
    next_seconds: int = _SURVEY_AT_MOST_SECONDS
    unnoticed_dead: int = 0
    digest_seconds: int = 0
    dead: int = 0
    as_of: str = ""
    oldest_failure: str | None = None
    last_error: str | None = None
    alarm: bool = False


def survey(app: App, table_name: str) -> dict[str, Any]:
    """Plan the table's rows (see :func:`rowpost.planning.plan`), and say what is left (see :class:`Survey`).

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; what was planned stays planned.
    """
    retry = app.config.retry
    if app.config.table(table_name) is None:  # no longer configured: nothing is left to recover
        return asdict(Survey())
    more = plan(app, table_name)
    ((row,),) = app.database.run(_look_sql(app.table(table_name)))
    live, rounds, due, unnoticed, tellable, dead, detached, attached, age, gate, told, as_of, oldest, error = row
    looks = [0] if more else []
    if age is not None:
        looks.append(round(retry.window.seconds) - age)
    if detached is not None:
        looks.append(max(detached, gate or 0))
    if attached is not None:  # the trigger hands it out; this is when it should have done so
        looks.append(max(attached, 0) + LAPSED_SECONDS + 60)
    if gate is not None:
        looks.append(gate if gate > 0 else LAPSED_SECONDS)
    digest = 0 if told is None else max(0, DIGEST_SECONDS - told)
    if unnoticed and not tellable:
        digest = max(digest, _SETTLED_SECONDS)
    if unnoticed:
        looks.append(digest)
    pause = max(_SURVEY_AT_LEAST_SECONDS, min([*looks, _SURVEY_AT_MOST_SECONDS]))
    # A target that works now and then begins the rounds anew each time: by then people are told all the same.
    late = sum(map(retry.backoff.delay_seconds, range(1, retry.notify_after_rounds + 1))) + 60 * retry.attempts
    alarm = bool(live) and (rounds >= retry.notify_after_rounds or age >= late)
    return asdict(
        Survey(
            live=live or 0,
            round=rounds or 0,
            due=due or 0,
            next_seconds=pause,
            unnoticed_dead=(unnoticed or 0) if digest else (tellable or 0),
            digest_seconds=digest,
            dead=dead or 0,
            as_of=as_of,
            oldest_failure=oldest,
            last_error=error,
            alarm=alarm,
        )
    )


def redeliver(app: App, table_name: str) -> Outcome:
    """Redeliver due rows that the trigger does not hand out any more, at most :data:`REDELIVER_AT_MOST`.

    Whoever posts a row holds its lease: the rows are leased first, as a hand-out would, for as long as this may take. Only the
    version in the lease is not the row's, but one that no advance of the trigger reaches: the cursor may be past the row, and would
    take a lease of its version away. If the process ends the lease lapses; who leases the row next writes its true version.

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
    claimed = claim_keys(app.database, table, keys, [(row[2], row[3]) for row in rows])
    renamed = [row for row in claimed.rows if row.key_hash != rows[row.index][1]]
    if renamed:
        changes = [{"o": rows[row.index][1], "h": row.key_hash, "k": row.key_text} for row in renamed]
        rename_records(app.database, table, changes)
        records = fetch_records(app.database, table, [row.key_hash for row in renamed])
        for row in renamed:
            row.record = records.get(row.key_hash)
    settlements, change = post(app, table, claimed, redelivered=True)
    settle(app.database, table, settlements, change, redelivered=True)
    if all(settlement.failed for settlement in settlements):
        plan(app, table_name)  # the next look is not at once, and their next round begins now
    return summarize(settlements, claimed.unknown)


def mark_noticed(app: App, table_name: str, as_of: str) -> None:
    """Remember that people were told of the dead letters that a survey at ``as_of`` counted."""
    sql = f"""
SET NOCOUNT ON;
UPDATE TOP ({CHUNK_ROWS}) rowpost.Ledger SET Noticed = 1
 WHERE TableName = {literal(app.table(table_name).name)} AND State = 'dead' AND Noticed = 0 AND NextAttempt <= ?;
SELECT @@ROWCOUNT;"""
    change_in_chunks(app.database, sql, as_of)
    name = literal(app.table(table_name).name)
    app.database.run(f"UPDATE rowpost.TableState SET DeadToldAt = SYSUTCDATETIME() WHERE TableName = {name};")


def _look_sql(table: Table) -> str:
    name, live = literal(table.name), "g.State <> 'dead'"
    until = "DATEDIFF(second, @utc, MIN(CASE WHEN {} THEN g.NextAttempt END)) + 1"
    return f"""
SET NOCOUNT ON;
DECLARE @utc datetime2(7) = SYSUTCDATETIME();
-- A settlement may write its time a little before others see its rows: nobody is told of rows that are younger.
DECLARE @as_of datetime2(7) = DATEADD(second, -{_SETTLED_SECONDS}, @utc);
DECLARE @gate int = (SELECT DATEDIFF(second, @utc, GateUntil) + 1 FROM rowpost.TableState
                      WHERE TableName = {name} AND GateRound > 0);
SELECT SUM(CASE WHEN {live} THEN 1 ELSE 0 END),
       MAX(CASE WHEN {live} THEN g.Rounds END),
       SUM(CASE WHEN {live} AND g.Detached = 1 AND g.NextAttempt <= @utc THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' AND g.Noticed = 0 THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' AND g.Noticed = 0 AND g.NextAttempt <= @as_of THEN 1 ELSE 0 END),
       SUM(CASE WHEN g.State = 'dead' THEN 1 ELSE 0 END),
       {until.format(f"{live} AND g.Detached = 1")},
       {until.format(f"{live} AND g.Detached = 0")},
       DATEDIFF(second, MIN(CASE WHEN {live} THEN g.FirstFailure END), @utc),
       @gate,
       (SELECT DATEDIFF(second, DeadToldAt, @utc) FROM rowpost.TableState WHERE TableName = {name}),
       CONVERT(nvarchar(40), @as_of, 126),
       CONVERT(nvarchar(40), MIN(CASE WHEN {live} THEN g.FirstFailure END), 126),
       (SELECT TOP (1) e.LastError FROM rowpost.Ledger e WHERE e.TableName = {name} ORDER BY e.LastFailure DESC)
  FROM rowpost.Ledger g WHERE g.TableName = {name};
"""


def _lease_sql(table: Table) -> str:
    name = literal(table.name)
    keyed = f"""@due d JOIN rowpost.Ledger g ON g.TableName = {name} AND g.KeyHash = d.KeyHash
  CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k"""
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @lease int = ?, @lock int;
DECLARE @next TABLE (KeyHash char(64) NOT NULL PRIMARY KEY);
DECLARE @due TABLE (KeyHash char(64) NOT NULL PRIMARY KEY, Tracked bigint NULL);
-- Some more than are taken, since a newer change of a row may be in the trigger's hands.
INSERT INTO @next (KeyHash)
SELECT TOP ({2 * REDELIVER_AT_MOST}) g.KeyHash FROM rowpost.Ledger g CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k
 WHERE g.TableName = {name} AND g.State = 'held' AND g.Detached = 1 AND g.NextAttempt <= SYSUTCDATETIME()
   AND {" AND ".join(f"k.{quote(column.name)} IS NOT NULL" for column in table.key)}  -- a table made anew may have another key
 ORDER BY g.NextAttempt;
BEGIN TRANSACTION;
{APP_LOCK}
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint = {table.cursor_sql};
INSERT INTO @due (KeyHash, Tracked)
SELECT TOP ({REDELIVER_AT_MOST}) x.KeyHash, x.Version
  FROM (SELECT g.KeyHash, g.NextAttempt, v.SYS_CHANGE_VERSION AS Version,
               -- Two spellings of one key may each have a record; one at a time.
               ROW_NUMBER() OVER (PARTITION BY {table.key_list("k")} ORDER BY g.ChangeVersion DESC, g.KeyHash) AS Number
  FROM @next n JOIN rowpost.Ledger g ON g.TableName = {name} AND g.KeyHash = n.KeyHash
  CROSS APPLY OPENJSON(g.RowKey) {table.key_with()} k
  LEFT JOIN {table.lease_sql} l ON {table.on("l", "k")}
  OUTER APPLY {table.version_apply} v
 WHERE g.State <> 'dead' AND g.Detached = 1 AND g.NextAttempt <= SYSUTCDATETIME() AND {orphaned(table)}) x
 WHERE x.Number = 1
 ORDER BY x.NextAttempt;
-- A newer change is the ledger's from now on: its lease will say that it is done with.
UPDATE g SET ChangeVersion = d.Tracked, LastTried = NULL, LastStatus = NULL, LastError = N'{NOT_TRIED}: the row has changed'
  FROM @due d JOIN rowpost.Ledger g ON g.TableName = {name} AND g.KeyHash = d.KeyHash WHERE d.Tracked > g.ChangeVersion;
UPDATE l SET _az_func_ChangeVersion = {REDELIVERED_VERSION}, _az_func_AttemptCount = 1,
             _az_func_LeaseExpirationTime = DATEADD(second, @lease, @now)
  FROM {keyed} JOIN {table.lease_sql} l ON {table.on("l", "k")};
INSERT INTO {table.lease_sql} ({_key_columns(table)}, _az_func_ChangeVersion, _az_func_AttemptCount, _az_func_LeaseExpirationTime)
SELECT {table.key_list("k")}, {REDELIVERED_VERSION}, 1, DATEADD(second, @lease, @now)
  FROM {keyed}
 WHERE NOT EXISTS (SELECT 1 FROM {table.lease_sql} l WHERE {table.on("l", "k")});
-- The event's version is that of the row's last change, or the later one that a resync has given it.
SELECT g.RowKey, g.KeyHash, CASE WHEN d.Tracked > g.ChangeVersion THEN d.Tracked ELSE g.ChangeVersion END, COALESCE(d.Tracked, 0)
  FROM @due d JOIN rowpost.Ledger g ON g.TableName = {name} AND g.KeyHash = d.KeyHash;
COMMIT;
"""


def _key_columns(table: Table) -> str:
    return ", ".join(quote(column.name) for column in table.key)
