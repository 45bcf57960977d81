"""What a crash, or a trigger that stands still, leaves behind in a table, found and handed to recovery."""

from __future__ import annotations

from enum import Enum
from typing import Any

from rowpost.app import App
from rowpost.claim import APP_LOCK, NEVER_HANDED_OUT, PARKED_COUNT, REDELIVERED_VERSION
from rowpost.database import Row
from rowpost.ledger import key_hash, key_text, to_json
from rowpost.recovery import DIGEST_SECONDS
from rowpost.settlement import UNSETTLED
from rowpost.tables import Table, literal, quote

_STOOD_STILL = "not tried: the trigger stands still"
_ADOPT_AT_MOST = 1000
_CHUNKS_AT_MOST = 100  # of one look
_UNSETTLED_HAND_OUTS = 3  # settled failures put the count back to 0, so three mean that no hand-out of the row ever ended


class Need(Enum):
    """What the watchdog found that a table needs of its recovery."""

    NOTHING = "nothing"
    RUNNING = "running"  # rows are waiting: it must run, and knows by itself when to look
    LOOK = "look"  # rows are not planned, or long due: its wake-up may have been lost


def inspect_table(app: App, table_name: str) -> Need:
    """Adopt rows that were parked, or handed out again and again without an outcome, and say what the table needs of its recovery.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(table_name)
    adopted = 0
    for _ in range(_CHUNKS_AT_MOST):
        found, ((waiting, unplanned),) = app.database.run(_inspect_sql(table))
        if found:
            app.database.run(_adopt_sql(table), to_json([_record(table, values) for values in found]))
        adopted += len(found)
        if len(found) < _ADOPT_AT_MOST:
            break
    return Need.LOOK if adopted or unplanned else Need.RUNNING if waiting else Need.NOTHING


def _record(table: Table, values: Row) -> dict[str, Any]:
    width = len(table.key)
    key = table.key_of(values[:width])
    text = key_text(key)
    version, attempt_count = values[width:]
    return {**key, "rp_h": key_hash(text), "rp_k": text, "rp_v": version, "rp_c": attempt_count}


def move_watch_base(app: App, table_name: str) -> None:
    """Let the masks behind ``watch`` begin at the trigger's cursor, if all that is newer than it is delivered.

    Only then is it sure that no undelivered change lies before the cursor. A base that is too old only posts too much.
    """
    table = app.table(table_name)
    if table.watch is not None:
        app.database.run(_watch_base_sql(table))


def database_now(app: App) -> str:
    """The database's clock, ISO 8601, UTC, to the microsecond."""
    (((now,),),) = app.database.run("SELECT CONVERT(nvarchar(40), CAST(SYSUTCDATETIME() AS datetime2(6)), 126);")
    return str(now)


def _inspect_sql(table: Table) -> str:
    nothing = ", ".join(f"CAST(NULL AS int) AS c{index}" for index in range(len(table.key) + 2))
    return f"""
SET NOCOUNT ON;
DECLARE @now datetime2(7) = SYSDATETIME(), @last bigint;
-- Dead letters that wait for the next digest are no reason to look.
DECLARE @told datetime2(7) = (SELECT DeadToldAt FROM rowpost.TableState WHERE TableName = {literal(table.name)}
                                 AND DeadToldAt > DATEADD(second, -{DIGEST_SECONDS + 300}, SYSUTCDATETIME()));
IF OBJECT_ID({literal(table.lease_sql)}, N'U') IS NULL SELECT {nothing} WHERE 1 = 0;
ELSE BEGIN
SET @last = {table.cursor_sql};
SELECT TOP ({_ADOPT_AT_MOST}) {table.key_select("l")}, l._az_func_ChangeVersion, l._az_func_AttemptCount
  FROM {table.lease_sql} l
 WHERE l._az_func_AttemptCount <= {PARKED_COUNT}
    OR (l._az_func_AttemptCount >= {_UNSETTLED_HAND_OUTS} AND l._az_func_LeaseExpirationTime < @now)
    -- In hand when its process ended, and now unknown to change tracking: the retention was over, or the table was truncated.
    OR (l._az_func_AttemptCount > 0 AND l._az_func_LeaseExpirationTime < @now AND l._az_func_ChangeVersion < {REDELIVERED_VERSION}
        AND NOT EXISTS (SELECT 1 FROM CHANGETABLE(CHANGES {table.sql}, @last) c WHERE {table.on("c", "l")}));
END;
SELECT CASE WHEN EXISTS (SELECT 1 FROM rowpost.Ledger WHERE TableName = {literal(table.name)}
                            AND (State <> 'dead' OR Noticed = 0)) THEN 1 ELSE 0 END,
       CASE WHEN EXISTS (SELECT 1 FROM rowpost.Ledger WHERE TableName = {literal(table.name)}
                            AND (State = 'exhausted' OR (State = 'dead' AND Noticed = 0 AND @told IS NULL)
                                 OR (State <> 'dead' AND NextAttempt < DATEADD(minute, -5, SYSUTCDATETIME())))) THEN 1 ELSE 0 END;
"""


