"""The state of a relay in one word and one sentence, for people; and how late it is, as far as that is known."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class RelayState(StrEnum):
    """What people want to know first. The first that holds is told."""

    CANNOT_RUN = "cannot_run"
    PAUSED = "paused"
    OUTAGE = "outage"
    FAILING = "failing"
    CATCHING_UP = "catching_up"
    OK = "ok"


class Lag(Struct, frozen=True):
    """How late a relay is: the age of its oldest change that is not delivered.

    Attributes:
        seconds: 0 if no change waits.
        at_least: whether the change may be older: nobody has written down when it was made.
        since: when it failed first, or the first look that saw its version; ISO 8601, UTC.
    """

    seconds: int
    at_least: bool
    since: str | None


class RelayFacts(Struct, frozen=True):
    """What the sentence is made of.

    Attributes:
        problem: why the relay cannot run.
        waiting: rows that are still to be delivered.
        dead: rows that were given up.
        failing: rows that wait and have failed, by class.
        lag: how late it is.
        openings: how often the circuit breaker has opened since it was last closed.
        open_until: until when nothing is posted.
        next_attempt: of the rows that failed.
        paused_since: since when the relay is paused, if it is.
    """

    waiting: int = 0
    dead: int = 0
    failing: Mapping[str, int] = {}
    lag: Lag = Lag(0, at_least=False, since=None)
    openings: int = 0
    open_until: str | None = None
    next_attempt: str | None = None
    paused_since: str | None = None
    problem: str | None = None


def relay_state(facts: RelayFacts) -> tuple[RelayState, str]:
    """The state, and the sentence that says it."""
    waiting = rows(facts.waiting, "waits", "wait")
    if facts.problem is not None:
        return RelayState.CANNOT_RUN, f"The relay cannot run: {facts.problem.rstrip('.')}."
    if facts.paused_since is not None:
        return RelayState.PAUSED, f"The relay is paused since {facts.paused_since}; {waiting}."
    if facts.openings:
        until = f"; it is called again at {facts.open_until}" if facts.open_until else ""
        return RelayState.OUTAGE, f"The target does not work, as far as its answers show; {waiting}{until}."
    if facts.failing:
        failing = sum(facts.failing.values())
        why = ", ".join(f"{kind} {count}" for kind, count in sorted(facts.failing.items(), key=lambda item: (-item[1], item[0])))
        then = f"; the next attempt is at {facts.next_attempt}" if facts.next_attempt else ""
        return RelayState.FAILING, f"{rows(failing, 'fails', 'fail').capitalize()} ({why}), {facts.waiting} in all wait{then}."
    given_up = f"; {rows(facts.dead, 'was', 'were')} given up" if facts.dead else ""
    if facts.waiting:
        late = f", the oldest for {'at least ' if facts.lag.at_least else ''}{facts.lag.seconds} s" if facts.lag.seconds else ""
        return RelayState.CATCHING_UP, f"{waiting.capitalize()} to be sent{late}{given_up}."
    return RelayState.OK, f"All changes are delivered{given_up}."


def rows(count: int, one: str, many: str) -> str:
    """``1 row waits``, ``2 rows wait``, ``no row waits``."""
    return f"{count or 'no'} {'row' if count < 2 else 'rows'} {one if count < 2 else many}"


def lag_of(now: str, failure_seconds: int | None, first_failure: str | None, *, waits: bool, seen: str | None) -> Lag:
    """How late a relay is.

    Args:
        now: the database's clock, ISO 8601, UTC.
        failure_seconds: the age of the oldest failure, if a row fails.
        first_failure: its time.
        waits: whether a change is neither delivered nor in the ledger.
        seen: the first look that saw the version of the oldest one, if a look did.
    """
    unclaimed = seconds_between(seen, now) if waits and seen is not None else 0
    if failure_seconds is not None and failure_seconds >= unclaimed:
        return Lag(max(0, failure_seconds), at_least=False, since=first_failure)
    return Lag(unclaimed, at_least=True, since=seen) if waits else Lag(0, at_least=False, since=None)


def margin_seconds(now: str, retention_minutes: int, *, waits: bool, unseen: str | None) -> int | None:
    """How long at least until the change retention may remove the oldest change that was not handed out.

    Args:
        now: the database's clock, ISO 8601, UTC.
        retention_minutes: of the database.
        waits: whether such a change exists.
        unseen: the last look that did not see its version yet: it was made later. None if no look is that old.

    Returns:
        The whole retention if none waits; None if nobody knows how old the change is.
    """
    if not waits:
        return retention_minutes * 60
    return None if unseen is None else max(0, retention_minutes * 60 - seconds_between(unseen, now))


def seconds_between(earlier: str, later: str) -> int:
    """Seconds between two times of the database, at least 0."""
    span = datetime.fromisoformat(later[:26]) - datetime.fromisoformat(earlier[:26])
    return max(0, int(span.total_seconds()))
