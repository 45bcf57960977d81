"""Timer schedules as the Functions host reads them: NCRONTAB, UTC."""

from __future__ import annotations

import re

_MONTHS = ("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november", "december")
_DAYS = ("sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday")
# second, minute, hour, day of month, month, day of week: lowest and highest value, and names that stand for values
_FIELDS: tuple[tuple[int, int, tuple[str, ...]], ...] = (
    (0, 59, ()),
    (0, 59, ()),
    (0, 23, ()),
    (1, 31, ()),
    (1, 12, _MONTHS),
    (0, 6, _DAYS),
)
_PART = re.compile(r"(?P<first>\*|\w+)(?:-(?P<last>\w+))?(?:/(?P<step>0*[1-9][0-9]{0,2}))?", re.ASCII)
_NAME_LETTERS = 3  # at least, of a name


def is_schedule(text: str) -> bool:
    """Whether a text is a schedule that a timer trigger takes: six fields, or five without the seconds.

    Source: NCrontab, which the host uses, https://github.com/atifaziz/NCrontab. A constant time span is none on every plan.
    """
    written = text.split()
    fields = _FIELDS[1:] if len(written) == len(_FIELDS) - 1 else _FIELDS
    return len(written) == len(fields) and all(
        all(_is_part(part, *field) for part in text.split(",")) for text, field in zip(written, fields, strict=True)
    )


def _is_part(text: str, lowest: int, highest: int, names: tuple[str, ...]) -> bool:
    match = _PART.fullmatch(text)
    if match is None:
        return False
    if match["first"] == "*":
        return match["last"] is None
    return all(_is_value(match[part], lowest, highest, names) for part in ("first", "last") if match[part] is not None)


def _is_value(text: str, lowest: int, highest: int, names: tuple[str, ...]) -> bool:
    if text.isdecimal():
        return len(text) <= _NAME_LETTERS and lowest <= int(text) <= highest
    return len(text) >= _NAME_LETTERS and any(name.startswith(text.lower()) for name in names)
