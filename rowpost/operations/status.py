"""What an operator asks first: what is pending, what fails, why, and when it is tried again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from rowpost.app import App
from rowpost.database.connection import Row
from rowpost.database.table import Table
from rowpost.rules.lifecycle import State
from rowpost.rules.resync import ResyncState, share_delivered

# Where a row waits: what the trigger's leases say of rows without a live record, then the states of live records.
PLACES = ("pending", "in_flight", "handed_back", "parked", State.RETRYING, State.EXHAUSTED, State.HELD, State.DETACHED)
STATE_LINE = "relay_state "  # the alerts and the workbook of infra/ look for it


def relay_status(app: App, relay: str) -> dict[str, Any]:
    """The state of one relay, as JSON values; times are ISO 8601, UTC.

    ``waiting`` counts the rows that are still to be delivered. Each of them is in one of :data:`PLACES`, which are fields too, so
    that these add up to ``waiting``. ``dead`` counts the dead letters. A row that changes again while it waits is one row.

    ``circuit_breaker`` is ``open`` while the target is known to be down, ``half-open`` while it is tried again, else ``closed``.
    ``gap`` is set while changes of these versions may be lost to the change retention. ``resync`` is the one that is under way,
    else the last one; its ``events`` are what the target said to those of its beginning and its end, and its ``share`` is about
    how much of the table is delivered. ``initial_snapshot`` is the id of the one with which the relay began, once it is ordered.
    ``version`` is the database's newest change version. ``oldest_untouched`` is the lowest one of a change that was never handed
    out: whoever knows since when a version exists knows how far the trigger is behind. ``warnings`` are sentences about the
    database or the configuration.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database cannot be reached.
    """
    table = app.table(relay)
    return read_status(table, app.database.run(table.statement("status")))


def read_status(table: Table, sets: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """The result sets of ``status.sql`` as :func:`relay_status` gives them."""
    places, ((oldest_untouched, version),), ((rounds, first, upcoming),), (target_state,), failures, resyncs = sets
    rows: dict[str, int] = dict.fromkeys([*PLACES, State.DEAD], 0)
    for place, count in places:
        rows[str(place)] += count
    openings, open_until, is_open, gap_from, gap_to, initial = target_state
    last_error, last_status, last_failure = failures[0] if failures else (None, None, None)
    resync = _resync(*resyncs[0]) if resyncs else None
    return {
        "relay": table.name,
        "table": table.relay.table,
        "target": table.relay.target,
        "waiting": sum(rows[place] for place in PLACES),
        **rows,
        "version": version,
        "oldest_untouched": oldest_untouched,
        "round": rounds or 0,
        "oldest_failure": _utc(first),
        "next_attempt": _utc(upcoming),
        "last_error": last_error,
        "last_status": last_status,
        "last_failure": _utc(last_failure),
        "circuit_breaker": {
            "state": ("open" if is_open else "half-open") if openings else "closed",
            "openings": openings or 0,
            "open_until": _utc(open_until) if openings else None,
        },
        "gap": {"first": gap_from, "last": gap_to} if gap_from else None,
        "initial_snapshot": initial,
        "resync": resync,
        "warnings": list(table.warnings),
    }


def _resync(
    resync: str,
    state: str,
    cause: str,
    reason: str,
    ordered: str,
    begun: str | None,
    ended: str | None,
    since: int | None,
    pages: int,
    queued: int,
    given_up: int | None,
    begun_said: str | None,
    completed_said: str | None,
    problem: str | None,
    left: int,
    waiting: int,
    rows: int | None,
) -> dict[str, Any]:
    return {
        "id": resync,
        "state": state,
        "cause": cause,
        "reason": reason,
        "ordered_at": _utc(ordered),
        "begun_at": _utc(begun),
        "ended_at": _utc(ended),
        "since": since,
        "pages": pages,
        "rows_of_table": rows,
        "share": share_delivered(ResyncState(state), queued, left, rows),
        "rows_queued": queued,
        "rows_left": left,
        "given_up": given_up or 0,
        "events": {"begun": begun_said, "completed": completed_said},
        "problem": problem,
        "another_waits": waiting > 0,
    }


def target_status(app: App) -> list[dict[str, Any]]:
    """How fast each target is called by this process, as JSON values. Other instances of the app know of their own pace only."""
    return [{"target": target.name, **app.deliverers[target.name].pace()} for target in app.config.targets]


def state_line(status: dict[str, Any]) -> str:
    """A relay's state as one line of the log."""
    return STATE_LINE + json.dumps(status)


def dead_letters(app: App, relay: str, limit: int) -> list[dict[str, Any]]:
    """The table's dead letters, newest first, at most ``limit``.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database cannot be reached.
    """
    table = app.table(relay)
    (rows,) = app.database.run(table.statement("dead_letters"), limit)
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