def _adopt_sql(table: Table) -> str:
    name = literal(table.name)
    lease = table.key_with("rp_v bigint '$.rp_v'", "rp_c int '$.rp_c'")
    record = "WITH (h char(64) '$.rp_h', k nvarchar(max) '$.rp_k', v bigint '$.rp_v', c int '$.rp_c')"
    # Who was never handed out is due at once; who failed to come back has a round to wait.
    choose = f"CASE s.c WHEN {NEVER_HANDED_OUT} THEN {{}} ELSE {{}} END"
    state, detached = choose.format("'held'", "'exhausted'"), choose.format("1", "0")
    attempts, reason = choose.format("0", "ABS(s.c)"), choose.format(literal(_STOOD_STILL), literal(UNSETTLED))
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
DECLARE @rows nvarchar(max) = ?, @lock int;
BEGIN TRANSACTION;
{APP_LOCK}
DECLARE @now datetime2(7) = SYSDATETIME(), @utc datetime2(7) = SYSUTCDATETIME();
-- "Done" for the trigger, so that it does not fail on the row again; recovery redelivers it from the ledger, by its true key.
UPDATE l SET _az_func_AttemptCount = 0, _az_func_LeaseExpirationTime = NULL
  FROM {table.lease_sql} l JOIN OPENJSON(@rows) {lease} s ON {table.on("l", "s")}
 WHERE l._az_func_ChangeVersion = s.rp_v AND l._az_func_AttemptCount = s.rp_c
   AND (l._az_func_AttemptCount < 0 OR l._az_func_LeaseExpirationTime < @now);
UPDATE g SET FirstFailure = CASE g.State WHEN 'dead' THEN @utc ELSE g.FirstFailure END,
             Rounds = CASE g.State WHEN 'dead' THEN 0 ELSE g.Rounds END,
             ChangeVersion = CASE WHEN s.v > g.ChangeVersion THEN s.v ELSE g.ChangeVersion END,
             State = {state}, Attempts = g.Attempts + {attempts}, LastFailure = @utc, NextAttempt = @utc, LastError = {reason},
             Detached = {detached}
  FROM rowpost.Ledger g JOIN OPENJSON(@rows) {record} s ON g.KeyHash = s.h
 WHERE g.TableName = {name} AND (g.State IN ('retrying', 'held') OR (g.State = 'dead' AND g.ChangeVersion < s.v));
INSERT INTO rowpost.Ledger (TableName, KeyHash, RowKey, ChangeVersion, Operation, State, Attempts, Rounds,
                            FirstFailure, LastFailure, NextAttempt, LastError, Noticed, Detached)
SELECT {name}, s.h, s.k, s.v, 'U', {state}, {attempts}, 0, @utc, @utc, @utc, {reason}, 0, {detached}
  FROM OPENJSON(@rows) {record} s
 WHERE NOT EXISTS (SELECT 1 FROM rowpost.Ledger g WHERE g.TableName = {name} AND g.KeyHash = s.h);
COMMIT;
"""


def _watch_base_sql(table: Table) -> str:
    name = literal(table.name)
    return f"""
SET NOCOUNT ON; SET XACT_ABORT ON;
IF OBJECT_ID({literal(table.lease_sql)}, N'U') IS NULL RETURN;
DECLARE @lock int;
BEGIN TRANSACTION;
{APP_LOCK}
DECLARE @last bigint = {table.cursor_sql};
IF @last IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM CHANGETABLE(CHANGES {table.sql}, @last) c LEFT JOIN {table.lease_sql} l ON {table.on("l", "c")}
   WHERE l.{quote(table.key[0].name)} IS NULL OR l._az_func_ChangeVersion <> c.SYS_CHANGE_VERSION
      OR l._az_func_LeaseExpirationTime IS NOT NULL)
BEGIN
  UPDATE rowpost.TableState SET WatchBase = @last WHERE TableName = {name} AND (WatchBase IS NULL OR WatchBase < @last);
END;
COMMIT;
"""
