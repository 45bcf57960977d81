"""Why is this row not delivered? One sentence, from the facts that the database has of the row."""

from __future__ import annotations

from msgspec import Struct

from rowpost.rules.lease import GUARDED_COUNT, REDELIVERED_VERSION
from rowpost.rules.lifecycle import State


class LeaseFacts(Struct, frozen=True):
    """The trigger's lease of the row.

    Attributes:
        version: the change version that was handed out.
        attempts: hand-outs that nobody has settled; below zero: parked.
        until: when it ends, ISO 8601, UTC; None if it is released.
        over: whether that time is past.
    """

    version: int
    attempts: int
    until: str | None = None
    over: bool = False


class RecordFacts(Struct, frozen=True):
    """The row's record in the ledger."""

    state: str
    version: int
    attempts: int
    last_error: str | None
    last_failure: str
    next_attempt: str


class RowFacts(Struct, frozen=True):
    """What is known of a row.

    Attributes:
        exists: whether it is in the table, as far as the app's user sees.
        tracked_version: the version of its last change; None if change tracking knows none.
        cursor: the trigger's: all changes up to this version are done; None if the trigger has never started.
        lease: the trigger's lease.
        record: its record in the ledger.
        problem: why the relay cannot run.
        paused_since: since when the relay is paused.
        breaker_open_until: until when the target is not called.
        filtered: why its last change is not sent, if a filter of the relay leaves it out.
        obstacle: why nothing can be said of the row to the target.
    """

    exists: bool = False
    tracked_version: int | None = None
    cursor: int | None = None
    lease: LeaseFacts | None = None
    record: RecordFacts | None = None
    problem: str | None = None
    paused_since: str | None = None
    breaker_open_until: str | None = None
    filtered: str | None = None
    obstacle: str = ""


def story(facts: RowFacts) -> str:
    """The sentence. The first rule that holds tells."""
    if facts.problem is not None:
        return f"The relay cannot run, so nothing of it is sent: {facts.problem.rstrip('.')}."
    record = facts.record
    if record is not None and record.state != State.DEAD:
        return _failing(facts, record)
    if record is not None and (facts.tracked_version or 0) <= record.version:
        tried = f"after {_times(record.attempts)}, {_last(record)}"
        return f"It was given up at {record.next_attempt} {tried}; replay it, or change the row."
    return _without_record(facts)


def _failing(facts: RowFacts, record: RecordFacts) -> str:
    """A row with a live record."""
    times = "once" if record.attempts == 1 else f"{record.attempts} times"
    tried = f"It has failed {times}, {_last(record)}" if record.attempts else f"It waits, {_last(record)}"
    if facts.lease is not None and facts.lease.attempts > 0 and facts.lease.until is not None and not facts.lease.over:
        return f"{tried}; it is being tried again now."
    if facts.paused_since is not None:
        return f"{tried}; the relay is paused since {facts.paused_since}, so it is not tried until somebody resumes the relay."
    if facts.breaker_open_until is not None:
        return f"{tried}; the target does not work, and nothing is posted until {facts.breaker_open_until}."
    if record.state == State.RETRYING:
        return f"{tried}; the trigger tries it again at {record.next_attempt}."
    if record.state == State.EXHAUSTED:
        return f"{tried}; its built-in attempts are used up, and recovery plans its next round."
    by = "recovery" if record.state == State.DETACHED else "the trigger"
    return f"{tried}; the next try is at {record.next_attempt}, by {by}."


def _without_record(facts: RowFacts) -> str:
    """A row that has no record, or a dead one of a former change."""
    lease, version = facts.lease, facts.tracked_version
    if lease is None and version is None and facts.exists:
        return "Nothing waits: the row has not changed since its changes are kept; a resync sends it all the same."
    if lease is None and version is None:
        return "There is no such row, and change tracking knows no change of it: check the key."
    if lease is not None and lease.until is not None:
        return _leased(facts, lease)
    done = lease is not None and (version is None or lease.version >= version)
    if done or (facts.cursor is not None and version is not None and version <= facts.cursor):
        return _done(facts)
    if facts.cursor is None:
        return f"Its change of version {version} waits, since the trigger has never started: check that the function app runs."
    if facts.filtered is not None:
        return f"Its last change, of version {version}, is not sent: {facts.filtered}."
    if facts.paused_since is not None:
        return f"Its change of version {version} waits, since the relay is paused since {facts.paused_since}; resume it."
    if facts.breaker_open_until is not None:
        until = facts.breaker_open_until
        return f"Its change of version {version} waits, since the target does not work; nothing is posted until {until}."
    return f"Its change of version {version} waits to be handed out; the trigger takes the oldest changes first."


def _leased(facts: RowFacts, lease: LeaseFacts) -> str:
    """A row under a lease that is not released."""
    stopped = lease.attempts < 0 or (lease.attempts >= GUARDED_COUNT and lease.over)
    if stopped:
        return "It was taken from the trigger, since its batches did not end; the watchdog gives it to recovery at its next look."
    if lease.over:
        return f"Its lease ended at {lease.until}, and nobody has settled it: the trigger hands it out again at its next look."
    if lease.attempts == 0:
        return f"It was handed out and not tried; it comes again at {lease.until}."
    who = "recovery" if lease.version == REDELIVERED_VERSION else "a batch"
    return f"It is being sent now, by {who} whose lease ends at {lease.until}."


def _done(facts: RowFacts) -> str:
    """A row of which nothing waits."""
    version = facts.tracked_version
    if facts.obstacle:
        return f"Nothing waits of it, though {facts.obstacle}."
    if version is None:
        return "Nothing waits: its last change was done with, and change tracking does not keep it any more."
    if facts.filtered is not None:
        return f"Nothing waits: its last change, of version {version}, is not sent: {facts.filtered}."
    return f"Nothing waits: its last change, of version {version}, was delivered, or needed no sending."


def _times(count: int) -> str:
    return f"{count or 'no'} {'attempt' if count < 2 else 'attempts'}"


def _last(record: RecordFacts) -> str:
    return f"last at {record.last_failure}: {(record.last_error or 'no reason is known').rstrip('.')}"
