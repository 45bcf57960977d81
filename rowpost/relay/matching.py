"""Which rows were handed out: the trigger's payload may rewrite their keys, and then the leases alone know them.

The payload is JSON that went through doubles and a recognition of dates. So two decimal keys beyond 15 digits can become one, and
so can texts that look like times, or that hold half a surrogate pair. Who believed the payload would deliver one of two rows twice,
and the trigger would release both.
"""

from __future__ import annotations

import base64
import re
from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Struct

from rowpost.database.columns import TableColumn
from rowpost.database.connection import Row
from rowpost.database.table import Table
from rowpost.rules.row import key_text

_DOUBLE_DIGITS = 15  # of a decimal that a double carries without a change
_MILLISECOND_DIGITS = 3
_DECIMALS = {"decimal", "numeric", "money", "smallmoney"}
_FLOATS = {"float", "real"}
_TIMES = {"time", "datetime", "datetime2", "smalldatetime"}
_TEXTS = {"char", "varchar", "nchar", "nvarchar"}
_SAFE = {
    "bigint",
    "int",
    "smallint",
    "tinyint",
    "bit",
    "date",
    "datetime",
    "smalldatetime",
    "uniqueidentifier",
    "binary",
    "varbinary",
}
_LIKE_A_TIME = re.compile(r"\d{4}-\d\d-\d\dT|/Date\(")
_MOMENT = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{1,7}))?(Z|[+-]\d\d(?::?\d\d)?)?", re.ASCII)
_MILLISECONDS = re.compile(r"/Date\((-?\d+)(?:[+-]\d{4})?\)/", re.ASCII)
_HALF = re.compile("[\ud800-\udfff]")  # of a surrogate pair: the payload is UTF-8, and has U+FFFD in its place
_REPLACED = "\ufffd"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class HandOut(Struct):
    """The rows of one hand-out, as their leases name them.

    Attributes:
        keys: numbered, as a claim takes them.
        as_named: whether the payload names each of them, by its own key.
    """

    keys: list[dict[str, Any]]
    as_named: bool


def doubtful_numbers(table: Table, keys: Sequence[Mapping[str, Any]]) -> set[int]:
    """The keys of a payload that may not be those of their rows, by number: rewritten ones, and such as occur twice."""
    found = {key["number"] for key in keys if any(may_be_rewritten(column, key["key"][column.name]) for column in table.key)}
    numbers: dict[Hashable, list[int]] = defaultdict(list)
    for key in keys:
        numbers[_form(table, key["key"])].append(key["number"])
    return found.union(*(same for same in numbers.values() if len(same) > 1))


def may_be_rewritten(column: TableColumn, value: Any) -> bool:
    """Whether the payload can have made this value of a key column from another one."""
    if value is None or column.type in _SAFE:
        return False
    if column.type in _DECIMALS:
        number = _decimal(value)
        return number is None or abs(number) >= Decimal(1).scaleb(_DOUBLE_DIGITS - column.scale)
    if column.type in ("time", "datetime2"):
        return column.scale > _MILLISECOND_DIGITS
    if column.type in _TEXTS:
        return _LIKE_A_TIME.match(str(value)) is not None or _REPLACED in str(value)
    return True


def hand_out(table: Table, keys: Sequence[Mapping[str, Any]], leases: Sequence[Row]) -> HandOut | None:
    """The rows that a payload hands out, found among the leases in hand; None if they cannot be told from others.

    The leases of one hand-out end together. Those that are wanted are as many as the payload has keys, and each can have become one
    of these keys. If two hand-outs fit, none is taken.

    Args:
        table: the table.
        keys: of the payload, numbered.
        leases: in hand, whoever's: the number of the payload's key that names it, if any, its end, its key.
    """
    wanted = Counter(_form(table, key["key"]) for key in keys)
    named: dict[str, list[int]] = defaultdict(list)
    known: dict[str, dict[str, Any]] = {}
    ends: dict[str, set[str]] = defaultdict(set)
    for number, end, *values in leases:
        key = table.key_of(values)
        text = key_text(key)
        known[text] = key
        ends[end].add(text)
        ends[""].add(text)  # all of them, if nobody else has any
        if number is not None:
            named[text].append(number)
    forms = {text: _form(table, key) for text, key in known.items()}
    fitting = {frozenset(texts) for texts in ends.values() if Counter(forms[text] for text in texts) == wanted}
    if len(fitting) != 1:
        return None
    texts = sorted(fitting.pop())
    as_named = all(len(named[text]) == 1 for text in texts)
    return HandOut([{"number": number, "key": known[text]} for number, text in enumerate(texts)], as_named)


def _form(table: Table, key: Mapping[str, Any]) -> Hashable:
    """What is equal for all keys that can become the same key in a payload."""
    return tuple(_form_of_value(column, key[column.name]) for column in table.key)


def _form_of_value(column: TableColumn, value: Any) -> Hashable:
    if value is None:
        return None
    if column.type in _DECIMALS or column.type in _FLOATS:
        number = _decimal(value)
        return str(value) if number is None else float(number)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if not isinstance(value, str):
        return int(value) if isinstance(value, int) else str(value)
    if column.type == "date":
        return value[:10]
    if column.type == "datetimeoffset":
        return _moment(value, _MILLISECOND_DIGITS)
    if column.type in _TIMES:
        whole, _, fraction = value.partition(".")
        return whole, fraction[:_MILLISECOND_DIGITS].rstrip("0")
    if column.type in _TEXTS:
        return _moment(_HALF.sub(_REPLACED, value), 7)
    return value.lower() if column.type == "uniqueidentifier" else value


def _decimal(value: Any) -> Decimal | None:
    try:
        return Decimal(bytes(value).decode() if isinstance(value, msgspec.Raw) else str(value))
    except InvalidOperation:
        return None


def _moment(text: str, digits: int) -> Hashable:
    """A text as a point in time, if it looks like one; else as SQL Server compares it, roughly."""
    plain = text.rstrip(" ").casefold()
    try:
        if (number := _MILLISECONDS.fullmatch(text.rstrip(" "))) is not None:
            moment, fraction, zone = _EPOCH + timedelta(milliseconds=int(number[1])), "", "Z"
            fraction = f"{moment.microsecond:06}"
        elif (found := _MOMENT.fullmatch(text.rstrip(" "))) is not None:
            moment, fraction, zone = datetime.fromisoformat(found[1]), found[2] or "", found[3] or ""
            if zone:
                moment = datetime.fromisoformat(f"{found[1]}{'+00:00' if zone == 'Z' else zone}").astimezone(UTC)
        else:
            return plain
        return moment.strftime("%Y-%m-%dT%H:%M:%S"), fraction[:digits].rstrip("0"), bool(zone)
    except (ValueError, OverflowError):  # no such day, or beyond the calendar: an ordinary text
        return plain
