"""What an operator asks first: what is pending, what fails, why, and when it is tried again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rowpost.app import App
from rowpost.database import Row
from rowpost.tables import Table, literal

STATE_LINE = "table_state "  # the alerts and the workbook of infra/ look for it


def table_status(app: App, table_name: str) -> dict[str, Any]:
    """The state of one table, as JSON values; times are ISO 8601, UTC.

    ``pending`` counts rows that the trigger would hand out now; ``in_flight`` those under a live lease that are not held;
    ``detached`` those of the held ones that recovery redelivers itself. ``gate`` is set while the target is known to be down, and
    ``gap`` while changes of these versions may be lost to the change retention. ``version`` is the database's newest change
    version, ``oldest_untouched`` the lowest one of a change that was never handed out: whoever knows since when a version exists
    knows how far the trigger is behind.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database cannot be reached.
    """
    table = app.table(table_name)
    return read_status(table, app.database.run(status_sql(table)))


def read_status(table: Table, sets: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """The result sets of :func:`status_sql` as :func:`table_status` gives them."""
    pending, in_flight, oldest_untouched, version = sets[0][0]
    retrying, exhausted, held, dead, rounds, first, upcoming = sets[1][0]
    detached, gate_round, gate_until, gap_from, gap_to = sets[2][0]
    last_error, last_status, last_failure = sets[3][0] if sets[3] else (None, None, None)
    return {
        "table": table.name,
        "pending": pending,
        "in_flight": in_flight,
        "version": version,
        "oldest_untouched": oldest_untouched,
        "retrying": retrying or 0,
        "held": (held or 0) + (exhausted or 0),
        "detached": detached or 0,
        "dead": dead or 0,
        "round": rounds or 0,
        "oldest_failure": _utc(first),
        "next_attempt": _utc(upcoming),
        "last_error": last_error,
        "last_status": last_status,
        "last_failure": _utc(last_failure),
        "gate": {"round": gate_round, "until": _utc(gate_until)} if gate_round else None,
        "gap": {"first": gap_from, "last": gap_to} if gap_from else None,
    }


def state_line(status: dict[str, Any]) -> str:
    """A table's state as one line of the log."""
    return STATE_LINE + json.dumps(status)


def dead_letters(app: App, table_name: str, limit: int) -> list[dict[str, Any]]:
    """The table's dead letters, newest first, at most ``limit``.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database cannot be reached.
    """
    table = app.table(table_name)
    (rows,) = app.database.run(
        f"""
SELECT TOP ({int(limit)}) g.RowKey, g.ChangeVersion, g.Operation, g.Attempts, g.Rounds, CONVERT(nvarchar(40), g.FirstFailure, 126),
       CONVERT(nvarchar(40), g.LastFailure, 126), g.LastStatus, g.LastError
  FROM rowpost.Ledger g WHERE g.TableName = {literal(table.name)} AND g.State = 'dead' ORDER BY g.NextAttempt DESC, g.KeyHash;"""
    )
    return [
        {
            "key": json.loads(row[0], parse_float=Decimal),
            "version": row[1],
            "operation": "delete" if row[2] == "D" else "upsert",
            "attempts": row[3],
            "rounds": row[4],
            "first_failure": _utc(row[5]),
            "last_failure": _utc(row[6]),
            "last_status": row[7],
            "last_error": row[8],
        }
        for row in rows
    ]


def _utc(text: str | None) -> str | None:
    return None if text is None else text[:26].rstrip("0").rstrip(".") + "Z" if "." in text else text + "Z"


def status_sql(table: Table) -> str:
    """The batch behind :func:`table_status`."""
    name = literal(table.name)
    lease = table.lease_sql
    live = "g.State <> 'dead'"
    return f"""
SET NOCOUNT ON;
DECLARE @now datetime2(7) = SYSDATETIME();
DECLARE @last bigint;
-- A trigger that has never started has no lease table: all that is tracked is untouched.
IF OBJECT_ID({literal(lease)}, N'U') IS NULL
SELECT COUNT(*), 0, MIN(c.SYS_CHANGE_VERSION), CHANGE_TRACKING_CURRENT_VERSION() FROM CHANGETABLE(CHANGES {table.sql}, @last) c;
ELSE BEGIN
SET @last = {table.cursor_sql};
SELECT COUNT(CASE WHEN (l._az_func_AttemptCount IS NULL OR l._az_func_AttemptCount < 5)
                   AND ((l._az_func_LeaseExpirationTime IS NULL
                         AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION))
                        OR l._az_func_LeaseExpirationTime < @now) THEN 1 END),
       COUNT(CASE WHEN l._az_func_AttemptCount > 0 AND l._az_func_LeaseExpirationTime >= @now THEN 1 END),
       MIN(CASE WHEN l._az_func_LeaseExpirationTime IS NULL
                 AND (l._az_func_ChangeVersion IS NULL OR l._az_func_ChangeVersion < c.SYS_CHANGE_VERSION)
                THEN c.SYS_CHANGE_VERSION END),
       CHANGE_TRACKING_CURRENT_VERSION()
  FROM CHANGETABLE(CHANGES {table.sql}, @last) c LEFT JOIN {lease} l ON {table.on("l", "c")};
END;
SELECT SUM(CASE g.State WHEN 'retrying' THEN 1 ELSE 0 END), SUM(CASE g.State WHEN 'exhausted' THEN 1 ELSE 0 END),
       SUM(CASE g.State WHEN 'held' THEN 1 ELSE 0 END), SUM(CASE g.State WHEN 'dead' THEN 1 ELSE 0 END),
       MAX(CASE WHEN {live} THEN g.Rounds END),
       CONVERT(nvarchar(40), MIN(CASE WHEN {live} THEN g.FirstFailure END), 126),
       CONVERT(nvarchar(40), MIN(CASE WHEN {live} THEN g.NextAttempt END), 126)
  FROM rowpost.Ledger g WHERE g.TableName = {name};
SELECT SUM(CASE WHEN g.Detached = 1 AND {live} THEN 1 ELSE 0 END), MAX(s.GateRound), CONVERT(nvarchar(40), MAX(s.GateUntil), 126),
       MAX(s.GapFrom), MAX(s.GapTo)
  FROM rowpost.TableState s LEFT JOIN rowpost.Ledger g ON g.TableName = s.TableName WHERE s.TableName = {name};
SELECT TOP (1) g.LastError, g.LastStatus, CONVERT(nvarchar(40), g.LastFailure, 126)
  FROM rowpost.Ledger g WHERE g.TableName = {name} ORDER BY g.LastFailure DESC;
"""
