"""The story of one row: why it is not delivered, all that is known of it, and what would be sent. Nothing is written or sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec import Struct, field

from rowpost.app import App
from rowpost.database.connection import DatabaseError
from rowpost.database.connection import Row as Values
from rowpost.database.table import Table
from rowpost.operations.rows import LedgerRow, Refused, ledger_row
from rowpost.operations.status import utc_text
from rowpost.relay.claim import Claim, look_at
from rowpost.rules.error_class import error_class
from rowpost.rules.json_text import to_json
from rowpost.rules.lease import REDELIVERED_VERSION
from rowpost.rules.row import ClaimedRow, key_hash, key_text
from rowpost.rules.story import LeaseFacts, RecordFacts, RowFacts, story
from rowpost.target.event import build_event
from rowpost.target.request import Unfit
from rowpost.target.shown import WouldSend, hide_values, shown


class Fact(Struct):
    """Something that is known of the row, in words."""

    name: str
    text: str


class Attempt(Struct):
    """An attempt that failed.

    Attributes:
        at: when it was settled (UTC).
        number: the how manieth attempt of the row it was.
        version: of the change that was posted.
        status: the HTTP status, if the target answered.
        error: the failure.
        class: its class.
        milliseconds: how long the target took; null if it was not called.
        by: ``trigger`` or ``recovery``.
        trace: the id of its trace: that of its line in the log, and of the request's ``traceparent``.
    """

    at: str
    number: int
    version: int
    status: int | None
    error: str | None
    error_class: str = field(name="class")
    milliseconds: int | None
    by: str
    trace: str | None


class Lease(Struct):
    """The trigger's lease of the row.

    Attributes:
        version: the change version that was handed out; null: recovery redelivers the row, under a version of its own.
        attempts: hand-outs that nobody has settled; below zero: parked.
        until: when it ends (UTC); null: it is released.
        over: whether that time is past.
    """

    version: int | None
    attempts: int
    until: str | None
    over: bool


class Story(Struct):
    """Why a row is not delivered.

    Attributes:
        sentence: the answer in one sentence.
        key: the primary key, as the table spells it.
        facts: what the sentence was made of, in words.
        exists: whether the row is in the table, as far as the app's user sees.
        tracked_version: the version of its last change; null if change tracking knows none.
        lease: the trigger's lease; null if it has none.
        record: its record in the ledger; null if it has none.
        attempts: the last attempts that failed, newest first; at most 20, or 2 while many rows fail.
        next_try: when it is tried again (UTC), if that is known.
        filtered: why its last change is not sent, if a filter of the relay leaves it out.
        would_send: the request that would be sent now; null if nothing can be.
    """

    sentence: str
    key: dict[str, Any]
    facts: list[Fact]
    exists: bool
    tracked_version: int | None
    lease: Lease | None
    record: LedgerRow | None
    attempts: list[Attempt]
    next_try: str | None
    filtered: str | None
    would_send: WouldSend | None


def row_story(app: App, relay: str, key: Mapping[str, Any], *, values: bool = False) -> Story:
    """Why a row is not delivered.

    Args:
        app: the app.
        relay: its name.
        key: of the row, see :mod:`rowpost.operations.keys`.
        values: whether the values of the row are shown in what would be sent; else a mark stands for each.

    Raises:
        Refused: the key is none of this table's.
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    table = app.table(relay)
    keys = [{"number": 0, "key": dict(key)}]
    started, exists, tracked, paused_at, *spelled = _named(app, table, keys)
    found_key, paused_since = table.key_of(spelled), utc_text(paused_at)
    if not started:
        facts = RowFacts(exists=exists, tracked_version=tracked, paused_since=paused_since)
        return Story(story(facts), found_key, _facts(facts), exists, tracked, None, None, [], None, None, None)
    claim = look_at(app.database, table, keys)
    row = next(iter(claim.rows), None)
    name = row.key_hash if row is not None else key_hash(key_text(found_key))
    (more,), records, attempts = app.database.run(table.statement("look_at_row"), to_json(keys), name)
    cursor, until, over, version, count, open_until = more
    lease = None if version is None else LeaseFacts(version, count, utc_text(until), bool(over))
    record = ledger_row(records[0]) if records else None
    facts = RowFacts(
        exists,
        tracked,
        cursor,
        lease,
        None if record is None else _record_facts(record),
        paused_since=paused_since,
        breaker_open_until=utc_text(open_until),
        filtered=None if row is None else _filtered(row),
        obstacle="" if row is None else row.obstacle,
    )
    would_send, unfit = _would_send(app, table, claim, row, values=values)
    told = _facts(facts) + ([Fact("event", f"nothing can be sent: {unfit}")] if unfit else [])
    return Story(
        story(facts),
        row.key if row is not None else found_key,
        told,
        exists,
        tracked,
        None if lease is None else _lease(lease),
        record,
        [_attempt(attempt) for attempt in attempts],
        _next_try(facts),
        facts.filtered,
        would_send,
    )


