"""Functions on dates and times."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from emulators.sql_server.values import datetimes
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError


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


_EXACT_LENGTH = 28
"""Of a datetime with eight digits; it ends with a digit that goes on for ever."""


def _date_part(part: str, text: str | None) -> int | None:
    if text is None:
        return None
    if len(text) == _EXACT_LENGTH:
        number = datetimes.date_part(part, datetimes.ticks_of(text))
        return number + 11 * int(text[-1]) if part == "nanosecond" else number
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
    if part == "tzoffset":
        return f"{'-' if number < 0 else '+'}{abs(number) // 60:02d}:{abs(number) % 60:02d}"
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


def _from_parts(kind: str, precision: int, *parts: int | None) -> str | None:
    """The text of a date or time out of its numbers (year to fraction, hours and minutes of the offset). Raises SqlError 289."""
    if None in parts:
        return None
    numbers = [part or 0 for part in parts]
    try:
        if kind == "time":
            numbers = [1900, 1, 1, *numbers]
        full = (*numbers, *[0] * (7 - len(numbers)))
        year, month, day, hour, minute, second, fraction = full[:7]
        datetime(year, month, day, hour, minute, second)
        if not 0 <= fraction < 10**precision:
            raise ValueError
        text = f"{year:04d}-{month:02d}-{day:02d} {hour:02d}:{minute:02d}:{second:02d}"
        if precision:
            text += f".{fraction:0{precision}d}"
        if kind == "datetimeoffset":
            hours, minutes = full[7:9]
            if abs(hours * 60 + minutes) > 14 * 60 or abs(minutes) > 59 or hours * minutes < 0:
                raise ValueError
            text += f" {'-' if hours < 0 or minutes < 0 else '+'}{abs(hours):02d}:{abs(minutes):02d}"
    except ValueError:
        raise sql_error(289, kind) from None
    return text[11:] if kind == "time" else text[:10] if kind == "date" else text


def switch_offset(text: str | None, offset: str | None) -> str | None:
    if text is None or offset is None:
        return None
    return f"{text[:27]} {offset}"


def to_offset(text: str | None, offset: str | None) -> str | None:
    if text is None or offset is None:
        return None
    minutes = (int(offset[1:3]) * 60 + int(offset[4:6])) * (-1 if offset[0] == "-" else 1)
    return datetimes.make(datetimes.ticks_of(text), minutes, "datetimeoffset", 7)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_date_add": (5, _date_add),
    "k_datetime_sum": (4, _datetime_sum),
    "k_date_diff": (4, _date_diff),
    "k_date_part": (2, _date_part),
    "k_date_name": (2, _date_name),
    "k_end_of_month": (2, _end_of_month),
    "k_truncate_date": (4, _truncate_date),
    "k_at_zone": (2, _at_zone),
    "k_exact_datetime": (1, lambda text: None if text is None else datetimes.exact_datetime(text)),
    "k_precise_datetime": (1, lambda text: None if text is None else datetimes.precise_datetime(text)),
    "k_from_parts": (-1, _from_parts),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
