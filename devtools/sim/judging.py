"""What the invariants share: violations, posts by row, and what a disturbance excuses."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from devtools.sim.lane import MAIN, Lane
from devtools.sim.record import Record, key_text
from emulators.downstream.attempt import Attempt

SETTLES_SECONDS = 150  # after a kill or a fault, so long may it take until leases and holds are as planned again
_HOUR = 3600
_LOOKED_FOR = frozenset({400, 413, 422})
_STALL_SECONDS = 1000  # until the watchdog has seen that a trigger stands still, and recovery has done its work
_LEASE_SECONDS = 60
_BATCH_SECONDS = 120  # the longest that a batch goes on posting


@dataclass(frozen=True)
class Violation:
    """What went wrong; ``key`` names the row, if it is about one."""

    rule: str
    text: str
    key: str | None = None
    lane: Lane = MAIN

    def __str__(self) -> str:
        return f"[{self.rule}] {self.text}"


def posts_by_row(record: Record) -> dict[str, list[tuple[float, Attempt]]]:
    """Attempts by row, oldest first.

    What was said of a batch as a whole, because of one of its rows, is said of none of them: the app looks for that row at once.
    """
    found: dict[str, list[tuple[float, Attempt]]] = defaultdict(list)
    for attempt in record.attempts:
        if isinstance(attempt.key, dict) and not (attempt.whole and attempt.status in _LOOKED_FOR):
            found[key_text(attempt.key)].append((record.at(attempt.at), attempt))
    return found


def refused_in_company(record: Record) -> dict[str, list[float]]:
    """By row, when the API refused it for its own sake in a request that was refused as a whole: the app cannot see that."""
    found: dict[str, list[float]] = defaultdict(list)
    for attempt in record.attempts:
        if isinstance(attempt.key, dict) and attempt.whole and attempt.outcome == "refused":
            found[key_text(attempt.key)].append(record.at(attempt.at))
    return found


def taken(record: Record, attempt: Attempt) -> bool:
    """Whether the app saw a success."""
    return attempt.status is not None and 200 <= attempt.status < 300 and attempt.number not in record.unanswered


def unknown(record: Record, attempt: Attempt) -> bool:
    """Whether the API took the event and the app never learnt of it."""
    return attempt.status is None or attempt.number in record.unanswered


def disturbed(record: Record, begin: float, end: float) -> bool:
    """Whether a kill, a stall, a fault of the database, a jump of its clock, a command or the end of all triggers fell between two
    instants, or so shortly before that it still counts."""
    early = begin - SETTLES_SECONDS
    if any(since <= end and back >= early for since, back, _ in record.kills + record.stalls):
        return True
    if any(since <= end and back >= early for since, back in record.frozen):
        return True
    if troubled(record, begin, end) or pausing(record, early, end):
        return True
    if len({name for since, back, name in record.deaf if since <= end and back >= begin - _STALL_SECONDS}) == record.plan.hosts:
        return True
    if record.every_commit:
        if any(early <= at <= end for at in record.struck):
            return True
    elif any(action.kind == "sql" and action.at <= end for action in record.plan.actions):  # it may wait long for its statement
        return True
    if any(at <= end and at + 2 * SETTLES_SECONDS >= begin for at in record.cleaned):
        return True  # the trigger does not hand out what change tracking has forgotten; recovery finds it some minutes later
    if any(at <= end and at + (_HOUR if minutes < 0 else 0) >= early for at, minutes in record.shifts):
        return True  # when the clock goes back, leases last an hour longer
    return any(early <= at <= end for at in record.commands)


def pausing(record: Record, begin: float, end: float) -> bool:
    """Whether the relay was paused at any time between two instants."""
    return any(since <= end and until >= begin for since, until in record.paused)


def troubled(record: Record, begin: float, end: float, *but: str) -> bool:
    """Whether something of the dimensions kept the relay from its work between two instants, or shortly before; ``but`` are kinds
    that do not count."""
    name = record.lane.relay.name
    kinds = {"denied", "denied dbo.Orders", "hidden", "unreadable", f"hang {name}", f"unconfigured {name}"} - set(but)
    return any(
        trouble.kind in kinds and trouble.since <= end and trouble.until >= begin - SETTLES_SECONDS for trouble in record.troubles
    )


def lapsed(record: Record, at: float, event_id: str | None = None) -> bool:
    """Whether a worker may have posted at that instant although its lease had lapsed: it had been frozen, or the clock jumped.

    ``event_id`` names the post: then only a worker that sent it counts.
    """
    if not record.every_commit:
        return any(since <= at and back >= at - SETTLES_SECONDS for since, back, _ in record.kills)
    frozen = {
        name for since, back, name in record.stalls if since <= at <= back + _BATCH_SECONDS and back - since > _LEASE_SECONDS / 2
    }
    if frozen and (event_id is None or frozen & _senders(record, event_id)):
        return True
    return any(minutes > 0 and when <= at <= when + _BATCH_SECONDS for when, minutes in record.shifts)


def _senders(record: Record, event_id: str) -> set[str]:
    """The workers that have sent an event."""
    keys = {attempt.headers.get("Idempotency-Key", event_id) for attempt in record.attempts if attempt.event_id == event_id}
    return {worker for _, worker, kind, detail in record.effects if kind == "http" and detail.endswith((event_id, *keys))}
