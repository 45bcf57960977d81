"""The invariants about time: built-in attempts, rounds, holds."""

from __future__ import annotations

import bisect
import math
from collections import defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from devtools.sim.judging import Violation, disturbed, lapsed, posts_by_row, refused_in_company, taken, unknown
from devtools.sim.plan import clock_text
from devtools.sim.record import Look, Record, key_text
from emulators.downstream.attempt import Attempt

BUILT_IN_SECONDS = 60
_SLACK_SECONDS = 2
_LOCKED_SECONDS = 15  # a wait for the trigger's lock
_CLAIMED_SECONDS = 10  # a settlement goes by what the claim saw of the circuit breaker, so long before at most
_UNKNOWN = 90  # the count of failures is not known any more
_LATE_SECONDS = 75  # a hand-out, and one look of the trigger
_HANGS_SECONDS = 2400  # until the watchdog has replaced what does not move
_LONGEST_RETRY_AFTER_SECONDS = 900
_STALLED_SECONDS = 900  # a protective hold, a round of the watchdog, a lease
_BATCH_SECONDS = 45  # batch_budget of the plans, and an answer that is waited for
_ROWS_OF_A_QUIET_TARGET = 2  # that open the breaker if one of them has used up the built-in attempts
_PROTECT_SECONDS = 300  # how long an exhausted row is held until it is planned
_PROTECTED_SECONDS = _PROTECT_SECONDS - _SLACK_SECONDS
_ASK_FOR_A_PAUSE = frozenset({429, 503})
_TRANSIENT = frozenset({401, 403, 408, 425, 429, 307})


def transient(record: Record, attempt: Attempt) -> bool:
    """Whether a post failed by the target's fault, not the row's."""
    status = attempt.status
    return unknown(record, attempt) or status in _TRANSIENT or (status or 0) >= 500


def shielded(record: Record, begin: float, end: float) -> bool:
    """Whether the table's circuit breaker was open at any time between two instants, or just before; or the target had asked for a
    pause."""
    return _paused(record, begin, end) or any(
        look.open_seconds is not None and begin - 60 <= look.at <= end or _open_during(look, begin, end) for look in record.looks
    )


def asked_for_a_pause(attempt: Attempt) -> bool:
    """Whether an answer is one with which the whole target may ask for a pause."""
    return attempt.status in _ASK_FOR_A_PAUSE


def _paused(record: Record, begin: float, end: float) -> bool:
    """Whether a worker may have kept a pause then for which the target had asked, or had handed rows back for it just before."""
    for fellow in record.of_target or [record]:
        for attempt in fellow.attempts:
            if asked_for_a_pause(attempt) and (at := record.at(attempt.at)) <= end:
                asked = max(retry_after(fellow, at, attempt), default=0.0)
                if asked and at + min(asked, record.plan.settings.probe) + BUILT_IN_SECONDS + _LATE_SECONDS >= begin:
                    return True
    return False


def _target_worked(record: Record, begin: float, end: float) -> bool:
    """Whether the target showed between two instants that it works, after failures."""
    return any(look.worked_at is not None and begin - 1 <= look.worked_at <= end for look in record.looks)


def _open_during(look: Look, begin: float, end: float) -> bool:
    return look.open_seconds is not None and look.at <= end and look.at + look.open_seconds >= begin


def neighbours(record: Record) -> Iterator[Violation]:
    """(4) While all is up, a row that the API has nothing against arrives within the built-in interval."""
    posts, hidden = posts_by_row(record), refused_in_company(record)
    calm = list(_calm_times(record))
    for at, text, version, counts in record.changes:
        end = at + BUILT_IN_SECONDS + 15
        if not counts or not any(begin <= at and end <= finish for begin, finish in calm) or disturbed(record, at - 60, end):
            continue
        mine = posts.get(text, [])
        early = at - BUILT_IN_SECONDS if record.every_commit else 0
        if any(attempt.outcome not in ("accepted", "repeated") and early <= when < end for when, attempt in mine):
            continue  # it has just failed, or fails now: then its own schedule counts
        if any(early <= when < end for when in hidden[text]):
            continue  # the API has something against it, and said so of the whole request because of another one
        if _in_ledger(record, text, at, end):
            continue
        if any(unknown(record, attempt) for _, attempt in mine) or shielded(record, at - BUILT_IN_SECONDS, end):
            continue
        if any(each == text and other != version and at - 60 <= when <= end for when, each, other, _ in record.changes):
            continue
        if not any((attempt.version or 0) >= version and when <= end for when, attempt in mine):
            yield Violation("neighbours", f"{text}: version {version} of {clock_text(at)} did not arrive within a minute", text)


