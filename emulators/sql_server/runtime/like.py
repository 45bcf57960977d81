"""LIKE and PATINDEX: T-SQL's patterns as regular expressions."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from emulators.sql_server.values.results import SqlError
from emulators.sql_server.values.utf16 import units

_NOTHING = "(?!)"


@lru_cache(maxsize=512)
def like_pattern(pattern: str, escape: str, case_sensitive: bool) -> re.Pattern[str]:
    """LIKE's pattern as a regular expression. A bracket that is not closed and an escape before nothing match nothing."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if escape and char == escape:
            position += 1
            out.append(re.escape(pattern[position]) if position < len(pattern) else _NOTHING)
        elif char == "%":
            out.append(".*")
        elif char == "_":
            out.append(".")
        elif char == "[":
            text, position = _bracket(pattern, position + 1, escape)
            out.append(text)
        else:
            out.append(re.escape(char))
        position += 1
    return re.compile("".join(out), re.DOTALL | (0 if case_sensitive else re.IGNORECASE))


def _bracket(pattern: str, position: int, escape: str) -> tuple[str, int]:
    """The set that begins at ``position``, and where its bracket closes."""
    negated = pattern[position : position + 1] == "^"
    position += negated
    members: list[tuple[str, bool]] = []  # with whether it was escaped, and so is no dash of a range
    while position < len(pattern) and pattern[position] != "]":
        literal = bool(escape) and pattern[position] == escape
        position += literal
        members.append((pattern[position : position + 1], literal))
        position += 1
    if position >= len(pattern):
        return _NOTHING, position
    parts = []
    index = 0
    while index < len(members):
        low = members[index][0]
        if members[index + 1 : index + 2] == [("-", False)] and index + 2 < len(members):
            high = members[index + 2][0]
            if low <= high:
                parts.append(f"{re.escape(low)}-{re.escape(high)}")
            index += 3
        else:
            parts.append(re.escape(low))
            index += 1
    if not parts:
        return "." if negated and members else _NOTHING, position
    return f"[{'^' if negated else ''}{''.join(parts)}]", position


def like(text: str | None, pattern: str | None, escape: str | None, options: int) -> int | None:
    """Whether ``text`` matches. Options: 1 case counts; 2 Unicode, where trailing blanks of the text count.

    Raises:
        SqlError: 506, the escape is no single character.
    """
    if text is None or pattern is None or escape is None:
        return None
    if len(escape) > 1:
        raise SqlError(506, f'The invalid escape character "{escape}" was specified in a LIKE predicate.')
    found = like_pattern(pattern, escape, bool(options & 1))
    if found.fullmatch(text):
        return 1
    return int(not options & 2 and text.endswith(" ") and found.fullmatch(text.rstrip(" ")) is not None)


def index_of_pattern(pattern: str | None, text: str | None) -> int | None:
    """PATINDEX."""
    if pattern is None or text is None:
        return None
    begins, ends = not pattern.startswith("%"), not pattern.endswith("%")
    core = like_pattern(pattern.strip("%"), "", False).pattern
    found = re.compile(("" if begins else ".*?") + f"({core})" + ("" if ends else ".*"), re.DOTALL | re.IGNORECASE).fullmatch(text)
    return units(text[: found.start(1)]) + 1 if found else 0


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_like": (4, like),
    "k_pattern_index": (2, index_of_pattern),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
