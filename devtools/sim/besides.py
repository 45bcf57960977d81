"""The invariants about what the dimensions bring: other apps and relays, rows that cannot be read, rights that are gone, hangs."""

from __future__ import annotations

from collections.abc import Iterator
from math import inf

from devtools.sim.judging import SETTLES_SECONDS, Violation, disturbed, lapsed, pausing, posts_by_row, taken, troubled, unknown
from devtools.sim.plan import clock_text
from devtools.sim.record import Record, Trouble

_STUCK_SECONDS = 1200  # a row that is due since then shows that its recovery does not move,
_LOOKS_SECONDS = 3 * 300  # at two looks of the watchdog, of which the first may fall on a moment before
_BREAKER_SECONDS = 300  # a row that is due may wait for the target's breaker so long
OVERDUE_SECONDS = _STUCK_SECONDS + _LOOKS_SECONDS + _BREAKER_SECONDS
_BLOCKED_SECONDS = 1500  # three looks that see a trigger stand still, the take-over, and the redelivery of what it did not hand out
_TOLD_SECONDS = 700  # two looks of the watchdog, and the notice
_DAY = 86400
_BATCH_ENDS_SECONDS = 50  # after a post: other posts up to the end of the batch, settlement, and what is said of recovery
_RESYNC_SECONDS = 3600  # a resync sends rows again, page after page, no faster than the API takes them


def strangers(record: Record) -> Iterator[Violation]:
    """(1) Nobody has, or tells of, what is another's."""
    for what in record.strangers:
        yield Violation("strangers", what)


def repeats(record: Record) -> Iterator[Violation]:
    """(4) What the API has taken, and the app has seen taken, is not posted again: no failure of a neighbour takes it along."""
    if not record.every_commit:
        return
    resyncs = _resyncs(record)
    for text, posts in posts_by_row(record).items():
        seen: dict[str | None, float] = {}
        for at, attempt in posts:
            since = seen.get(attempt.event_id)
            ordered = any(begin <= at <= end for begin, end in resyncs)
            # A renewal that waits for the lock while a batch is settled overwrites what was settled: the row is handed out again.
            renewed = since is not None and any(since - 1 <= when <= since + _BATCH_ENDS_SECONDS for when in record.renewals)
            excused = ordered or renewed or since is None or disturbed(record, since, at)
            excused = excused or lapsed(record, at, attempt.event_id or "")
            if not excused:
                told = f"{text}: version {attempt.version} was taken at {clock_text(since)}, and posted again at {clock_text(at)}"
                yield Violation("repeats", told, text)
            if taken(record, attempt):
                seen[attempt.event_id] = at


def _resyncs(record: Record) -> list[tuple[float, float]]:
    """When rows are sent again: for a while after a command, and from the first event of a resync to its last one."""
    orders = [a.at for a in record.plan.actions if a.kind == "command" and a.values["do"] == "resync"]
    spans = [(at, at + _RESYNC_SECONDS) for at in orders]
    begun = [record.at(each.at) for each in record.attempts if each.operation == "resync-begun"]
    ends = [record.at(each.at) for each in record.attempts if each.operation == "resync-completed"]
    return spans + [(at, max([end for end in ends if end >= at], default=inf)) for at in begun]


def overdue(record: Record) -> Iterator[Violation]:
    """(5) No row that recovery is to deliver is due for long: a recovery that does not move is replaced."""
    if not record.every_commit:
        return
    told: set[str] = set()
    for look in record.looks:
        for text, entry in look.ledger.items():
            late = -entry[4]
            if entry[0] not in ("exhausted", "detached") or late <= OVERDUE_SECONDS or text in told:
                continue
            begin = look.at - late
            if _shut_out(record, begin, look.at):
                continue
            told.add(text)
            yield Violation("overdue", f"{text}: {entry[0]} and due for {late:.0f} s at {clock_text(look.at)}", text)


def _shut_out(record: Record, begin: float, end: float) -> bool:
    """Whether anything but a hang kept the app from its work."""
    if any(since <= end and back >= begin for since, back, _ in record.kills + record.stalls) or pausing(record, begin, end):
        return True
    return troubled(record, begin, end, f"hang {record.lane.relay.name}", "unreadable") or any(
        begin <= at <= end for at in record.struck
    )