def _in_ledger(record: Record, text: str, begin: float, end: float) -> bool:
    """Whether a row had a record at any time between two instants."""
    first = max(0, bisect.bisect_right(record.looks, begin, key=lambda look: look.at) - 1)
    for look in record.looks[first:]:
        if look.at > end:
            return False
        if text in look.ledger:
            return True
    return False


def _calm_times(record: Record) -> Iterator[tuple[float, float]]:
    """The times in which the API as a whole is up."""
    begin: float | None = 0.0
    for action in record.plan.actions:
        if action.kind != "api":
            continue
        up = action.values == {"mode": "up"} or action.values.get("seconds", 9.0) < 0.1
        if not up and begin is not None:
            yield begin, action.at
            begin = None
        elif up and begin is None:
            begin = action.at + 2 * BUILT_IN_SECONDS
    if begin is not None:
        yield begin, float("inf")


def schedule(record: Record) -> Iterator[Violation]:
    """(5) A row that fails is tried again when its interval or its hold ends, not before, and not much later."""
    changed = defaultdict(list)
    for at, text, _, _ in record.changes:
        changed[text].append(at)
    for text, posts in posts_by_row(record).items():
        failed = 0
        for (before, first), (at, second) in pairwise(posts):
            failed = 0 if taken(record, first) else failed + 1
            if not failed:
                continue
            # Behind the breaker others try the target for it; and when the target works again, it is due at once.
            if disturbed(record, before, at) or shielded(record, before, at) or _target_worked(record, before, at):
                failed = _UNKNOWN
                continue
            if first.version != second.version or any(before < when <= at for when in changed[text]):
                failed = _UNKNOWN
                continue
            due = _as_planned(record, text, before, at) if record.every_commit else _as_promised(record, failed, before, first)
            if due is None:
                continue
            gap, (least, most) = at - before, due
            story = f"{text}: tried again at {clock_text(at)} after {gap:.0f} s instead of"
            if gap < least - _SLACK_SECONDS:
                yield Violation("schedule", f"{story} at least {least:.0f} s", text)
            if gap > most + _LATE_SECONDS:
                yield Violation("schedule", f"{story} at most {most:.0f} s", text)


def _as_planned(record: Record, text: str, before: float, at: float) -> tuple[float, float] | None:
    """The time to the next attempt, by what was written down last: the end of the row's lease, or the plan of recovery."""
    looks = [look for look in record.looks if before <= look.at < at - _SLACK_SECONDS and text in look.ledger]
    looks = [
        look for look in looks if look.leases.get(text, (0, 0, None))[1] <= 0
    ]  # handed out, and waiting for others of its batch
    if not looks:
        return None
    look = looks[-1]
    state, version, _, _, next_seconds, _ = look.ledger[text]
    lease = look.leases.get(text)
    if state == "dead":
        return None
    if state != "detached" and lease is not None and lease[0] == version and lease[2] is not None:
        next_seconds = lease[2]
    elif state == "retrying":
        return None  # the lease went with a worker that had lost it
    due = look.at - before + max(0.0, next_seconds)
    return due, due


def _as_promised(record: Record, failed: int, before: float, first: Attempt) -> tuple[float, float]:
    """The time to the next attempt, by the configured schedule and the number of failures since the last success."""
    settings = record.plan.settings
    least, most = float(BUILT_IN_SECONDS), max(settings.max_delay, float(_PROTECT_SECONDS))
    patient = settings.breaker_failures >= 100  # rows that the breaker skips count an attempt that the API never saw
    if patient and settings.attempts <= failed < _UNKNOWN:
        least = most = settings.delay(failed - settings.attempts + 1)
    elif patient and failed < settings.attempts:
        most = BUILT_IN_SECONDS
    elif failed >= _UNKNOWN or not patient:
        least, most = min(least, settings.first_delay), float("inf")
    asked = retry_after(record, before, first)
    if asked:
        least, most = max(least, min(asked)), max(most, *asked)
    return least - _in_batch(record, before), most


def _in_batch(record: Record, at: float) -> float:
    """How long after its hand-out a row can have been posted: it waits for others of its batch."""
    slow = any(a.kind == "api" and a.values["mode"] == "slow" and a.at <= at for a in record.plan.actions)
    return _BATCH_SECONDS if slow else 3 * record.plan.pace * len(record.wanted)


