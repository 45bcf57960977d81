"""Dates and times: parsing, formatting, arithmetic. The unit is the tick, 100 ns since 0001-01-01."""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta

from emulators.sql_server.values.errors import sql_error, unsupported

TICKS_SECOND = 10_000_000
TICKS_DAY = 86_400 * TICKS_SECOND
_ZERO_DATE = date(1900, 1, 1).toordinal() - 1
_END = (date.max.toordinal()) * TICKS_DAY
_SMALL_START, _SMALL_END = ((date(*day).toordinal() - 1) * TICKS_DAY for day in ((1900, 1, 1), (2079, 6, 7)))
_DATETIME_START = (date(1753, 1, 1).toordinal() - 1) * TICKS_DAY

_ISO = re.compile(
    r"^\s*(?:(\d{4})(?:-(?=\d\d-)|(?=\d{4}))(\d{2})-?(\d{2}))?(?:[T ]\s*|$|^)"
    r"(?:(\d{1,2}):(\d{2})(?::(\d{2})(?:[.:](\d{1,7}))?)?\s*(AM|PM)?)?"
    r"\s*(?:(Z)|([+-])(\d{2}):(\d{2}))?\s*$",
    re.IGNORECASE,
)
_SLASHED = re.compile(r"^\s*(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d{2})(?:\s+(.*))?$")
_YEAR_FIRST = re.compile(r"^\s*(\d{4})[/.-](\d{1,2})[/.-](\d{1,2})(?:\s+(.*))?$")
LONG_FRACTION = re.compile(r":\d{1,2}\.\d{4}")
"""More than three digits of a second, which datetime and smalldatetime do not read."""
_HOUR = re.compile(r"^\s*(\d{1,2})\s*(AM|PM)\s*$", re.IGNORECASE)
MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_MONTHS = {spelling: number for number, name in enumerate(MONTH_NAMES, 1) for spelling in (name.lower(), name[:3].lower())}
_WORDED = re.compile(r"^[\s\d,/-]*[A-Za-z]{3,9}[\s\d,/-]*?$")
_TIME_BEHIND = re.compile(r"^(.*?\S)\s+(\d{1,2}(?::\d{2}.*|\s*[AP]M))$", re.IGNORECASE | re.DOTALL)
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")

PARTS = {
    "year": "year",
    "yy": "year",
    "yyyy": "year",
    "quarter": "quarter",
    "qq": "quarter",
    "q": "quarter",
    "month": "month",
    "mm": "month",
    "m": "month",
    "dayofyear": "dayofyear",
    "dy": "dayofyear",
    "y": "dayofyear",
    "day": "day",
    "dd": "day",
    "d": "day",
    "week": "week",
    "wk": "week",
    "ww": "week",
    "weekday": "weekday",
    "dw": "weekday",
    "w": "weekday",
    "hour": "hour",
    "hh": "hour",
    "minute": "minute",
    "mi": "minute",
    "n": "minute",
    "second": "second",
    "ss": "second",
    "s": "second",
    "millisecond": "millisecond",
    "ms": "millisecond",
    "microsecond": "microsecond",
    "mcs": "microsecond",
    "nanosecond": "nanosecond",
    "ns": "nanosecond",
    "iso_week": "iso_week",
    "isowk": "iso_week",
    "isoww": "iso_week",
    "tzoffset": "tzoffset",
    "tz": "tzoffset",
}
_UNIT_TICKS = {
    "week": 7 * TICKS_DAY,
    "day": TICKS_DAY,
    "dayofyear": TICKS_DAY,
    "weekday": TICKS_DAY,
    "hour": 3600 * TICKS_SECOND,
    "minute": 60 * TICKS_SECOND,
    "second": TICKS_SECOND,
    "millisecond": 10_000,
    "microsecond": 10,
}


def ticks_of(text: str) -> int:
    """Ticks of the inner form (date, instant or time of day)."""
    if text[2] == ":":
        return int(text[0:2]) * 36_000_000_000 + int(text[3:5]) * 600_000_000 + int(text[6:8]) * TICKS_SECOND + int(text[9:16])
    days = date(int(text[0:4]), int(text[5:7]), int(text[8:10])).toordinal() - 1
    if len(text) == 10:
        return days * TICKS_DAY
    return (
        days * TICKS_DAY
        + int(text[11:13]) * 36_000_000_000
        + int(text[14:16]) * 600_000_000
        + int(text[17:19]) * TICKS_SECOND
        + int(text[20:27])
    )


