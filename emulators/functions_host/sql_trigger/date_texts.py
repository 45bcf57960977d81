"""What becomes of a text that the extension's JSON reader takes for a date and time: the reader recognises dates in texts.

The forms are those of the reader, Newtonsoft.Json. It takes more than ISO 8601 does: hour 24, offsets to 99:99, a lower-case z,
two digits after the seconds, and ``/Date(milliseconds)/``.
"""

from __future__ import annotations

import re
import time
from datetime import datetime, timedelta

_ISO = re.compile(
    r"(?P<date>\d{4}-\d\d-\d\d)T(?P<h>\d\d):(?P<m>[0-5]\d):(?P<s>[0-5]\d)(?:\.(?P<fraction>\d{7}|\d{1,6}(?!\d)))?"
    r"(?P<zone>[Zz]|(?P<sign>[+-])(?P<hours>\d\d)(?::?(?P<minutes>\d\d)|:)?|:?\d\d|:)?",
    re.ASCII,
)
_MICROSOFT = re.compile(r"/Date\((?P<ticks>-?\d+)(?P<offset>[+-]\d\d(?:\d\d.*)?)?\)/", re.ASCII | re.DOTALL)
_SHORTEST, _LONGEST = 19, 40
_FIRST = datetime(1, 1, 1)
_DAY = 864_000_000_000  # in ticks of 100 ns
_LAST = (datetime(9999, 12, 31) - _FIRST).days * _DAY + _DAY - 1
_UNIX_EPOCH = (datetime(1970, 1, 1) - _FIRST).days * _DAY
_INT64 = range(-(2**63), 2**63)


def rewrite_date_like(text: str) -> str:
    """The text as it arrives; all that is no date stays as it is.

    Raises:
        OverflowError: the reader throws, since the date is beyond the calendar.
    """
    if match := _MICROSOFT.fullmatch(text):
        return _from_milliseconds(text, int(match["ticks"]), local=match["offset"] is not None)
    match = _ISO.fullmatch(text) if _SHORTEST <= len(text) <= _LONGEST else None
    return text if match is None else _from_iso(text, match)


def _from_milliseconds(text: str, milliseconds: int, *, local: bool) -> str:
    if milliseconds not in _INT64:
        return text
    ticks = (milliseconds * 10_000 + _UNIX_EPOCH + 2**63) % 2**64 - 2**63  # the reader's arithmetic wraps around
    if not 0 <= ticks <= _LAST:
        raise OverflowError(f"{text!r} is a date beyond the calendar")
    return _local(ticks) if local else _written(ticks) + "Z"


def _from_iso(text: str, match: re.Match[str]) -> str:
    hour, fraction = int(match["h"]), int((match["fraction"] or "").ljust(7, "0"))
    if hour > 24 or (hour == 24 and (match["m"], match["s"], fraction) != ("00", "00", 0)):
        return text
    try:
        days = (datetime.fromisoformat(match["date"]) - _FIRST).days
    except ValueError:
        return text  # no such day
    ticks = days * _DAY + ((hour * 60 + int(match["m"])) * 60 + int(match["s"])) * 10_000_000 + fraction
    if ticks > _LAST:
        raise OverflowError(f"{text!r} is a date beyond the calendar")
    if (match["zone"] or "").lower() == "z":
        return _written(ticks) + "Z"
    if match["sign"] is None:
        return _written(ticks)
    offset = (int(match["hours"]) * 60 + int(match["minutes"] or 0)) * 600_000_000
    utc = ticks + (offset if match["sign"] == "-" else -offset)
    if 0 <= utc <= _LAST:
        return _local(utc)
    moved = utc + _zone(ticks)
    return _with_offset(min(max(moved, 0), _LAST))


def _moment(ticks: int) -> datetime:
    return _FIRST + timedelta(microseconds=ticks // 10)


def _zone(ticks: int) -> int:
    """The offset of the host's own zone at a local time, in ticks."""
    try:
        return (_moment(ticks).astimezone().utcoffset() or timedelta()) // timedelta(microseconds=1) * 10
    except (OverflowError, ValueError):  # at the ends of the calendar Python knows none
        return -time.timezone * 10_000_000


def _local(utc: int) -> str:
    """An instant in the host's own zone."""
    try:
        offset = datetime.fromtimestamp((utc - _UNIX_EPOCH) / 10_000_000).astimezone().utcoffset() or timedelta()
    except (OverflowError, ValueError, OSError):
        offset = timedelta(seconds=-time.timezone)
    return _with_offset(min(max(utc + offset // timedelta(microseconds=1) * 10, 0), _LAST))


def _with_offset(local: int) -> str:
    minutes = _zone(local) // 600_000_000
    return f"{_written(local)}{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02}:{abs(minutes) % 60:02}"


def _written(ticks: int) -> str:
    moment = _moment(ticks)
    fraction = f"{ticks % 10_000_000:07}".rstrip("0")
    head = f"{moment.year:04}-{moment.month:02}-{moment.day:02}T{moment.hour:02}:{moment.minute:02}:{moment.second:02}"
    return f"{head}.{fraction}" if fraction else head