def _named(app: App, table: Table, keys: Sequence[Mapping[str, Any]]) -> Values:
    try:
        ((row,),) = app.database.run(table.statement("name_row"), to_json(keys))
    except DatabaseError as error:
        if not error.by_a_row or error.lost:
            raise
        raise Refused("key", f"is no key of {table.name}: a value is not of the type of its column ({error.reason})") from None
    if any(value is None for value in row[4:]):
        raise Refused("key", f"is no key of {table.name}: a value is not of the type of its column")
    return (bool(row[0]), bool(row[1]), *row[2:])


def _record_facts(record: LedgerRow) -> RecordFacts:
    return RecordFacts(record.state, record.version, record.attempts, record.last_error, record.last_failure, record.next_attempt)


def _filtered(row: ClaimedRow) -> str | None:
    """Why the last change of a row is not sent, if a filter of the relay leaves it out."""
    if row.ignored:
        return "the row does not meet `where`, and the target never had it" if row.new else "the row does not meet `where`"
    return None if row.skipped_by is None else f"`{row.skipped_by}` leaves the change out"


def _would_send(
    app: App, table: Table, claim: Claim, row: ClaimedRow | None, *, values: bool
) -> tuple[WouldSend | None, str | None]:
    """The request that would be sent now, or why there is none."""
    if row is None or claim.masked:
        return None, "columns of the table are masked" if claim.masked else None
    if row.obstacle or row.ignored or row.unreadable or row.too_large:
        return None, row.unreadable or row.obstacle or ("it is larger than a row may be" if row.too_large else None)
    if row.unread:
        return None, "its values could not be read now"
    if not values:
        hide_values(row)
    try:
        event = build_event(app.shape(table.relay), row, claim.epoch, claim.client_columns, claim.now)
    except Unfit as unfit:
        return None, str(unfit)
    except Exception as error:  # such as a number that JSON does not have
        return None, f"the row cannot be read ({type(error).__name__})"
    return shown(event, app.config.target(table.relay.target)), None


def _lease(lease: LeaseFacts) -> Lease:
    return Lease(None if lease.version == REDELIVERED_VERSION else lease.version, lease.attempts, lease.until, lease.over)


def _attempt(attempt: Values) -> Attempt:
    at, version, status, error, milliseconds, by, number, trace = attempt
    return Attempt(utc_text(at) or "", number, version, status, error, error_class(status, error), milliseconds, by, trace)


def _next_try(facts: RowFacts) -> str | None:
    record, lease = facts.record, facts.lease
    if facts.paused_since is not None or facts.problem is not None:
        return None
    if record is not None and record.state != "dead":
        return max(record.next_attempt, facts.breaker_open_until or "")
    return lease.until if lease is not None and lease.attempts == 0 else None


def _facts(facts: RowFacts) -> list[Fact]:
    """What is known, in words."""
    lease, record = facts.lease, facts.record
    texts = {
        "row": "it is in the table" if facts.exists else "it is not in the table, as far as the app's user sees",
        "last change": "change tracking knows none" if facts.tracked_version is None else f"version {facts.tracked_version}",
        "cursor": "the trigger has never started" if facts.cursor is None else f"all changes up to version {facts.cursor} are done",
        "lease": _lease_text(lease),
        "ledger": "no record: it is delivered, or has never failed"
        if record is None
        else f"{record.state}, version {record.version}, attempts {record.attempts}, next attempt {record.next_attempt}",
        "circuit breaker": f"open until {facts.breaker_open_until}" if facts.breaker_open_until else "the target is called",
        "relay": f"paused since {facts.paused_since}" if facts.paused_since else "not paused",
        "filters": facts.filtered or "none leaves its last change out",
        "obstacle": facts.obstacle,
    }
    return [Fact(name, text) for name, text in texts.items() if text]


def _lease_text(lease: LeaseFacts | None) -> str:
    if lease is None:
        return "none: it was never handed out, or the cursor has passed it"
    version = "recovery's own version" if lease.version == REDELIVERED_VERSION else f"version {lease.version}"
    end = "released" if lease.until is None else f"{'ended' if lease.over else 'held'} until {lease.until}"
    return f"{version}, {end}, hand-outs without an outcome {lease.attempts}"