def text_of(ticks: int) -> str:
    """The inner form of an instant. Raises ValueError outside years 1 to 9999."""
    days, rest = divmod(ticks, TICKS_DAY)
    return f"{date.fromordinal(days + 1).isoformat()} {time_text(rest)}"


def time_text(ticks: int) -> str:
    seconds, fraction = divmod(ticks, TICKS_SECOND)
    minutes, second = divmod(seconds, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02d}:{minute:02d}:{second:02d}.{fraction:07d}"


def instant_text(instant: datetime) -> str:
    """The inner form of a Python datetime (its own wall clock)."""
    return (
        f"{instant:%Y-%m-%d %H:%M:%S}.{instant.microsecond:06d}0"
        if instant.year >= 1000
        else f"{instant.year:04d}-{instant:%m-%d %H:%M:%S}.{instant.microsecond:06d}0"
    )


def parse(text: str) -> tuple[int, int | None]:
    """Ticks and offset (minutes, None if not given) of any accepted date or time text. Raises SqlError 241."""
    if not text.strip():
        return _ZERO_DATE * TICKS_DAY, None
    found = _ISO.match(text)
    if found is None or not (found[1] or found[4]):
        return _parse_other(text)
    year, month, day, hour, minute, second, fraction, half, zulu, sign, off_hour, off_minute = found.groups()
    try:
        days = date(int(year), int(month), int(day)).toordinal() - 1 if year else _ZERO_DATE
    except ValueError:
        raise sql_error(241) from None
    ticks = days * TICKS_DAY
    if hour:
        ticks += _clock_ticks(int(hour), int(minute), int(second or 0), fraction, half)
    offset = None
    if zulu:
        offset = 0
    elif sign:
        offset = (int(off_hour) * 60 + int(off_minute)) * (-1 if sign == "-" else 1)
        if abs(offset) > 840:
            raise sql_error(241)
    return ticks, offset


def has_shape(text: str) -> bool:
    """Whether the text looks like a date, even of a day that does not exist."""
    found = _ISO.match(text)
    return bool(found and found[1]) or bool(_SLASHED.match(text) or _YEAR_FIRST.match(text) or _worded(text))


def _clock_ticks(hour: int, minute: int, second: int, fraction: str | None, half: str | None) -> int:
    if half:
        if not 1 <= hour <= 12:
            raise sql_error(241)
        hour = hour % 12 + (12 if half.upper() == "PM" else 0)
    if hour > 23 or minute > 59 or second > 59:
        raise sql_error(241)
    ticks = hour * 36_000_000_000 + minute * 600_000_000 + second * TICKS_SECOND
    if fraction:
        padded = fraction.ljust(9, "0")
        ticks += int(padded[:7]) + (padded[7] >= "5")
    return ticks


def _parse_other(text: str) -> tuple[int, int | None]:
    if hour := _HOUR.match(text):
        return _ZERO_DATE * TICKS_DAY + _clock_ticks(int(hour[1]), 0, 0, None, hour[2]), None
    slashed = _SLASHED.match(text)
    if (worded := _worded(text)) is not None:
        year, month, day, rest = worded
    elif slashed:
        year, month, day, rest = int(slashed[3]), int(slashed[1]), int(slashed[2]), slashed[4]
        if len(slashed[3]) == 2:
            year = full_year(year)
    elif year_first := _YEAR_FIRST.match(text):
        year, month, day, rest = int(year_first[1]), int(year_first[2]), int(year_first[3]), year_first[4]
    else:
        raise sql_error(241)
    try:
        days = date(year, month, day).toordinal() - 1
    except ValueError:
        raise sql_error(241) from None
    clock, offset = parse(rest) if rest else (_ZERO_DATE * TICKS_DAY, None)
    return days * TICKS_DAY + clock % TICKS_DAY, offset


def exact_datetime(text: str) -> str:
    """A datetime with eight digits of its third of 10 ms, for comparison with the types of higher precision."""
    return {"3": f"{text[:23]}33333", "7": f"{text[:22]}666666"}.get(text[22], text)


