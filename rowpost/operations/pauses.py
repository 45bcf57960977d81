"""A pause of a relay: nothing of it is posted, and nothing is lost.

What the trigger hands out meanwhile goes into the ledger without an attempt. So neither its cursor nor the change retention is in
the way of a long pause. Recovery delivers the newest state of each row when the relay is resumed.
"""

from __future__ import annotations

from msgspec import Struct

from rowpost.app import App
from rowpost.config.sections import RelayConfig
from rowpost.notices.message import Notice
from rowpost.operations.audit import Order

_TOLD_AFTER_SECONDS = 86400  # a pause that is so long may be forgotten


class Pause(Struct, frozen=True):
    """What became of an order to pause or to resume.

    Attributes:
        relay: its name.
        paused: whether it is paused now.
        since: when it was paused or resumed, ISO 8601, UTC; None if it was never paused.
        rows: of its ledger that wait.
    """

    relay: str
    paused: bool
    since: str | None
    rows: int


class Paused(Struct, frozen=True):
    """A pause that lasts; times are ISO 8601, UTC."""

    since: str
    by: str
    reason: str | None
    seconds: int
    rows: int
    now: str


def pause(app: App, relay: str, by: str, reason: str | None = None) -> Pause:
    """Post nothing of a relay until it is resumed. A batch that is under way ends first, within ``batch_budget`` of its target.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the order may stand, and may be repeated.
    """
    table = app.table(relay)
    order = Order("pause", table.name, by, {"reason": reason} if reason else {})
    ((row,),) = app.database.run(table.statement("pause"), *order.parameters, reason and reason[:400])
    return Pause(table.name, row[0] is not None, _utc(row[0]), row[1])


def resume(app: App, relay: str, by: str, reason: str | None = None) -> Pause:
    """Go on posting: all that waits is due at once. Whoever calls this wakes recovery; else the watchdog does, within minutes.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the order may stand, and may be repeated.
    """
    table = app.table(relay)
    order = Order("resume", table.name, by, {"reason": reason} if reason else {})
    ((row,),) = app.database.run(table.statement("resume"), *order.parameters)
    return Pause(table.name, paused=False, since=_utc(row[0]), rows=row[1])


def long_pause(app: App, relay: str) -> Paused | None:
    """The pause of a relay, if it has lasted for a day.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    (rows,) = app.database.run(app.table(relay).statement("look_at_pause"))
    found = Paused(*rows[0]) if rows else None
    return found if found is not None and found.seconds >= _TOLD_AFTER_SECONDS else None


def pause_notice(relay: RelayConfig, found: Paused) -> Notice:
    """What people are to be told of a long pause, once a day."""
    return {
        "id": f"notice-paused-{relay.slug}-{found.now[:10]}",
        "kind": "paused",
        "relay": relay.name,
        "rows": found.rows,
        "round": 0,
        "since": found.since,
        "at": found.now,
        "last_error": None,
    }


def _utc(text: str | None) -> str | None:
    return None if text is None else f"{text}Z"
