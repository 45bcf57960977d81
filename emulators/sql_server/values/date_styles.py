"""The styles of CONVERT between dates and strings."""

from __future__ import annotations

import re

from emulators.sql_server.values import datetimes
from emulators.sql_server.values.datetimes import MONTH_NAMES, TICKS_SECOND, local_ticks, text_of, ticks_of
from emulators.sql_server.values.errors import sql_error, unsupported

# --- a date or time as a string ---

_DATE_ONLY = frozenset({1, 2, 3, 4, 5, 6, 7, 10, 11, 12, 23, 101, 102, 103, 104, 105, 106, 107, 110, 111, 112})
_TIME_ONLY = frozenset({8, 14, 24, 108, 114})
_FRACTION_ONLY = frozenset({14, 114})
_BOTH = frozenset({0, 9, 13, 20, 21, 22, 25, 100, 109, 113, 120, 121, 126, 127})
_HIJRI = frozenset({130, 131})
STYLES = _DATE_ONLY | _TIME_ONLY | _BOTH | _HIJRI


def styled(text: str, kind: str, scale: int, style: int) -> str | None:
    """A date or time as CONVERT's ``style`` shows it; None for a number that is no style of the type.

    Raises SqlError 8114 for a style of the other part, 40517 for Hijri and for what is not known of the real server.
    """
    if style not in STYLES or kind == "date" and style in _FRACTION_ONLY:
        return None
    if kind == "date" and style in _TIME_ONLY or kind == "time" and style in _DATE_ONLY:
        raise sql_error(8114, kind, "varchar")
    if style in _HIJRI or kind == "datetimeoffset" and style in _TIME_ONLY | {22}:
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
    twelve, half = f"{hour % 12 or 12:{2 if kind != 'time' or style == 22 else 1}d}", "PM" if hour >= 12 else "AM"
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

# Y: the year has four digits, y: two.
_OLD_ORDERS = {
    **dict.fromkeys((1, 10), "mdy"),
    **dict.fromkeys((3, 4, 5), "dmy"),
    **dict.fromkeys((2, 11), "ymd"),
    **dict.fromkeys((20, 21, 101, 102, 110, 111, 120, 121), "mdY"),
    **dict.fromkeys((103, 104, 105), "dmY"),
}
"""datetime and smalldatetime; where the year has four digits it may also come first, and the rest keeps its order."""
NEW_ORDERS = {
    **dict.fromkeys((1, 10, 22), "mdy"),
    **dict.fromkeys((3, 4, 5), "dmy"),
    **dict.fromkeys((2, 11), "ymd"),
    **dict.fromkeys((101, 110), "mdY"),
    **dict.fromkeys((103, 104, 105), "dmY"),
    **dict.fromkeys((20, 21, 23, 25, 102, 111, 120, 121, 126, 127), "Ymd"),
}
_NUMBERS = re.compile(r"^(\d{1,4})([/.-])(\d{1,2})\2(\d{1,4})(?:\s+(\S.*))?$", re.DOTALL)
_ISO = re.compile(r"^\d{4}-\d{2}-\d{2}(T.*)?$", re.DOTALL)
_WITHOUT_SEPARATORS = re.compile(r"^(\d{2})?(\d{2})(\d{2})(\d{2})(?:\s+(\S.*))?$", re.DOTALL)
_CLOCK = re.compile(r"^\d{1,2}(?::\d{2}|\s*[AP]M)", re.IGNORECASE)


def canonical(text: str, style: int, old: bool) -> str:
    """The text with its date as year, month and day, by the order of the style; the default parser reads it.

    ``old``: for datetime and smalldatetime, whose grammar differs from that of the other types.

    Raises SqlError 241 and 9807 for a text in another form, 40517 for Hijri.
    """
    text = text.strip()
    if style in _HIJRI or style not in STYLES:
        raise unsupported(f"CONVERT of a string with style {style}")
    if style == 0 or not text:
        return text
    if text[-1] in "Zz" and old and style != 127:
        raise sql_error(241)
    iso = _ISO.match(text)
    if iso and (iso[1] and not old or old and style in (126, 127)):
        return text
    if old and (style == 127 or "T" in text.upper() and iso):
        raise sql_error(241)
    if (digits := _WITHOUT_SEPARATORS.match(text)) is not None:
        century, year, month, day, rest = digits.groups()
        return _joined((century or "") + year, month, day, rest)
    if _CLOCK.match(text):
        return text
    found = _NUMBERS.match(text)
    return text if found is None else _numeric(found, style, old)


def _numeric(found: re.Match[str], style: int, old: bool) -> str:
    order = (_OLD_ORDERS if old else NEW_ORDERS).get(style)
    if order is None and not old:
        raise sql_error(9807, style)
    if order is not None:
        numbers = found.group(1, 3, 4)
        if old and order.endswith("Y") and len(numbers[0]) == 4:
            order = "Y" + order[:2]
        parts = dict(zip(order, numbers, strict=True))
        year = parts.pop("Y", "") or parts.pop("y", "")
        if len(year) == (4 if "Y" in order else 2) and all(len(part) <= 2 for part in parts.values()):
            return _joined(year, parts["m"], parts["d"], found[5])
    raise sql_error(241)


def _joined(year: str, month: str, day: str, rest: str | None) -> str:
    if len(year) == 2:
        year = str(datetimes.full_year(int(year)))
    return f"{year}-{month:0>2}-{day:0>2}" + (f" {rest}" if rest else "")
