"""What an operator asks first: what is pending, what fails, why, and when it is tried again."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rowpost.app import App
from rowpost.database.connection import Row
from rowpost.database.table import Table
from rowpost.rules.lifecycle import State
from rowpost.rules.relay_state import RelayFacts, lag_of, margin_seconds, relay_state
from rowpost.rules.resync import ResyncState, share_delivered

# Where a row waits: what the trigger's leases say of rows without a live record, then the states of live records.
PLACES = ("pending", "in_flight", "handed_back", "parked", State.RETRYING, State.EXHAUSTED, State.HELD, State.DETACHED)
STATE_LINE = "relay_state "  # the alerts and the workbook of infra/ look for it
_OF_THE_PAST = ("history", "sparkline")  # what the log has in its former lines


def relay_status(app: App, relay: str) -> dict[str, Any]:
    """The state of one relay, as JSON values; times are ISO 8601, UTC.

    ``waiting`` counts the rows that are still to be delivered. Each of them is in one of :data:`PLACES`, which are fields too, so
    that these add up to ``waiting``. ``dead`` counts the dead letters. A row that changes again while it waits is one row.

    ``circuit_breaker`` is ``open`` while the target is known to be down, ``half-open`` while it is tried again, else ``closed``.
    ``gap`` is set while changes of these versions may be lost to the change retention. ``resync`` is the one that is under way,
    else the last one; its ``events`` are what the target said to those of its beginning and its end, and its ``share`` is about
    how much of the table is delivered. ``initial_snapshot`` is the id of the one with which the relay began, once it is ordered.
    ``paused`` says since when, by whom and why nothing of the relay is posted; None if it runs. ``version`` is the database's
    newest change version. ``oldest_untouched`` is the lowest one of a change that was never handed out: whoever knows since
    when a version exists knows how far the trigger is behind. ``warnings`` are sentences about the database or the
    configuration.

    ``state`` and ``sentence`` say the same for people. ``lag`` is the age of the oldest change that is not delivered: exact for
    rows that fail, else a lower bound. ``failing_by_class`` and ``dead_by_class`` count rows by why they fail. ``retention`` is how
    long changes are kept, and for how long at least the oldest one that was not handed out is safe. ``history`` are the last
    samples. ``as_of`` is the time of the look, by the database's clock, and ``milliseconds`` is how long it took.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database cannot be reached.
    """
    table = app.table(relay)
    return read_status(table, app.database.run(table.statement("status")))


def read_status(table: Table, sets: Sequence[Sequence[Row]]) -> dict[str, Any]:
    """The result sets of ``status.sql`` as :func:`relay_status` gives them."""
    places, ((oldest_untouched, version, unclaimed),), *others = sets
    ((rounds, first, upcoming),), (target_state,), failures, resyncs, *more = others
    classes, ((now, failing_seconds, seen, unseen, retention, milliseconds),), samples = more
    rows: dict[str, int] = dict.fromkeys([*PLACES, State.DEAD], 0)
    for place, count in places:
        rows[str(place)] += count
    openings, open_until, is_open, gap_from, gap_to, initial, paused_at, paused_by, reason = target_state
    last_error, last_status, last_failure = failures[0] if failures else (None, None, None)
    resync = _resync(*resyncs[0]) if resyncs else None
    failing, given_up = ({kind: count for is_dead, kind, count in classes if is_dead == dead} for dead in (0, 1))
    waits, history = unclaimed is not None, [_sample(*sample) for sample in reversed(samples)]
    lag = lag_of(now, failing_seconds, first, waits=waits, seen=seen)
    waiting, until = sum(rows[place] for place in PLACES), utc_text(open_until) if openings else None
    facts = RelayFacts(
        waiting,
        rows[State.DEAD],
        failing,
        lag,
        openings or 0,
        until if is_open else None,
        utc_text(upcoming),
        paused_since=utc_text(paused_at),
    )
    state, sentence = relay_state(facts)
    return {
        "relay": table.name,
        "table": table.relay.table,
        "target": table.relay.target,
        "state": state,
        "sentence": sentence,
        "lag": {"seconds": lag.seconds, "at_least": lag.at_least, "since": utc_text(lag.since)},
        "paused": {"since": utc_text(paused_at), "by": paused_by, "reason": reason} if paused_at else None,
        "waiting": waiting,
        **rows,
        "version": version,
        "oldest_untouched": oldest_untouched,
        "round": rounds or 0,
        "oldest_failure": utc_text(first),
        "next_attempt": utc_text(upcoming),
        "last_error": last_error,
        "last_status": last_status,
        "last_failure": utc_text(last_failure),
        "circuit_breaker": {
            "state": ("open" if is_open else "half-open") if openings else "closed",
            "openings": openings or 0,
            "open_until": until,
        },
        "gap": {"first": gap_from, "last": gap_to} if gap_from else None,
        "initial_snapshot": initial,
        "resync": resync,
        "warnings": list(table.warnings),
        "failing_by_class": failing,
        "dead_by_class": given_up,
        "retention": _retention(now, retention, waits=waits, unseen=unseen),
        "history": history,
        "sparkline": [sample["waiting"] for sample in history],
        "as_of": utc_text(now),
        "milliseconds": milliseconds,
    }


def _retention(now: str, minutes: int | None, *, waits: bool, unseen: str | None) -> dict[str, Any] | None:
    if minutes is None:
        return None
    return {"hours": minutes / 60, "margin_seconds": margin_seconds(now, minutes, waits=waits, unseen=unseen)}


def _sample(at: str, waiting: int, dead: int, lag_seconds: int) -> dict[str, Any]:
    return {"at": utc_text(at), "waiting": waiting, "dead": dead, "lag_seconds": lag_seconds}


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
        "ordered_at": utc_text(ordered),
        "begun_at": utc_text(begun),
        "ended_at": utc_text(ended),
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
    return STATE_LINE + json.dumps({name: value for name, value in status.items() if name not in _OF_THE_PAST})


def utc_text(text: str | None) -> str | None:
    """A time of the database, ISO 8601 with its zone; at most six digits of the second."""
    return None if text is None else text[:26].rstrip("0").rstrip(".") + "Z" if "." in text else text + "Z"
