"""The states of a resync, and what follows from what the target says to the events of its beginning and its end."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.backoff import Backoff

_PAUSE_AT_LEAST_SECONDS = 10
_PAUSE_AT_MOST_SECONDS = 300
_WAITS_AT_MOST_SECONDS = 3600
_BACKLOG_ROWS = 1000
_BACKLOG_CALLS = 5
_SOON_SECONDS = 1
_TRIGGER_SECONDS = 3


class Cause(StrEnum):
    """Why a whole table is sent."""

    INITIAL = "initial"  # its relay is new: the target has nothing of it
    RESYNC = "resync"  # the target may have missed changes, or somebody ordered it


class ResyncState(StrEnum):
    """How far a resync has come."""

    ORDERED = "ordered"  # it has no version yet
    BEGUN = "begun"  # the target is to be told so
    PAGING = "paging"  # its rows go into the ledger, page by page
    SETTLING = "settling"  # all are there: they are delivered, then the target is told that it is over
    COMPLETED = "completed"
    INCOMPLETE = "incomplete"  # rows of it were given up
    CANCELLED = "cancelled"  # an operator said so
    SUPERSEDED = "superseded"  # another one that was ordered later takes its place


OPEN = frozenset({ResyncState.ORDERED, ResyncState.BEGUN, ResyncState.PAGING, ResyncState.SETTLING})


class Said(Struct, frozen=True):
    """What follows from an answer to an event of a resync.

    Attributes:
        text: what the target said, for people.
        taken: whether it took the event; None if that is not known yet.
        pause_seconds: until the event is tried again; 0 if it is not.
        tried: whether the target was asked.
    """

    text: str
    taken: bool | None
    pause_seconds: int = 0
    tried: bool = True


def after_answer(answer: Answer, tries: int, backoff: Backoff, probe_seconds: int) -> Said:
    """What follows from an answer: taken, refused for good, or to be tried again.

    Args:
        answer: the target's.
        tries: how often the event was tried before.
        backoff: of the app's rounds.
        probe_seconds: the longest pause, unless the target asks for more.
    """
    text = answer.error or f"HTTP {answer.status}"
    if answer.verdict is Verdict.DELIVERED:
        return Said(text, taken=True)
    if answer.verdict is Verdict.REJECTED:
        return Said(text, taken=False)
    pause = min(backoff.delay_seconds(tries + 1), probe_seconds)
    return Said(text, None, max(pause, answer.retry_after_seconds or 0, 1))


def gives_way(state: ResyncState, waits_seconds: int | None) -> bool:
    """Whether a resync ends for the sake of a later one that waits: it has queued nothing yet, or its rows take too long.

    Args:
        state: how far it has come.
        waits_seconds: for how long the later one has waited; None if there is none.
    """
    if waits_seconds is None:
        return False
    return state is ResyncState.BEGUN or (state is ResyncState.SETTLING and waits_seconds >= _WAITS_AT_MOST_SECONDS)


def backlog_rows(rows_of_a_call: int) -> int:
    """With how many undelivered rows no further page is queued: enough to keep who delivers them busy, and not so many that a row
    which fails meanwhile waits long for its turn.

    Args:
        rows_of_a_call: how many are redelivered at once.
    """
    return max(_BACKLOG_ROWS, _BACKLOG_CALLS * rows_of_a_call)


def is_checkpoint(pages: int, first: int) -> bool:
    """Whether so many pages are ``first``, or twice, four times, eight times as many: a few looks, whatever the size of a table."""
    times, rest = divmod(pages, first)
    return not rest and times > 0 and times & (times - 1) == 0


def share_delivered(state: ResyncState, queued: int, left: int, rows: int | None) -> float | None:
    """About which share of the rows is delivered, 0 to 1; None if that is not known, or not of interest any more.

    Args:
        state: how far it has come.
        queued: rows that were put into the ledger.
        left: those of them that are still to be delivered.
        rows: how many the table has; None if that is not known.
    """
    if state is ResyncState.COMPLETED:
        return 1.0
    if state not in OPEN or (rows is None and state is not ResyncState.SETTLING):
        return None
    whole = queued if state is ResyncState.SETTLING else max(rows or 0, queued)
    return round((queued - left) / whole, 4) if whole else 0.0


def pause_for_delivery(next_seconds: int | None, waited_seconds: int) -> int:
    """How long to wait with the next page while many rows are to be delivered.

    While some are due, who delivers them is fast, or does not get on: so it is a share of the time since the last page. Otherwise
    they wait for their next attempt.

    Args:
        next_seconds: until the next attempt of a row; None if there is none.
        waited_seconds: since the last page.
    """
    if next_seconds is not None and next_seconds > 0:
        return pause_seconds(next_seconds)
    return max(_SOON_SECONDS, min(waited_seconds // 2, _PAUSE_AT_MOST_SECONDS))


def pause_for_the_rest(age_seconds: int) -> int:
    """How long to wait for the last rows: what takes long is looked at seldom. A tenth of what it took so far."""
    return max(_SOON_SECONDS, min(age_seconds // 10, _PAUSE_AT_MOST_SECONDS))


def pause_for_trigger(waited_seconds: int) -> int:
    """How long to wait until the trigger may have started, after so many seconds."""
    return max(_TRIGGER_SECONDS, min(waited_seconds // 4, _PAUSE_AT_MOST_SECONDS))


def pause_seconds(seconds: int | None) -> int:
    """How long to wait for what is expected after so many seconds: not too short, and not so long that an order waits for hours."""
    return max(_PAUSE_AT_LEAST_SECONDS, min(seconds or 0, _PAUSE_AT_MOST_SECONDS))
