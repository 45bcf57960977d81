"""What a crash, or a trigger that stands still, leaves behind in a table, found and handed to recovery."""

from __future__ import annotations

from enum import Enum
from typing import Any

from rowpost.app import App
from rowpost.database.connection import Row
from rowpost.database.table import Table
from rowpost.recovery.survey import DIGEST_SECONDS
from rowpost.rules.json_text import to_json
from rowpost.rules.row import key_hash, key_text

_ADOPT_AT_MOST = 1000
_COMPARED_ROWS = 20_000  # a self-join of so many changes takes a fraction of a second, in which the trigger waits
_CHUNKS_AT_MOST = 100  # of one look
_STUCK_SECONDS = 1200  # a row that is due for so long: by then three runs of the watchdog have woken or started its recovery


class Need(Enum):
    """What the watchdog found that a table needs of its recovery."""

    NOTHING = "nothing"
    RUNNING = "running"  # rows are waiting, or an incident is open: it must run, and knows by itself when to look
    LOOK = "look"  # rows are not planned, or long due: its wake-up may have been lost
    WORK = "work"  # rows or its look are so long due that it does not move, whatever its instance says: done here


def inspect_table(app: App, relay: str) -> Need:
    """Adopt rows that were parked, or handed out again and again without an outcome, and say what the table needs of its recovery.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(relay)
    look = table.statement("look_for_parked", at_most=_ADOPT_AT_MOST, digest_seconds=DIGEST_SECONDS, stuck_seconds=_STUCK_SECONDS)
    adopted = 0
    for _ in range(_CHUNKS_AT_MOST):
        found, ((waiting, unplanned, stuck),) = app.database.run(look)
        if found:
            app.database.run(table.statement("adopt"), to_json([_record(table, values) for values in found]))
        adopted += len(found)
        if len(found) < _ADOPT_AT_MOST:
            break
    if stuck:
        return Need.WORK
    return Need.LOOK if adopted or unplanned else Need.RUNNING if waiting else Need.NOTHING


def _record(table: Table, values: Row) -> dict[str, Any]:
    width = len(table.key)
    key = table.key_of(values[:width])
    text = key_text(key)
    version, attempt_count = values[width:]
    return {"key": key, "keyHash": key_hash(text), "rowKey": text, "version": version, "attemptCount": attempt_count}


def move_watch_base(app: App, relay: str) -> None:
    """Let the masks of changed columns begin at the newest version, if all is delivered.

    Only then is it sure that no undelivered change lies before the base. A base that is too old only posts too much.
    """
    table = app.table(relay)
    if table.has_base:
        app.database.run(table.statement("move_watch_base", compared_rows=_COMPARED_ROWS))


def database_now(app: App) -> str:
    """The database's clock, ISO 8601, UTC, to the microsecond."""
    (((now,),),) = app.database.run("SELECT CONVERT(nvarchar(40), CAST(SYSUTCDATETIME() AS datetime2(6)), 126);")
    return str(now)