def unreadable(record: Record) -> Iterator[Violation]:
    """(4) While a row keeps the trigger from reading, the others still arrive, and that row stands alone with its own error."""
    blocked = [trouble for trouble in record.troubles if trouble.kind == "unreadable"]
    if not record.every_commit or not blocked:
        return
    posts = posts_by_row(record)
    for at, text, version, counts in record.changes:
        inside = any(trouble.since <= at and at + _BLOCKED_SECONDS <= trouble.until for trouble in blocked)
        if not counts or not inside or text in _bad(record, at, at + _BLOCKED_SECONDS):
            continue
        if _shut_out(record, at - SETTLES_SECONDS, at + _BLOCKED_SECONDS) or not _all_up(record, at, at + _BLOCKED_SECONDS):
            continue
        again = any(each == text and at < when <= at + _BLOCKED_SECONDS for when, each, *_ in record.changes)
        mine = posts.get(text, [])
        failed = any(attempt.outcome not in ("accepted", "repeated") or unknown(record, attempt) for _, attempt in mine)
        if again or failed or any((attempt.version or 0) >= version and when <= at + _BLOCKED_SECONDS for when, attempt in mine):
            continue
        yield Violation(
            "unreadable", f"{text}: version {version} of {clock_text(at)} did not get past a row that cannot be read", text
        )
    bad = {text for _, text in record.spoiled}
    for look in record.looks:
        for text, error in look.errors.items():
            if "8134" in error and text not in bad:
                yield Violation("unreadable", f"{text}: has the error of another row at {clock_text(look.at)}: {error}", text)
                return


def _bad(record: Record, begin: float, end: float) -> set[str]:
    """The rows that were spoiled up to an instant: their own change is another matter."""
    return {text for at, text in record.spoiled if at <= end}


def _all_up(record: Record, begin: float, end: float) -> bool:
    """Whether the API answers as it should for a while, and has done so before."""
    up = 0.0 if not any(action.kind == "api" for action in record.plan.actions) else None
    for action in record.plan.actions:
        if action.kind == "api" and action.at <= end:
            up = action.at if action.values == {"mode": "up"} else None
            if up is None and action.at >= begin:
                return False
    first = next((action.at for action in record.plan.actions if action.kind == "api"), end + 1)
    return first > end or (up is not None and up + 600 <= begin)


def told_of_trouble(record: Record) -> Iterator[Violation]:
    """(6) People hear within minutes that a relay cannot run, or that rows of one wait that is not configured any more."""
    if not record.every_commit:
        return
    for trouble in record.troubles:
        kind = "unconfigured" if trouble.kind.startswith("unconfigured") else "unable"
        if (
            trouble.kind not in ("denied", f"denied {record.lane.table}", f"unconfigured {record.lane.relay.name}")
            or trouble.until - trouble.since <= _TOLD_SECONDS
        ):
            continue
        if kind == "unconfigured" and not _rows_wait(record, trouble):
            continue
        if disturbed_besides(record, trouble):
            continue
        limit = trouble.since + _TOLD_SECONDS
        known = [at for at, notice in record.alerts if isinstance(notice, dict) and notice.get("kind") == kind]
        if not any(trouble.since - _DAY <= at <= limit for at in known):
            yield Violation(
                "told_of_trouble", f"{trouble.kind} since {clock_text(trouble.since)}, and nobody was told by {clock_text(limit)}"
            )


def disturbed_besides(record: Record, trouble: Trouble) -> bool:
    """Whether anything but the trouble itself kept the watchdog from its look, or the webhook from hearing."""
    begin, end = trouble.since, trouble.since + _TOLD_SECONDS
    if any(since <= end and back >= begin and how != "new configuration" for since, back, how in record.kills + record.stalls):
        return True
    rules = [
        rule for action in record.plan.actions if action.kind == "rules" and action.at <= end for rule in action.values["rules"]
    ]
    deaf = any(rule["match"].get("path") == "/alerts" for rule in rules)
    others = [each for each in record.troubles if each is not trouble and each.since <= end and each.until >= begin]
    struck = any(begin <= at <= end for at in record.struck)
    return deaf or struck or bool(others) or any(begin <= since <= end for since in record.hung.values())


def _rows_wait(record: Record, trouble: Trouble) -> bool:
    """Whether rows of the relay wait all the time in which people are to be told."""
    end = trouble.since + _TOLD_SECONDS
    inside = [look for look in record.looks if trouble.since <= look.at <= end]
    before = [look for look in record.looks if look.at < trouble.since][-1:]
    return bool(before) and all(any(entry[0] != "dead" for entry in look.ledger.values()) for look in before + inside)


__all__ = ["overdue", "repeats", "strangers", "told_of_trouble", "unreadable"]