def precise_datetime(text: str) -> str:
    """A datetime as datetime2(7): its third of 10 ms rounded to seven digits."""
    return {"3": f"{text[:23]}3333", "7": f"{text[:22]}66667"}.get(text[22], text)


def full_year(short: int) -> int:
    """The year of two digits: the cutoff is 2049."""
    return short + (2000 if short < 50 else 1900)


def _worded(text: str) -> tuple[int, int, int, str] | None:
    """Year, month, day and time of a date with the name of its month. Raises SqlError 40517 for a date without a year."""
    split = _TIME_BEHIND.match(text)
    date_text, rest = (split[1], split[2]) if split else (text, "")
    if not _WORDED.match(date_text):
        return None
    if not date_text[:1].isdigit() and re.search("[-/]", date_text):
        raise unsupported("a date that begins with the name of its month and has dashes")
    words = re.findall(r"[A-Za-z]+|\d+", date_text)
    month = next((_MONTHS.get(word.lower()) for word in words if word.isalpha()), None)
    numbers = [word for word in words if word.isdigit()]
    if month is None or not 1 <= len(numbers) <= 2 or any(len(number) not in (1, 2, 4) for number in numbers):
        return None
    years = [number for number in numbers if len(number) == 4]
    if len(years) == 1:
        days = [number for number in numbers if len(number) < 4]
        return int(years[0]), month, int(days[0]) if days else 1, rest
    if years or len(numbers) == 1:
        raise unsupported("a date with the name of a month and one number, or two years")
    return full_year(int(numbers[1])), month, int(numbers[0]), rest


