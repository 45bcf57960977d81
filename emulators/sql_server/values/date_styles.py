"""The styles of CONVERT between dates and strings."""

from __future__ import annotations

import re

from emulators.sql_server.values import datetimes
from emulators.sql_server.values.datetimes import MONTH_NAMES, TICKS_SECOND, local_ticks, text_of, ticks_of
from emulators.sql_server.values.errors import unsupported

# --- a date or time as a string ---

_DATE_ONLY = frozenset({1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 23, 101, 102, 103, 104, 105, 106, 107, 110, 111, 112})
_TIME_ONLY = frozenset({8, 14, 24, 108, 114})
_BOTH = frozenset({0, 9, 13, 20, 21, 22, 25, 100, 109, 113, 120, 121, 126, 127})
_HIJRI = frozenset({130, 131})
_OF_TIME = frozenset({8, 14, 20, 21, 24, 25, 108, 114, 120, 121, 126, 127})
"""Styles in which a time shows itself as hh:mi:ss."""


def styled(text: str, kind: str, scale: int, style: int) -> str | None:
    """A date or time as CONVERT's ``style`` shows it; None for a number that is no style.

    Raises SqlError 40517 where the documentation does not say what the type looks like in the style.
    """
    if style not in _DATE_ONLY | _TIME_ONLY | _BOTH | _HIJRI:
        return None
    unclear = style in _HIJRI or kind == "date" and style in _TIME_ONLY or kind == "time" and style not in _OF_TIME
    if unclear or kind == "datetimeoffset" and style in _TIME_ONLY | {22}:
        raise unsupported(f"CONVERT of {kind} with style {style}")
    offset = text[28:] if kind == "datetimeoffset" else ""
    if kind == "datetimeoffset":
        text = text_of(local_ticks(text))
    elif kind == "date":
        text += " 00:00:00.0000000"
    elif kind == "time":
        text = "1900-01-01 " + text
    day = _days(text[:10]).get(style, "")
    if kind == "date" or style in _DATE_ONLY:
        return day
    clock = _clock(text[11:], kind, scale, style)
    if kind == "time" or style in _TIME_ONLY:
        return clock
    if style == 127 and offset:
        return _utc_iso(text, clock[8:], offset)
    if style in (126, 127):
        return f"{day}T{clock}{offset}"
    return f"{day} {clock}" + (f" {offset}" if offset else "")


def _days(day: str) -> dict[int, str]:
    """The date in every style."""
    year, month, date = day[:4], day[5:7], day[8:10]
    name = MONTH_NAMES[int(month) - 1][:3]
    short = year[2:]
    named = f"{name} {int(date):2d} {year}"
    return {
        **dict.fromkeys((0, 100, 9, 109), named),
        **dict.fromkeys((13, 113, 106), f"{date} {name} {year}"),
        **dict.fromkeys((20, 120, 21, 25, 121, 126, 127, 23), day),
        **dict.fromkeys((1, 22), f"{month}/{date}/{short}"),
        101: f"{month}/{date}/{year}",
        2: f"{short}.{month}.{date}",
        102: f"{year}.{month}.{date}",
        3: f"{date}/{month}/{short}",
        103: f"{date}/{month}/{year}",
        4: f"{date}.{month}.{short}",
        104: f"{date}.{month}.{year}",
        5: f"{date}-{month}-{short}",
        105: f"{date}-{month}-{year}",
        6: f"{date} {name} {short}",
        7: f"{name} {date}, {short}",
        107: f"{name} {date}, {year}",
        10: f"{month}-{date}-{short}",
        110: f"{month}-{date}-{year}",
        11: f"{short}/{month}/{date}",
        111: f"{year}/{month}/{date}",
        12: f"{short}{month}{date}",
        112: f"{year}{month}{date}",
    }


