"""A trigger that stands still, while its host looks healthy: here that is seen, told, and its work is done by recovery.

The SQL trigger's loop is over for good if its first connection fails, or at an error that it did not expect; nothing but a restart
of the host brings it back, and nobody is told. What shows it: changes wait to be handed out, and minutes later changes still wait,
though nothing was handed out or finished in between.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

from msgspec import Struct

from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.database.table import Table
from rowpost.notices.message import Notice

_BETWEEN_LOOKS_SECONDS = 240  # a little less than the watchdog takes from look to look; one that comes sooner tells nothing
_LATE_SECONDS = 60  # a row whose lease ended so long ago is not on its way to be handed out either
_CHUNK_ROWS = 500
_CHUNKS_AT_MOST = 100  # of one look


class Standstill(Struct, frozen=True):
    """A trigger that has ended, while changes wait.

    Attributes:
        oldest: the oldest change that waits to be handed out.
        current: the newest version of the database.
        cursor: the trigger's.
        since: when it was first seen to stand still, ISO 8601, UTC.
        now: the database's clock, ISO 8601, UTC.
    """

    oldest: int
    current: int
    cursor: int
    since: str
    now: str


def paused(relay: RelayConfig, settings: Mapping[str, str] = os.environ) -> bool:
    """Whether somebody has disabled the table's trigger by an app setting: then it stands still because it is told to.

    The setting is ``AzureWebJobs.NAME.Disabled``; where names of variables have no dots they are underscores.
    """
    name = f"AzureWebJobs_{relay.function}_Disabled".lower()
    values = [
        value for key, value in settings.items() if key.replace(".", "_").replace("__", "_").lower() == name.replace("__", "_")
    ]
    return any(value.strip().lower() in ("true", "1") for value in values)


def look_at_trigger(app: App, relay: str) -> Standstill | None:
    """Look whether the trigger makes progress, and remember what was seen.

    It takes three looks: the second one may be the first after a restart of the host, and then the trigger deserves a chance.

    Returns:
        What was seen if the trigger has ended and changes wait; else None, also if it has never started, or is paused.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(relay)
    if paused(table.relay):
        return None
    look = table.statement("look_at_trigger", between_looks_seconds=_BETWEEN_LOOKS_SECONDS, late_seconds=_LATE_SECONDS)
    (rows,) = app.database.run(look)
    return Standstill(*rows[0]) if rows else None


def take_over(app: App, relay: str, seen: Standstill) -> None:
    """Park the changes that wait, for the watchdog to adopt and recovery to deliver; at most so many that a look stays short.

    A trigger that has come back meanwhile does not hand them out any more.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; each chunk was parked wholly or not at all.
    """
    table = app.table(relay)
    park = table.statement("park_waiting", chunk_rows=_CHUNK_ROWS, late_seconds=_LATE_SECONDS)
    for _ in range(_CHUNKS_AT_MOST):
        (((parked,),),) = app.database.run(park, seen.current)
        if not parked:
            break
    app.database.run(table.statement("remember_parked"))


def stall_notice(table: Table, seen: Standstill) -> Notice:
    """What people are to be told: once a day, as long as it lasts."""
    relay = table.relay
    notice: Notice = {
        "id": f"notice-stalled-{relay.slug}-{seen.cursor}-{seen.now[:10]}",  # the cursor of a trigger that has ended stays
        "kind": "stalled",
        "relay": relay.name,
        "rows": 0,
        "round": 0,
        "since": seen.since,
        "at": seen.now,
        "last_error": None,
        "versions": [seen.oldest, seen.current],
    }
    if table.wide:
        notice["columns"] = list(table.wide)
    return notice
