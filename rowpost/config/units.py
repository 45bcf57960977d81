"""Lengths of time, rates and limits as ``relay.toml`` writes them.

Plain classes: msgspec would read a Struct or a dataclass by itself, from a TOML table.
"""

from __future__ import annotations

import re

_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d)")
_RATE = re.compile(r"([0-9]{1,7}(?:\.[0-9]+)?)/(s|m|h)")
_LIMIT = re.compile(r"([1-9][0-9]{0,3})/(m|h|d)")
_LOWEST_RATE, _HIGHEST_RATE = 0.001, 1_000_000
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_LONGEST_DAYS = 3650  # the database counts seconds in an int, and dates have an end


class Duration:
    """A length of time, written as a number and a unit: ``"90s"``, ``"15m"``, ``"6h"``, ``"7d"``."""

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read the written form.

        Raises:
            ValueError: it is not a number above zero, followed by one of the units s, m, h, d; or it is longer than ten years.
        """
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]] if match else 0.0
        if not seconds:
            raise ValueError('expected a duration above zero, such as "90s", "15m", "6h" or "7d"')
        if seconds > _LONGEST_DAYS * _UNIT_SECONDS["d"]:
            raise ValueError(f'is too long; use at most "{_LONGEST_DAYS}d"')
        return cls(seconds)


class Rate:
    """A number of events in a time, written as ``"50/s"``, ``"300/m"`` or ``"5000/h"``."""

    __slots__ = ("per_second", "written")

    def __init__(self, per_second: float, written: str = "") -> None:
        self.per_second, self.written = per_second, written

    @classmethod
    def parse(cls, text: object) -> Rate:
        """Read the written form.

        Raises:
            ValueError: it is not a number from 0.001 to a million, followed by /s, /m or /h.
        """
        match = _RATE.fullmatch(text) if isinstance(text, str) else None
        if match is None or not _LOWEST_RATE <= float(match[1]) <= _HIGHEST_RATE:
            raise ValueError('expected a number of events from 0.001 to 1000000 and a time, such as "50/s", "300/m" or "5000/h"')
        return cls(float(match[1]) / _UNIT_SECONDS[match[2]], match[0])


class Limit:
    """So many in a time, written as ``"20/h"``, ``"5/m"`` or ``"100/d"``."""

    __slots__ = ("count", "seconds", "written")

    def __init__(self, count: int, seconds: int, written: str = "") -> None:
        self.count, self.seconds, self.written = count, seconds, written

    @classmethod
    def parse(cls, text: object) -> Limit:
        """Read the written form.

        Raises:
            ValueError: it is not a whole number from 1 to 9999, followed by /m, /h or /d.
        """
        match = _LIMIT.fullmatch(text) if isinstance(text, str) else None
        if match is None:
            raise ValueError('expected a whole number from 1 to 9999 and a time, such as "20/h", "5/m" or "100/d"')
        return cls(int(match[1]), _UNIT_SECONDS[match[2]], match[0])