def patience(record: Record) -> Iterator[Violation]:
    """(5) Whoever was asked to wait does, whatever the circuit breaker or the end of others does meanwhile."""
    if not record.every_commit:
        return
    for text, posts in posts_by_row(record).items():
        for (before, first), (at, second) in pairwise(posts):
            asked = min(retry_after(record, before, first), default=0.0)
            if at - before >= asked - _SLACK_SECONDS or unknown(record, first) or first.version != second.version:
                continue
            ordered = any(before <= when <= at for when in [*record.commands, *(when for when, _ in record.shifts)])
            changed = any(before <= when <= at and each == text for when, each, _, _ in record.changes)
            if not (ordered or changed or disturbed(record, before, before + _BATCH_SECONDS)):
                yield Violation("patience", f"{text}: asked to wait {asked:.0f} s, but tried again at {clock_text(at)}", text)


def retry_after(record: Record, at: float, attempt: Attempt) -> list[float]:
    """The Retry-After that the API may have sent with this answer."""
    if attempt.status not in (408, 425, 429) and (attempt.status or 0) < 500:
        return []
    asked: list[float] = []
    mode: dict[str, Any] = {}
    for action in record.plan.actions:
        if action.kind == "api" and action.at <= at:
            mode = action.values
        if action.kind == "rules" and action.at <= at:
            for rule in action.values["rules"]:
                if rule["status"] == attempt.status and rule["match"].get("key") == attempt.key:
                    asked.append(float(rule.get("retry_after") or 0))
    if mode.get("status") == attempt.status:
        asked.append(float(mode.get("retry_after") or 0))
    return asked


def holds(record: Record) -> Iterator[Violation]:
    """(5) What is written down agrees with the schedule: when a round is due, and the lease that holds the row until then."""
    if not record.every_commit:
        return
    settings = record.plan.settings
    for before, look in pairwise(record.looks):
        for text, entry in look.ledger.items():
            state, version, attempts, rounds, next_seconds, not_before = entry
            known = before.ledger.get(text)
            if known is not None and known[:4] == entry[:4]:
                continue
            if known is not None and known[1] == version and attempts < known[2] and "dead" not in (state, known[0]):
                yield Violation("holds", f"{text}: attempts went back from {known[2]} to {attempts} at {clock_text(look.at)}", text)
            if lapsed(record, look.at):
                continue
            lease = look.leases.get(text)
            mine = lease is not None and lease[0] == version and lease[1] == 0 and state != "detached"
            if state in ("held", "detached") and known is not None and rounds == known[3] + 1:
                due = max(settings.delay(rounds), not_before or 0)
                # Planning looks at the circuit breaker, and then waits for the trigger's lock.
                latest = [each.open_seconds or 0 for each in record.looks if look.at - _LOCKED_SECONDS <= each.at <= look.at]
                most = max(due, before.open_seconds or 0, *latest)
                where = f"{text}: round {rounds} at {clock_text(look.at)}"
                if next_seconds < due - _SLACK_SECONDS and look.open_seconds is None:
                    yield Violation("holds", f"{where} is due after {next_seconds} s instead of {due:.0f} s", text)
                if next_seconds > most + _SLACK_SECONDS:
                    yield Violation("holds", f"{where} is due after {next_seconds} s instead of {most:.0f} s", text)
                if mine and lease is not None and lease[2] is not None and lease[2] < next_seconds - _SLACK_SECONDS:
                    yield Violation("holds", f"{where} is due after {next_seconds} s, but held for {lease[2]:.0f} s only", text)
            if state == "retrying" and attempts >= settings.attempts:
                yield Violation("holds", f"{text}: not exhausted at {clock_text(look.at)} after {attempts} attempts", text)
            early = state == "exhausted" and attempts < settings.attempts and (known is None or known[0] == "retrying")
            if (
                early
                and not shielded(record, look.at - _CLAIMED_SECONDS, look.at)
                and not disturbed(record, look.at - 300, look.at)
            ):
                yield Violation("holds", f"{text}: exhausted at {clock_text(look.at)} after {attempts} attempts", text)
            # A row that this very statement exhausted is held until it can be planned.
            just = state == "exhausted" and (known is None or known[0] != state) and next_seconds >= _PROTECTED_SECONDS
            # Sent again after the answer was lost, it meets the lease of the round that was planned meanwhile.
            again = known is not None and known[0] == "held" and attempts == known[2]
            again = again and any(look.at - 2 * _SLACK_SECONDS <= at <= look.at for at in record.struck)
            if just and not again and mine and lease is not None and lease[2] is not None and lease[2] < _PROTECTED_SECONDS:
                yield Violation("holds", f"{text}: exhausted at {clock_text(look.at)}, but held for {lease[2]:.0f} s only", text)


