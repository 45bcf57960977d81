"""The invariant about pauses: a worker to whom the target has said that it wants one posts nothing until it is over."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from devtools.sim.judging import Violation
from devtools.sim.plan import clock_text
from devtools.sim.record import Record
from devtools.sim.timing import asked_for_a_pause, retry_after

_UNDER_WAY_SECONDS = 5  # until the answer is read; other posts may be under way
_ENDS_SECONDS = 2
_EPOCH = datetime(1970, 1, 1)


def pauses(record: Record) -> Iterator[Violation]:
    """(5) An answer 429, or 503 with Retry-After, is for the whole target: its worker waits, or hands its rows back."""
    if not record.every_commit or len({lane.target for lane in record.plan.lanes}) > 1:
        return  # of several targets the effects do not say which
    posts = [
        (_seconds(record, at), worker, detail)
        for at, worker, kind, detail in record.effects
        if kind == "http" and detail.startswith("POST /rows ")
    ]
    for attempt in record.attempts:
        at = record.at(attempt.at)
        if record.plan.settings.answers_each and attempt.outcome != "down":
            continue  # that was said of this event only
        asked = min(retry_after(record, at, attempt), default=0.0) if asked_for_a_pause(attempt) else 0.0
        if not asked or attempt.number in record.unanswered or attempt.status is None:
            continue
        key = attempt.headers["Idempotency-Key"]
        end = at + min(asked, record.plan.settings.probe) - _ENDS_SECONDS
        asked_by = {worker for when, worker, detail in posts if detail.endswith(key) and at - _UNDER_WAY_SECONDS <= when <= at}
        later = [(when, worker) for when, worker, _ in posts if worker in asked_by and at + _UNDER_WAY_SECONDS < when < end]
        if len(asked_by) == 1 and later and not _forgotten(record, at - _UNDER_WAY_SECONDS, later[0][0]):
            yield Violation("pauses", f"a pause of {asked:.0f} s was asked for at {clock_text(at)}, and not kept")


def _forgotten(record: Record, begin: float, end: float) -> bool:
    """Whether a worker may have ended between two instants, or stood still: then its time of the database is from before."""
    return any(since <= end and back >= begin for since, back, _ in record.kills + record.stalls)


def _seconds(record: Record, microseconds: int) -> float:
    """Seconds after the start of the run."""
    assert record.start is not None
    return (_EPOCH + timedelta(microseconds=microseconds) - record.start.replace(tzinfo=None)).total_seconds()
