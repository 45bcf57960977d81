"""The invariants about orders: pauses are kept and end at once, and the audit counts what orders have really changed."""

from __future__ import annotations

from collections.abc import Iterator

from devtools.sim.judging import Violation, lapsed, posts_by_row
from devtools.sim.plan import clock_text
from devtools.sim.record import Record

_UNDER_WAY_SECONDS = 60  # a batch that was claimed before the pause posts no longer than that
_AT_ONCE_SECONDS = 90  # after the end of a pause


def paused(record: Record) -> Iterator[Violation]:
    """(5) Nothing is posted while the relay is paused, but by batches that are under way."""
    for since, until in record.paused:
        for text, posts in posts_by_row(record).items():
            for at, attempt in posts:
                if since + _UNDER_WAY_SECONDS < at < until and not lapsed(record, at, attempt.event_id or ""):
                    yield Violation("paused", f"{text}: posted at {clock_text(at)}, though paused since {clock_text(since)}", text)


def resumed(record: Record) -> Iterator[Violation]:
    """(5) What has waited is due at once when the pause is over."""
    for since, until in record.paused if record.every_commit else ():
        end = until + _AT_ONCE_SECONDS
        before = [look for look in record.looks if look.at < until][-1:]
        if end > record.plan.length or not before or _in_the_way(record, since, until, end):
            continue
        posts = posts_by_row(record)
        for text, entry in before[0].ledger.items():
            if entry[0] == "detached" and not any(until <= at <= end for at, _ in posts.get(text, [])):
                yield Violation("resumed", f"{text}: not tried within {_AT_ONCE_SECONDS} s after {clock_text(until)}", text)


def _in_the_way(record: Record, since: float, until: float, end: float) -> bool:
    """Whether anything but the pause itself keeps rows from being posted after it, or has changed them."""
    if any(
        action.kind in ("api", "rules", "sql", "kill", "stall", "hang", "deny", "clock", "mail", "database")
        for action in record.plan.actions
    ):
        return True
    others = [at for at in record.commands if abs(at - since) > 5 and abs(at - until) > 5]
    return any(since <= at <= end for at in others) or any(until <= at <= end for at, *_ in record.changes)


def audited(record: Record) -> Iterator[Violation]:
    """(9) The audit has as many rows of each kind of order as were changed by it."""
    if record.every_commit and record.audit != record.ordered:
        yield Violation("audited", f"the audit has {dict(record.audit)}, and orders have changed {dict(record.ordered)}")