def deaths(record: Record) -> Iterator[Violation]:
    """(5) A row becomes a dead letter only when its window has passed, or if it was refused for its own sake and the attempts are
    used up."""
    if not record.every_commit:
        return
    settings, posts = record.plan.settings, posts_by_row(record)
    since: dict[str, float] = {}
    for before, look in pairwise([Look(0.0, None, {}), *record.looks]):
        for text, entry in look.ledger.items():
            known = before.ledger.get(text)
            if known is None or known[0] == "dead":
                since[text] = look.at
            if entry[0] != "dead" or (known is not None and known[0] == "dead"):
                continue
            refused = any(_refused(post) and post.version == entry[1] and at <= look.at for at, post in posts.get(text, []))
            failing = look.at - max([since[text], *(until for _, until in record.paused if until <= look.at)])
            final = refused and settings.rejected == "dead_letter" and entry[2] >= settings.attempts
            if failing < settings.window - _SLACK_SECONDS and not final:
                yield Violation("deaths", f"{text}: dead at {clock_text(look.at)}, when it had failed for {failing:.0f} s", text)


def _refused(attempt: Attempt) -> bool:
    return 400 <= (attempt.status or 0) < 500 and attempt.status not in _TRANSIENT


def rounds(record: Record) -> Iterator[Violation]:
    """(5) Rounds count one by one, and what was planned is not put off."""
    if not record.every_commit:
        return
    for before, look in pairwise(record.looks):
        for text, entry in look.ledger.items():
            known = before.ledger.get(text)
            if known is None or "dead" in (entry[0], known[0]):
                continue
            planned = known[0] == "exhausted" and entry[0] == "held"
            if entry[3] not in ((known[3] + 1,) if planned else (0, known[3], known[3] + 1)):
                told = f"{text}: from round {known[3]} to {entry[3]} at {clock_text(look.at)}"
                yield Violation("rounds", told, text)
            later = min(entry[4], look.at + entry[4] - before.at - known[4])
            if entry[:4] == known[:4] and entry[0] != "exhausted" and later > _SLACK_SECONDS and not lapsed(record, look.at):
                yield Violation("rounds", f"{text}: put off by {later:.0f} s at {clock_text(look.at)}", text)


def breaker(record: Record) -> Iterator[Violation]:
    """(5) The circuit breaker opens only after different rows failed; while it is open only batches under way post."""
    if not record.every_commit:
        return
    failed = sorted(
        (at, f"{fellow.lane.relay.name} {text}")
        for fellow in record.of_target or [record]
        for text, posts in posts_by_row(fellow).items()
        for at, attempt in posts
        if transient(fellow, attempt)
    )
    closed = 0.0
    for before, look in pairwise(record.looks):
        if before.openings and not look.openings:
            closed = look.at
        if not before.openings and look.openings:
            rows = {text for at, text in failed if closed - _BATCH_SECONDS <= at <= look.at}
            # A worker that stood still does not know that another one has counted the row's first failure.
            twice = any(since <= look.at and back >= closed - _BATCH_SECONDS for since, back, _ in record.stalls)
            least = min(record.plan.settings.breaker_failures, _ROWS_OF_A_QUIET_TARGET)
            if len(rows) < least and not twice and not lapsed(record, look.at):
                yield Violation("breaker", f"it opened at {clock_text(look.at)} after the failures of {len(rows)} rows")
        if look.open_seconds is not None:
            following = next((each.at for each in record.looks if each.at > look.at and each.open_seconds is None), math.inf)
            end = min(look.at + look.open_seconds - 1, following)
            for text, posts in posts_by_row(record).items():
                for at, post in posts:
                    if look.at + _BATCH_SECONDS < at < end and not lapsed(record, at, post.event_id or ""):
                        yield Violation(
                            "breaker", f"{text}: posted at {clock_text(at)}, though it is open since {clock_text(look.at)}", text
                        )


def stalled(record: Record) -> Iterator[Violation]:
    """(5) When everything is up again, a row is delivered when its hold ends: it does not wait for the window to close."""
    plan = record.plan
    settings = plan.settings
    limit = plan.length + max(settings.max_delay, _LONGEST_RETRY_AFTER_SECONDS, settings.probe) + _STALLED_SECONDS
    limit += max((until - plan.length for _, until in record.paused if until > plan.length), default=0.0)
    limit += max((60.0 * -minutes for _, minutes in record.shifts if minutes < 0), default=0.0)
    limit += max((back - plan.length for _, back, _ in record.stalls if back > plan.length), default=0.0)
    limit += max((_HANGS_SECONDS for since in record.hung.values() if since > plan.length - _HANGS_SECONDS), default=0.0)
    lasting = {key_text(rule["match"]["key"]) for rule in plan.lasting_rules}
    told: set[str] = set()
    for look in record.looks:
        for text, entry in look.ledger.items():
            if look.at > limit and entry[0] != "dead" and text not in lasting | told:
                told.add(text)
                yield Violation("stalled", f"{text}: still {entry[0]} at {clock_text(look.at)}, though nothing is in its way", text)
