"""Functions that SQLite calls while a statement runs: conversion, arithmetic, comparison of strings, JSON."""

from __future__ import annotations

import math
import sqlite3
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emulators.sql_server.runtime.like import like
from emulators.sql_server.runtime.scalar import SCALARS, VOLATILE
from emulators.sql_server.values import datetimes
from emulators.sql_server.values.conversions import Converter, converter
from emulators.sql_server.values.datatypes import INTEGER_RANGES, decimal_context, decode_decimal, encode_decimal, quantize
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

_CONVERTERS: list[Converter] = []
_KEYS: dict[tuple[SqlType, SqlType, int | None, bool, bool], int] = {}
_CONTEXT = decimal_context()


def conversion_key(source: SqlType, target: SqlType, style: int | None, cut: bool, lenient: bool) -> int:
    """The number by which k_convert knows a conversion."""
    key = (source, target, style, cut, lenient)
    number = _KEYS.get(key)
    if number is None:
        convert = converter(source, target, style, cut)
        _CONVERTERS.append(_lenient(convert) if lenient else convert)
        number = _KEYS[key] = len(_CONVERTERS) - 1
    return number


def _lenient(convert: Converter) -> Converter:
    def attempt(value: Any) -> Any:
        try:
            return convert(value)
        except SqlError:
            return None

    return attempt


def _convert(value: Any, key: int) -> Any:
    return None if value is None else _CONVERTERS[key](value)


# --- strings ---


def compare_ci(a: str, b: str) -> int:
    """The default collation: no case, no trailing blanks."""
    if a == b:
        return 0
    x, y = a.rstrip(" ").casefold(), b.rstrip(" ").casefold()
    return (x > y) - (x < y)


def compare_cs(a: str, b: str) -> int:
    """Case counts, trailing blanks do not."""
    x, y = a.rstrip(" "), b.rstrip(" ")
    return (x > y) - (x < y)


# --- arithmetic ---


def _int(value: Any, kind: str) -> Any:
    if value is None:
        return None
    low, high = INTEGER_RANGES[kind]
    if value.__class__ is float or not low <= value <= high:
        raise sql_error(8115, "expression", kind)
    return value


