"""Rows that are not delivered: the records of the ledger as lists that page by cursor, and as groups by why they fail."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec
from msgspec import Struct

from rowpost.app import App
from rowpost.database.connection import Row as Values
from rowpost.operations.standing import Found
from rowpost.operations.status import utc_text
from rowpost.rules.error_class import ERROR_CLASSES
from rowpost.rules.json_text import to_json
from rowpost.rules.lifecycle import State

LIMIT, LIMIT_AT_MOST = 100, 200
STATES = tuple(str(state) for state in State)
_FIRST, _LAST = "0001-01-01", "9999-12-31"
_KEY_HASH = re.compile("[0-9a-f]{64}")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT([01]\d|2[0-3]):\d\d(:\d\d(\.\d{1,7})?)?Z?", re.ASCII)
_FIRST_YEAR = "1900"  # from here on the database can count back from a time


class Refused(Exception):
    """A request that cannot be granted as it is; the text says what to do.

    Attributes:
        field: which part of the request is wrong.
    """

    def __init__(self, field: str, text: str) -> None:
        super().__init__(f"{field}: {text}")
        self.field = field


class LedgerRow(Struct, omit_defaults=False):
    """A row that is not delivered: its record in the ledger.

    Attributes:
        key: the primary key, by column.
        state: ``retrying``, ``exhausted``, ``held``, ``detached`` or ``dead``.
        version: the change version of the state that failed.
        operation: ``upsert`` or ``delete``.
        attempts: how often it was tried.
        rounds: of recovery so far.
        first_failure: when it failed first (UTC).
        last_failure: when it failed last (UTC).
        next_attempt: when it is tried again; of a dead letter, when it was given up.
        last_status: the HTTP status of the last answer, if there was one.
        last_error: the last failure; never holds values of the row or what the target sent.
        class: the class of that failure.
        resync: the resync that queued the row last, if one did.
    """

    key: dict[str, Any]
    state: str
    version: int
    operation: str
    attempts: int
    rounds: int
    first_failure: str
    last_failure: str
    next_attempt: str
    last_status: int | None
    last_error: str | None
    error_class: str = msgspec.field(name="class")
    resync: str | None = None


class RowPage(Struct):
    """A page of rows. ``next`` is the cursor of the next page; null: this was the last one."""

    rows: list[LedgerRow]
    next: str | None


class RowGroup(Struct):
    """Rows that fail for the same reason.

    Attributes:
        class: of the reason.
        status: the HTTP status of their last answer.
        error: their last failure.
        state: ``live`` if they wait, ``dead`` if they were given up.
        rows: how many they are.
        oldest: the first failure of the oldest one.
        example: the key of one of them.
    """

    error_class: str = msgspec.field(name="class")
    status: int | None
    error: str | None
    state: str
    rows: int
    oldest: str
    example: dict[str, Any]


class RowGroups(Struct):
    """The groups, the largest first; at most 200."""

    groups: list[RowGroup]


class RowFilter(Struct, frozen=True):
    """Which rows are wanted: all conditions hold.

    Attributes:
        states: of them; empty: all states.
        classes: of their last failure; empty: all classes.
        since: their last failure is not before this time; ISO 8601, UTC.
        until: it is before this one.
    """

    states: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    since: str | None = None
    until: str | None = None


def read_filter(state: str | None, kind: str | None, since: str | None, until: str | None) -> RowFilter:
    """A filter from the texts of a request; several states or classes are separated by commas.

    Raises:
        Refused: one of them is none.
    """
    return RowFilter(
        _named("state", state, STATES), _named("class", kind, ERROR_CLASSES), read_time("from", since), read_time("to", until)
    )


def read_time(field: str, text: str | None) -> str | None:
    """A time as the database takes it.

    Raises:
        Refused: it is not ISO 8601 in UTC.
    """
    if text is None:
        return None
    if not _is_time(text):
        raise Refused(field, "is no time; write ISO 8601 in UTC, such as 2026-03-01T08:15:00Z")
    return text.removesuffix("Z")


def _is_time(text: str) -> bool:
    """Whether it is a time that exists, as the database reads it."""
    if not _TIME.fullmatch(text) or text < _FIRST_YEAR:
        return False
    try:
        datetime.fromisoformat(text.removesuffix("Z")[:26])
    except ValueError:  # such as the 30th of February
        return False
    return True


def _named(field: str, text: str | None, known: Sequence[str]) -> tuple[str, ...]:
    found = tuple(part.strip() for part in text.split(",")) if text else ()
    for part in found:
        if part not in known:
            raise Refused(field, f"has one that is not known; known are {', '.join(known)}")
    return found


def list_rows(app: App, relay: str, wanted: RowFilter, limit: int = LIMIT, cursor: str | None = None) -> RowPage:
    """A page of rows that are not delivered, in the order of their next attempt.

    A row that is tried while somebody pages moves to a later place.

    Args:
        app: the app.
        relay: its name.
        wanted: which rows.
        limit: how many at most, 1 to 200.
        cursor: of a former page.

    Raises:
        Refused: the limit or the cursor is none.
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    if not 1 <= limit <= LIMIT_AT_MOST:
        raise Refused("limit", f"must be a number from 1 to {LIMIT_AT_MOST}")
    table = app.table(relay)
    place = (_FIRST, "") if cursor is None else read_cursor(cursor, _KEY_HASH)
    classes = to_json(list(wanted.classes)) if wanted.classes else None
    found: dict[str, Values] = {}
    for state in wanted.states or STATES:
        parameters = (state, wanted.since or _FIRST, wanted.until or _LAST, *place, classes, limit + 1)
        (records,) = app.database.run(table.statement("list_rows"), *parameters)
        found.update((record[-1], record) for record in records)  # one that went to another state meanwhile is one row
    ordered = sorted(found.values(), key=lambda record: (record[-2], record[-1]))
    page = ordered[:limit]
    return RowPage([ledger_row(record) for record in page], write_cursor(*page[-1][-2:]) if len(ordered) > limit else None)


