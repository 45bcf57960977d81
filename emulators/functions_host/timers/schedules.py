"""Schedules of timer triggers: six-field NCRONTAB expressions and constant time spans."""

from __future__ import annotations

from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Protocol
from zoneinfo import ZoneInfo

from emulators.functions_host.settings import parse_time_span

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
_HORIZON_YEARS = 40  # 29 February on a given weekday comes back after 40 years at most (1900 and 2100 are no leap years)


class Schedule(Protocol):
    """When a timer is due."""

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence after ``instant`` (aware), in UTC; None if there is none."""

    @property
    def sub_minute(self) -> bool:
        """Whether it is due more often than once a minute: its past is not recorded then."""


@dataclass(frozen=True)
class ConstantSchedule:
    """Due at a fixed interval."""

    interval: timedelta

    def next_after(self, instant: datetime) -> datetime | None:
        """The instant plus the interval."""
        return instant + self.interval

    @property
    def sub_minute(self) -> bool:
        """Whether the interval is below a minute."""
        return self.interval < timedelta(minutes=1)


def _number(text: str, names: tuple[str, ...], low: int, high: int) -> int:
    word = text.lower()
    if word.isdecimal():
        value = int(word)
    else:
        found = [position for position, name in enumerate(names) if len(word) >= 3 and name.startswith(word)]
        if len(found) != 1:
            raise ValueError(f"{text!r} is no value of its field")
        value = found[0] + low
    if not low <= value <= high:
        raise ValueError(f"{value} is not between {low} and {high}")
    return value


def _field(text: str, low: int, high: int, names: tuple[str, ...] = ()) -> frozenset[int]:
    values: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        if slash and not (step_text.isdecimal() and int(step_text) > 0):
            raise ValueError(f"{part!r} has no valid step")
        step = int(step_text) if slash else 1
        if span == "*":
            first, last = low, high
        elif "-" in span:
            left, _, right = span.partition("-")
            first, last = _number(left, names, low, high), _number(right, names, low, high)
            if first > last:
                first, last = last, first  # NCRONTAB swaps them
        else:
            first = _number(span, names, low, high)
            last = high if slash else first
        values.update(range(first, last + 1, step))
    return frozenset(values)


class CronSchedule:
    """An NCRONTAB expression: ``{second} {minute} {hour} {day} {month} {day-of-week}``; with five fields the second is 0.

    Day and day of the week must both match.

    Raises:
        ValueError: not an expression.
    """

    def __init__(self, expression: str, zone: tzinfo = UTC) -> None:
        fields = expression.split()
        if len(fields) == 5:
            fields.insert(0, "0")
        if len(fields) != 6:
            raise ValueError(f"{expression!r} is no schedule: an NCRONTAB expression has six fields")
        try:
            self._seconds = sorted(_field(fields[0], 0, 59))
            self._minutes = sorted(_field(fields[1], 0, 59))
            self._hours = sorted(_field(fields[2], 0, 23))
            self._days = _field(fields[3], 1, 31)
            self._months = _field(fields[4], 1, 12, _MONTHS)
            self._weekdays = _field(fields[5], 0, 6, _DAYS)
        except ValueError as problem:
            raise ValueError(f"{expression!r} is no schedule: {problem}") from None
        self._zone = zone

    @property
    def sub_minute(self) -> bool:
        """Whether it is due more than once within some minute."""
        return len(self._seconds) > 1

    def next_after(self, instant: datetime) -> datetime | None:
        """The first occurrence after ``instant``."""
        local = instant.astimezone(self._zone)
        day = local.date()
        wall: time | None = local.time()
        last = day.replace(year=day.year + _HORIZON_YEARS, day=1)
        while day <= last:
            if self._matches(day):
                found = self._time_after(wall)
                while found is not None:
                    candidate = datetime.combine(day, found, self._zone).astimezone(UTC)
                    if candidate > instant:
                        return candidate
                    found = self._time_after(found)
            day, wall = self._next_day(day), None
        return None

    def _next_day(self, day: date) -> date:
        if day.month in self._months:
            return day + timedelta(days=1)
        return day.replace(day=monthrange(day.year, day.month)[1]) + timedelta(days=1)

    def _matches(self, day: date) -> bool:
        return day.month in self._months and day.day in self._days and (day.isoweekday() % 7) in self._weekdays

    def _time_after(self, wall: time | None) -> time | None:
        """The first time of day in the fields after ``wall`` (None: from midnight on)."""
        if wall is None:
            return time(self._hours[0], self._minutes[0], self._seconds[0])
        start = (wall.hour, wall.minute, wall.second)
        for hour in (h for h in self._hours if h >= start[0]):
            for minute in (m for m in self._minutes if (hour, m) >= start[:2]):
                for second in self._seconds:
                    if (hour, minute, second) > start:
                        return time(hour, minute, second)
        return None


def parse_schedule(text: str, time_zone: str | None) -> Schedule:
    """The schedule that ``text`` names.

    Args:
        text: an expression or a time span.
        time_zone: the app setting WEBSITE_TIME_ZONE (an IANA name); None means UTC.

    Raises:
        ValueError: neither form, or an unknown zone.
    """
    if ":" in text:
        interval = parse_time_span(text)
        if interval <= timedelta(0):
            raise ValueError(f"the interval {text!r} is not above zero")
        return ConstantSchedule(interval)
    try:
        zone = ZoneInfo(time_zone) if time_zone else UTC
    except (KeyError, ValueError, OSError):
        raise ValueError(f"WEBSITE_TIME_ZONE {time_zone!r} is no IANA time zone that this machine knows") from None
    return CronSchedule(text, zone)