def _int_divide(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return None
    if b == 0:
        raise sql_error(8134)
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _int_modulo(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return None
    if b == 0:
        raise sql_error(8134)
    return int(math.fmod(a, b)) if abs(a) < 2**52 and abs(b) < 2**52 else (abs(a) % abs(b)) * (1 if a >= 0 else -1)


def _float(value: float | None) -> float | None:
    if value is not None and math.isinf(value):
        raise sql_error(8115, "expression", "float")
    return value


def _float_divide(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    if b == 0:
        raise sql_error(8134)
    return _float(a / b)


def _negate(value: str | None) -> str | None:
    return None if value is None else encode_decimal(decode_decimal(value).copy_negate())


def _decimal(op: str, a: str | None, b: str | None, precision: int, scale: int) -> str | None:
    if a is None or b is None:
        return None
    x, y = decode_decimal(a), decode_decimal(b)
    if op == "+":
        value = _CONTEXT.add(x, y)
    elif op == "-":
        value = _CONTEXT.subtract(x, y)
    elif op == "*":
        value = _CONTEXT.multiply(x, y)
    elif not y:
        raise sql_error(8134)
    elif op == "/":
        value = _CONTEXT.divide(x, y).quantize(Decimal(1).scaleb(-scale), ROUND_DOWN, _CONTEXT)
    else:
        value = _CONTEXT.remainder(x, y)
    return _fit(value, precision, scale)


def _fit(value: Decimal, precision: int, scale: int) -> str:
    rounded = quantize(value, scale)
    if rounded.copy_abs() >= Decimal(10) ** (precision - scale):
        raise sql_error(8115, "expression", "numeric")
    return encode_decimal(rounded)


def _top(count: int | None) -> int:
    if count is None:
        raise sql_error(1060)
    if count < 0:
        raise sql_error(127)
    return count


def _recursion(depth: int, limit: int) -> int:
    if limit and depth > limit:
        raise sql_error(530, limit)
    return depth


def _unhex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _real_text(value: float | None) -> str | None:
    return None if value is None else repr(value)


def _join_bytes(a: bytes | None, b: bytes | None) -> bytes | None:
    return None if a is None or b is None else a + b


# --- dates ---


def _date_add(part: str, number: int | None, text: str | None, kind: str, scale: int) -> str | None:
    return None if number is None or text is None else datetimes.date_add(part, number, text, kind, scale)


def _ticks(text: str) -> int:
    return datetimes.ticks_of(text[:27])


_DATETIME_DAYS = {"datetime": ("1753-01-01", "9999-12-31"), "smalldatetime": ("1900-01-01", "2079-06-06")}


def _datetime_sum(op: str, left: str | None, right: str | None, kind: str) -> str | None:
    """Days and fractions since 1900, added as datetime and smalldatetime have it. Raises SqlError 8115."""
    if left is None or right is None:
        return None
    base = datetimes.ticks_of("1900-01-01")
    other = datetimes.ticks_of(right) - base
    ticks = datetimes.ticks_of(left) + (other if op == "+" else -other)
    first, last = _DATETIME_DAYS[kind]
    if not datetimes.ticks_of(first) <= ticks < datetimes.ticks_of(last) + datetimes.TICKS_DAY:
        raise sql_error(8115, "expression", kind)
    return datetimes.make(ticks, None, kind, 3 if kind == "datetime" else 0)


def _date_diff(part: str, start: str | None, end: str | None, big: int) -> int | None:
    if start is None or end is None:
        return None
    difference = datetimes.date_diff(part, _ticks(start), _ticks(end))
    if not big and not -(2**31) <= difference < 2**31:
        raise sql_error(535)
    return difference


def _date_part(part: str, text: str | None) -> int | None:
    if text is None:
        return None
    if len(text) > 27:
        return datetimes.date_part(part, datetimes.local_ticks(text), datetimes.offset_minutes(text))
    if text[2] == ":" and part in ("year", "quarter", "month", "day", "dayofyear", "week", "weekday", "iso_week"):
        raise SqlError(9810, f"The datepart {part} is not supported by date function datepart for data type time.")
    return datetimes.date_part(part, datetimes.ticks_of(text))


def _date_name(part: str, text: str | None) -> str | None:
    number = _date_part(part, text)
    if number is None:
        return None
    if part == "month":
        return datetimes.MONTH_NAMES[number - 1]
    if part == "weekday":
        return datetimes.DAY_NAMES[(number - 2) % 7]
    return str(number)


def _end_of_month(text: str | None, months: int) -> str | None:
    if text is None:
        return None
    first = datetimes.date_add("month", months + 1, text[:8] + "01", "date", 0)
    return datetimes.date_add("day", -1, first[:10], "date", 0)[:10]


def _truncate_date(part: str, text: str | None, kind: str, scale: int) -> str | None:
    return None if text is None else datetimes.make(datetimes.truncate(part, datetimes.ticks_of(text)), None, kind, scale)


_WINDOWS_ZONES = {
    "utc": "UTC",
    "central european standard time": "Europe/Warsaw",
    "w. europe standard time": "Europe/Berlin",
    "romance standard time": "Europe/Paris",
    "gmt standard time": "Europe/London",
    "eastern standard time": "America/New_York",
    "pacific standard time": "America/Los_Angeles",
    "central standard time": "America/Chicago",
    "e. europe standard time": "Europe/Chisinau",
    "fle standard time": "Europe/Kiev",
    "tokyo standard time": "Asia/Tokyo",
    "india standard time": "Asia/Kolkata",
}


def _at_zone(text: str | None, zone: str | None) -> str | None:
    if text is None or zone is None:
        return None
    from datetime import UTC, datetime

    try:
        info = ZoneInfo(_WINDOWS_ZONES[zone.lower()])
    except (KeyError, ZoneInfoNotFoundError):
        raise SqlError(9820, f"The time zone parameter '{zone}' provided to AT TIME ZONE clause is invalid.") from None
    if len(text) > 27:
        instant = datetime.fromisoformat(text[:26]).replace(tzinfo=UTC).astimezone(info)
        offset = instant.utcoffset()
        minutes = int(offset.total_seconds() // 60) if offset is not None else 0
        return datetimes.make(_ticks(text) + minutes * 600_000_000, minutes, "datetimeoffset", 7)
    offset = datetime.fromisoformat(text[:26]).replace(tzinfo=info).utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset is not None else 0
    return datetimes.make(datetimes.ticks_of(text), minutes, "datetimeoffset", 7)


# --- aggregates ---


class Single:
    """The only value of a scalar subquery. Raises SqlError 512 at the second."""

    def __init__(self) -> None:
        self.count, self.value = 0, None

    def step(self, value: Any) -> None:
        self.count += 1
        if self.count > 1:
            raise sql_error(512)
        self.value = value

    def finalize(self) -> Any:
        return self.value


class DecimalSum:
    """SUM of decimals; also over a window."""

    def __init__(self) -> None:
        self.total, self.count = Decimal(0), 0

    def step(self, value: str | None) -> None:
        if value is not None:
            self.total = _CONTEXT.add(self.total, decode_decimal(value))
            self.count += 1

    def inverse(self, value: str | None) -> None:
        if value is not None:
            self.total = _CONTEXT.subtract(self.total, decode_decimal(value))
            self.count -= 1

    def value(self) -> str | None:
        if not self.count:
            return None
        if self.total.copy_abs() >= Decimal(10) ** 38:
            raise sql_error(8115, "expression", "numeric")
        return encode_decimal(self.total)

    finalize = value


class StringAggregate:
    """STRING_AGG, with WITHIN GROUP's order: arguments are separator, value, then pairs of key and direction."""

    def __init__(self) -> None:
        self.separator = ""
        self.rows: list[tuple[list[Any], str]] = []
        self.directions: list[int] = []

    def step(self, separator: str | None, value: str | None, *order: Any) -> None:
        if value is None:
            return
        self.separator = separator or ""
        self.directions = list(order[1::2])
        keys = [key.rstrip(" ").casefold() if isinstance(key, str) else key for key in order[0::2]]
        self.rows.append((keys, value))

    def finalize(self) -> str | None:
        if not self.rows:
            return None
        for place in range(len(self.directions) - 1, -1, -1):
            self.rows.sort(key=lambda row: (row[0][place] is not None, row[0][place]), reverse=bool(self.directions[place]))
        return self.separator.join(value for _, value in self.rows)


class MaskUnion:
    """SYS_CHANGE_COLUMNS of several changes: columns in the order in which they were first set; NULL when a change has no mask."""

    def __init__(self) -> None:
        self.columns: dict[int, None] = {}
        self.unknown = False

    def step(self, operation: str, mask: bytes | None) -> None:
        if mask is None or operation != "U":
            self.unknown = True
        else:
            for start in range(4, len(mask), 4):
                self.columns[int.from_bytes(mask[start : start + 4], "little", signed=True)] = None

    def finalize(self) -> bytes | None:
        return None if self.unknown or not self.columns else mask_of(list(self.columns))


def mask_of(columns: list[int]) -> bytes:
    """A change mask: four zero bytes, then each column id in four bytes."""
    return b"\0\0\0\0" + b"".join(number.to_bytes(4, "little", signed=True) for number in columns)


def _in_mask(column_id: int | None, mask: bytes | None) -> int | None:
    if column_id is None:
        return None
    if mask is None:
        return 1
    if len(mask) < 5:
        raise SqlError(22101, "The value is not a valid change mask.")
    return int(any(int.from_bytes(mask[i : i + 4], "little", signed=True) == column_id for i in range(4, len(mask) - 3, 4)))


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_convert": (2, _convert),
    "k_like": (4, like),
    "k_int": (2, _int),
    "k_int_divide": (2, _int_divide),
    "k_int_modulo": (2, _int_modulo),
    "k_float": (1, _float),
    "k_float_divide": (2, _float_divide),
    "k_negate": (1, _negate),
    "k_decimal": (5, _decimal),
    "k_join_bytes": (2, _join_bytes),
    "k_top": (1, _top),
    "k_recursion": (2, _recursion),
    "k_unhex": (1, _unhex),
    "k_real_text": (1, _real_text),
    "k_date_add": (5, _date_add),
    "k_datetime_sum": (4, _datetime_sum),
    "k_date_diff": (4, _date_diff),
    "k_date_part": (2, _date_part),
    "k_date_name": (2, _date_name),
    "k_end_of_month": (2, _end_of_month),
    "k_truncate_date": (4, _truncate_date),
    "k_at_zone": (2, _at_zone),
    "k_in_mask": (2, _in_mask),
}
"""Pure functions: number of arguments and implementation."""


def guarded(function: Callable[..., Any], report: Callable[[SqlError], None]) -> Callable[..., Any]:
    """SQLite loses the text of an exception: keep it for the caller."""

    def call(*arguments: Any) -> Any:
        try:
            return function(*arguments)
        except SqlError as error:
            report(error)
            raise
        except Exception as error:
            report(SqlError(8630, f"Internal Query Processor Error: {function.__name__}: {error!r}", 17))
            raise

    return call


def register(connection: sqlite3.Connection, report: Callable[[SqlError], None]) -> None:
    """Make functions, aggregates and collations known to a connection."""
    for name, (count, function) in {**FUNCTIONS, **SCALARS}.items():
        connection.create_function(name, count, guarded(function, report), deterministic=True)
    for name, (count, function) in VOLATILE.items():
        connection.create_function(name, count, function)
    for name, count, aggregate in (("k_single", 1, Single), ("k_string_agg", -1, StringAggregate), ("k_mask", 2, MaskUnion)):
        connection.create_aggregate(name, count, _guarded_class(aggregate, report))
    connection.create_window_function("k_decimal_sum", 1, _guarded_class(DecimalSum, report))
    connection.create_collation("CI", compare_ci)
    connection.create_collation("CS", compare_cs)


def _guarded_class(base: type, report: Callable[[SqlError], None]) -> type:
    names = [name for name in ("step", "inverse", "value", "finalize") if hasattr(base, name)]
    return type(base.__name__, (base,), {name: guarded(getattr(base, name), report) for name in names})