def ledger_row(record: Sequence[Any]) -> LedgerRow:
    """A record as ``record_fields.sql`` has it."""
    key, state, version, operation, attempts, rounds, first, last, upcoming, status, error, kind, resync = record[:13]
    return LedgerRow(
        key_of_text(key),
        state,
        version,
        "delete" if operation == "D" else "upsert",
        attempts,
        rounds,
        utc_text(first) or "",
        utc_text(last) or "",
        utc_text(upcoming) or "",
        status,
        error,
        kind,
        resync,
    )


def key_of_text(text: str) -> dict[str, Any]:
    """A key from its canonical JSON, digit-exact."""
    found: dict[str, Any] = json.loads(text, parse_float=Decimal)
    return found


def group_rows(app: App, relay: str) -> Found:
    """Rows in trouble by why they fail: a :class:`RowGroups`, the largest groups first, at most 200.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    groups, ((at, milliseconds),) = app.database.run(app.table(relay).statement("group_rows"))
    return Found(RowGroups([_group(*group) for group in groups]), at, milliseconds)


def _group(dead: int, kind: str, status: int | None, error: str | None, count: int, oldest: str, example: str) -> RowGroup:
    state, since = "dead" if dead else "live", utc_text(oldest) or ""
    return RowGroup(kind, status, error, state, count, since, key_of_text(example))


def write_cursor(time: str, name: str) -> str:
    """The place of a row of a list, which is sorted by a time and a name, as a text without meaning for callers."""
    return base64.urlsafe_b64encode(to_json([time, name]).encode()).decode().rstrip("=")


def read_cursor(cursor: str, name: re.Pattern[str]) -> tuple[str, str]:
    """The time and the name of :func:`write_cursor`.

    Raises:
        Refused: it is no such text, or the name does not fit the pattern.
    """
    try:
        decoded = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4))
        time, found = msgspec.json.decode(decoded, type=tuple[str, str])
    except (ValueError, binascii.Error, msgspec.MsgspecError):
        time, found = "", ""
    if not _is_time(time) or not name.fullmatch(found):
        raise Refused("cursor", "is none that an answer gave; leave it out to begin anew")
    return time, found
