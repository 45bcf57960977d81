"""Dates and times: text as it passes between wire and engine, and the numbers that travel in TDS.

A *tick* is 100 ns. Days count from 0001-01-01.
"""

from __future__ import annotations

import datetime
from functools import lru_cache

TICKS_PER_SECOND = 10_000_000
TICKS_PER_MINUTE = 60 * TICKS_PER_SECOND
TICKS_PER_DAY = 86_400 * TICKS_PER_SECOND
DAYS_TO_1900 = datetime.date(1900, 1, 1).toordinal() - 1


@lru_cache(maxsize=4096)
def days_of(text: str) -> int:
    """Days since 0001-01-01 of ``YYYY-MM-DD``."""
    return datetime.date.fromisoformat(text).toordinal() - 1


@lru_cache(maxsize=4096)
def date_text(days: int) -> str:
    """``YYYY-MM-DD`` of a day number."""
    return datetime.date.fromordinal(days + 1).isoformat()


def ticks_of(text: str) -> int:
    """Ticks since midnight of ``HH:MM:SS[.fffffff]``."""
    if len(text) < 8 or text[2] != ":" or text[5] != ":":
        raise ValueError(f"not a time: {text!r}")
    seconds = int(text[0:2]) * 3600 + int(text[3:5]) * 60 + int(text[6:8])
    if len(text) == 8:
        return seconds * TICKS_PER_SECOND
    if text[8] != "." or not 1 <= len(text) - 9 <= 7:
        raise ValueError(f"not a time: {text!r}")
    return seconds * TICKS_PER_SECOND + int(text[9:].ljust(7, "0"))


def time_text(ticks: int, scale: int) -> str:
    """``HH:MM:SS[.fffffff]`` with ``scale`` digits of the second."""
    seconds, fraction = divmod(ticks, TICKS_PER_SECOND)
    text = f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"
    return f"{text}.{fraction:07}"[: 9 + scale] if scale else text


def split_datetime(text: str) -> tuple[int, int]:
    """Days and ticks of ``YYYY-MM-DD HH:MM:SS[.fffffff]`` (a ``T`` or nothing after the date is accepted)."""
    if len(text) == 10:
        return days_of(text), 0
    if len(text) < 19 or text[10] not in " T":
        raise ValueError(f"not a date and time: {text!r}")
    return days_of(text[:10]), ticks_of(text[11:])


def split_datetimeoffset(text: str) -> tuple[int, int, int]:
    """Days and ticks in UTC, and the offset in minutes, of ``YYYY-MM-DD HH:MM:SS[.fffffff] +HH:MM``."""
    if len(text) < 16 or text[-3] != ":" or text[-6] not in "+-":
        raise ValueError(f"not a date and time with an offset: {text!r}")
    offset = int(text[-5:-3]) * 60 + int(text[-2:])
    if text[-6] == "-":
        offset = -offset
    days, ticks = split_datetime(text[:-6].rstrip())
    carry, ticks = divmod(ticks - offset * TICKS_PER_MINUTE, TICKS_PER_DAY)
    return days + carry, ticks, offset


def datetimeoffset_text(days: int, ticks: int, offset: int, scale: int) -> str:
    """The inverse of :func:`split_datetimeoffset`."""
    carry, ticks = divmod(ticks + offset * TICKS_PER_MINUTE, TICKS_PER_DAY)
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    return f"{date_text(days + carry)} {time_text(ticks, scale)} {sign}{hours:02}:{minutes:02}"


def time_size(scale: int) -> int:
    """Bytes of a time of that scale."""
    return 3 if scale <= 2 else 4 if scale <= 4 else 5
