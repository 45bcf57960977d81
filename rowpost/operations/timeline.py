"""An outage on one time axis: attempts, rounds, the circuit breaker, notices, orders, incidents and samples of a relay."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rowpost.app import App
from rowpost.database.connection import Row
from rowpost.operations.rows import Refused
from rowpost.operations.status import utc_text
from rowpost.rules.relay_state import rows as rows_text
from rowpost.rules.relay_state import seconds_between

_DAY_SECONDS = 86400
_DAYS_AT_MOST = 31
_BUCKETS = 200  # of attempts on the axis
_SHORTEST_SECONDS = 10  # of a bucket


class TimelineEvent(Struct, omit_defaults=True):
    """Something that happened.

    Attributes:
        at: when (UTC).
        kind: ``attempt``, ``round``, ``breaker_opened``, ``breaker_closed``, ``notice``, ``order``, ``incident_began``,
            ``incident_ended`` or ``sample``.
        text: in words.
        rows: how many rows it is about.
        status: the HTTP status of the attempts.
    """

    at: str
    kind: str
    text: str
    rows: int | None = None
    status: int | None = None


class Timeline(Struct):
    """What happened in a time, oldest first. ``since`` and ``until`` are ``from`` and ``to`` as they were meant."""

    since: str
    until: str
    events: list[TimelineEvent]


def timeline(app: App, relay: str, since: str | None = None, until: str | None = None) -> Timeline:
    """What happened to a relay. Failed attempts are put together, so that an outage of many rows is as long as one of few.

    Only attempts of rows that are not delivered yet are known, and samples of a week.

    Args:
        app: the app.
        relay: its name.
        since: the first instant, ISO 8601, UTC without a zone; None: a day before the last one.
        until: the instant before which it happened; None: now.

    Raises:
        Refused: the time is longer than 31 days, or ends before it begins.
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(relay)
    if since is not None and until is None:
        (((until,),),) = app.database.run("SELECT CONVERT(nvarchar(40), SYSUTCDATETIME(), 126);")
    length = _DAY_SECONDS if since is None or until is None else seconds_between(since, until)
    if not 0 < length <= _DAYS_AT_MOST * _DAY_SECONDS:
        raise Refused("from", f"must be before `to`, and at most {_DAYS_AT_MOST} days before")
    bucket = max(_SHORTEST_SECONDS, length // _BUCKETS)
    parameters = (since, until, app.config.retry.attempts, bucket)
    ((meant,), *sets) = app.database.run(table.statement("timeline"), *parameters)
    events = [event for rows, made in zip(sets, _MADE, strict=True) for event in map(made, rows)]
    events.sort(key=lambda event: event.at)
    return Timeline(utc_text(meant[0]) or "", utc_text(meant[1]) or "", events)


def _attempts(row: Row) -> TimelineEvent:
    at, status, is_round, count = row
    answer = "no answer" if status is None else f"HTTP {status}"
    which = "in a round of recovery" if is_round else "in their built-in attempts"
    text = f"{rows_text(count, 'failed', 'failed')} {which}: {answer}"
    return _event(at, "round" if is_round else "attempt", text, count, status)


def _breaker(row: Row) -> TimelineEvent:
    at, opened = row
    if opened:
        return _event(at, "breaker_opened", "the circuit breaker opened: the target is not called")
    return _event(at, "breaker_closed", "the circuit breaker closed: the target works")


def _notice(row: Row) -> TimelineEvent:
    at, kind = row
    return _event(at, "notice", f"people are told: {kind.replace('_', ' ')}")


def _incident(row: Row) -> TimelineEvent:
    at, about, ended, delivered = row
    what = "rows wait for the target" if about == "target" else "rows fail for their own sake"
    if ended:
        return _event(
            at, "incident_ended", f"an incident ended ({what}): {rows_text(delivered, 'was', 'were')} delivered", delivered
        )
    return _event(at, "incident_began", f"an incident began: {what}")


def _sample(row: Row) -> TimelineEvent:
    at, waiting, dead, lag = row
    late = f", the oldest for {lag} s" if lag else ""
    given_up = f"; {rows_text(dead, 'is', 'are')} given up" if dead else ""
    return _event(at, "sample", f"{rows_text(waiting, 'waits', 'wait')}{late}{given_up}", waiting)


def _order(row: Row) -> TimelineEvent:
    at, action, by, count = row
    return _event(at, "order", f"{action.replace('_', ' ')}, ordered by {by}", count)


def _event(at: Any, kind: str, text: str, rows: int | None = None, status: int | None = None) -> TimelineEvent:
    return TimelineEvent(utc_text(at) or "", kind, text, rows, status)


_MADE = (_attempts, _breaker, _notice, _incident, _sample, _order)