def round_ticks(ticks: int, kind: str, scale: int) -> int:
    """Rounded to what the type keeps; datetime has thirds of 10 ms."""
    if kind == "datetime":
        units, rest = divmod(ticks * 3, 100_000)
        units += rest >= 50_000
        seconds, third = divmod(units, 300)
        return seconds * TICKS_SECOND + (third * 10 + 1) // 3 * 10_000
    if kind == "smalldatetime":
        minute = 60 * TICKS_SECOND
        return (ticks + minute // 2) // minute * minute
    unit = 10 ** (7 - scale)
    return (ticks + unit // 2) // unit * unit if unit > 1 else ticks


def make(ticks: int, offset: int | None, kind: str, scale: int) -> str:
    """The inner form for a type. Raises SqlError 242 outside its range."""
    try:
        if kind == "date":
            return date.fromordinal(ticks // TICKS_DAY + 1).isoformat()
        if kind == "time":
            return time_text(round_ticks(ticks % TICKS_DAY, "time", scale) % TICKS_DAY)
        if kind == "datetimeoffset":
            minutes = offset or 0
            ticks = round_ticks(ticks, "datetime2", scale)
            return f"{text_of(ticks - minutes * 60 * TICKS_SECOND)} {_offset(minutes)}"
        if kind in ("datetime", "smalldatetime"):
            if offset:
                pass  # the wall clock of the text is kept, as in a conversion from datetimeoffset
            if ticks < _DATETIME_START or kind == "smalldatetime" and not _SMALL_START <= round_ticks(ticks, kind, 0) < _SMALL_END:
                raise sql_error(242, "varchar", kind)
        return text_of(round_ticks(ticks, kind, scale))
    except ValueError:
        raise sql_error(242, "datetime2", kind) from None


def _offset(minutes: int) -> str:
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def offset_minutes(text: str) -> int:
    """Offset of a datetimeoffset's inner form."""
    return (int(text[29:31]) * 60 + int(text[32:34])) * (-1 if text[28] == "-" else 1)


def local_ticks(text: str) -> int:
    """Wall-clock ticks of a datetimeoffset's inner form."""
    return ticks_of(text[:27]) + offset_minutes(text) * 60 * TICKS_SECOND


def offset_text(text: str, scale: int) -> str:
    """A datetimeoffset as in results.py: local time, then offset."""
    local = text_of(local_ticks(text))
    return f"{local[: 20 + scale] if scale else local[:19]} {text[28:]}"


def internal_text(text: str, kind: str) -> str:
    """The inner form of a canonical text of results.py; nothing is rounded."""
    if kind == "date" and len(text) == 10:
        return text
    if kind != "datetimeoffset" and len(text) == 27 and text[10] == " ":
        return text
    ticks, offset = parse(text)
    return make(ticks, offset, "datetime2" if kind in ("datetime", "smalldatetime") else kind, 7)


def date_add(part: str, number: int, text: str, kind: str, scale: int) -> str:
    """DATEADD on the inner form. Raises SqlError 517."""
    offset = offset_minutes(text) if kind == "datetimeoffset" else None
    ticks = local_ticks(text) if offset is not None else ticks_of(text)
    if part in ("year", "quarter", "month"):
        ticks = _add_months(ticks, number * {"year": 12, "quarter": 3, "month": 1}[part], kind)
    elif part == "nanosecond":
        ticks += (abs(number) + 50) // 100 * (1 if number >= 0 else -1)
    else:
        ticks += number * _UNIT_TICKS[part]
    if kind == "time":
        return time_text(ticks % TICKS_DAY)
    if not 0 <= ticks < _END or (kind == "datetime" and ticks < _DATETIME_START):
        raise sql_error(517, kind)
    return make(ticks, offset, kind, scale)


def _add_months(ticks: int, months: int, kind: str) -> int:
    days, rest = divmod(ticks, TICKS_DAY)
    day = date.fromordinal(days + 1)
    year, month = divmod(day.year * 12 + day.month - 1 + months, 12)
    if not 1 <= year <= 9999:
        raise sql_error(517, kind)
    last = (date(year + (month == 11), (month + 1) % 12 + 1, 1) - timedelta(days=1)).day if (year, month) != (9999, 11) else 31
    return (date(year, month + 1, min(day.day, last)).toordinal() - 1) * TICKS_DAY + rest


def date_diff(part: str, start: int, end: int) -> int:
    """Boundaries of ``part`` between two tick counts."""
    if part in ("year", "quarter", "month"):
        a, b = date.fromordinal(start // TICKS_DAY + 1), date.fromordinal(end // TICKS_DAY + 1)
        if part == "year":
            return b.year - a.year
        divisor = 3 if part == "quarter" else 1
        return (b.year * 12 + b.month - 1) // divisor - (a.year * 12 + a.month - 1) // divisor
    if part == "week":  # weeks start on Sunday whatever DATEFIRST says; 0001-01-01 was a Monday
        return (end // TICKS_DAY + 1) // 7 - (start // TICKS_DAY + 1) // 7
    if part == "nanosecond":
        return (end - start) * 100
    unit = _UNIT_TICKS[part]
    return end // unit - start // unit


def date_part(part: str, ticks: int, offset: int | None = None) -> int:
    """DATEPART; weekday with Sunday = 1."""
    day = date.fromordinal(ticks // TICKS_DAY + 1)
    rest = ticks % TICKS_DAY
    match part:
        case "year":
            return day.year
        case "quarter":
            return (day.month + 2) // 3
        case "month":
            return day.month
        case "day":
            return day.day
        case "dayofyear":
            return day.timetuple().tm_yday
        case "weekday":
            return day.isoweekday() % 7 + 1
        case "week":
            first = date(day.year, 1, 1)
            return (day.timetuple().tm_yday - 1 + first.isoweekday() % 7) // 7 + 1
        case "iso_week":
            return day.isocalendar().week
        case "hour":
            return rest // 36_000_000_000
        case "minute":
            return rest // 600_000_000 % 60
        case "second":
            return rest // TICKS_SECOND % 60
        case "millisecond":
            return rest % TICKS_SECOND // 10_000
        case "microsecond":
            return rest % TICKS_SECOND // 10
        case "nanosecond":
            return rest % TICKS_SECOND * 100
        case _:
            return offset or 0


def truncate(part: str, ticks: int) -> int:
    """DATETRUNC."""
    day = date.fromordinal(ticks // TICKS_DAY + 1)
    if part in ("year", "quarter", "month"):
        month = 1 if part == "year" else (day.month - 1) // 3 * 3 + 1 if part == "quarter" else day.month
        return (date(day.year, month, 1).toordinal() - 1) * TICKS_DAY
    if part == "week":
        return (ticks // TICKS_DAY - day.isoweekday() % 7) * TICKS_DAY
    if part == "iso_week":
        return (ticks // TICKS_DAY - day.weekday()) * TICKS_DAY
    return ticks // _UNIT_TICKS[part] * _UNIT_TICKS[part]