def _clock(text: str, kind: str, scale: int, style: int) -> str:
    """The time of day in a style; smalldatetime shows zeros where it has nothing."""
    clock, hour = text[:8], int(text[:2])
    old = kind in ("datetime", "smalldatetime")
    digits = 3 if old else scale
    fraction = text[9 : 9 + digits]
    twelve, half = f"{hour % 12 or 12:2d}", "PM" if hour >= 12 else "AM"
    if style in (0, 100):
        return f"{twelve}:{clock[3:5]}{half}"
    if style == 22:
        return f"{twelve}{clock[2:]} {half}"
    if style in (8, 24, 108, 20, 120):
        return clock
    if style in (126, 127) and not fraction.strip("0"):
        return clock
    point = ":" if old and style in (9, 109, 13, 113, 14, 114) else "."
    shown = f"{point}{fraction}" if digits else ""
    return f"{twelve}{clock[2:]}{shown}{half}" if style in (9, 109) else clock + shown


def _utc_iso(local: str, fraction: str, offset: str) -> str:
    minutes = (int(offset[1:3]) * 60 + int(offset[4:6])) * (-1 if offset[0] == "-" else 1)
    utc = text_of(ticks_of(local) - minutes * 60 * TICKS_SECOND)
    return f"{utc[:10]}T{utc[11:19]}{fraction}Z"


# --- a string as a date or time ---

_ORDERS = {
    **dict.fromkeys((1, 10, 22), "mdy"),
    **dict.fromkeys((3, 4, 5), "dmy"),
    **dict.fromkeys((2, 11), "ymd"),
    **dict.fromkeys((101, 110), "mdY"),
    **dict.fromkeys((103, 104, 105), "dmY"),
    **dict.fromkeys((102, 111, 20, 21, 23, 25, 120, 121), "Ymd"),
}
"""Y: the year has four digits, y: two."""
_NAMED = frozenset({0, 9, 100, 109, 6, 7, 13, 106, 107, 113})
_NUMBERS = re.compile(r"^\s*(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})(?:\s+(\S.*))?$", re.DOTALL)
_SIX = re.compile(r"^\s*(\d{2})(\d{2})(\d{2})(?:\s+(\S.*))?$", re.DOTALL)
_EIGHT = re.compile(r"^\s*\d{8}(?:\s+\S.*)?$", re.DOTALL)
_ISO = re.compile(r"^\s*\d{4}-\d{2}-\d{2}(?:T.*)?$", re.DOTALL)
_WORDED = re.compile(r"^[^:]*[A-Za-z]{3}", re.DOTALL)
_LIKE_A_DATE = re.compile(r"\d+\s*[./-]\s*\d+|\d{4}|\d\s*[A-Za-z]{3}|[A-Za-z]{3}\s*\d")
_CLOCK = re.compile(r"^\s*\d{1,2}(?::\d{2}|\s*[AP]M)", re.IGNORECASE)
_LENGTHS = {"y": 2, "Y": 4}


def canonical(text: str, style: int) -> str:
    """The text with its date as year, month and day, by the order of the style; the default parser reads it.

    Raises SqlError 40517 for a text in another form than that of the style: the real server reads some, by rules that are not
    documented. yyyymmdd and the forms with a time only are the same in every style.
    """
    if not text.strip() or _EIGHT.match(text) or _CLOCK.match(text):
        return text
    if style in _NAMED and (_WORDED.match(text) or style in (0, 100, 9, 109)):
        return text
    if style in (126, 127) and _ISO.match(text):
        return text
    order = _ORDERS.get(style, "")
    if style == 12 and (six := _SIX.match(text)):
        return _joined(*six.group(1, 2, 3), six[4])
    found = _NUMBERS.match(text) if order else None
    if found is not None:
        parts = dict(zip(order, found.group(1, 3, 4), strict=True))
        year = parts.pop("Y" if "Y" in order else "y")
        if len(year) == _LENGTHS[order.strip("md")] and all(len(part) <= 2 for part in parts.values()):
            return _joined(year, parts["m"], parts["d"], found[5])
    if not _LIKE_A_DATE.search(text):
        return text  # no date in any style
    raise unsupported(f"CONVERT with style {style} of a string in another form")


def _joined(year: str, month: str, day: str, rest: str | None) -> str:
    if len(year) == 2:
        year = str(datetimes.full_year(int(year)))
    return f"{year}-{month:0>2}-{day:0>2}" + (f" {rest}" if rest else "")
