"""LIKE and PATINDEX: T-SQL's patterns as regular expressions."""

from __future__ import annotations

import re
from functools import lru_cache


@lru_cache(maxsize=512)
def like_pattern(pattern: str, escape: str, case_sensitive: bool) -> re.Pattern[str]:
    """LIKE's pattern as a regular expression."""
    out: list[str] = []
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if escape and char == escape and position + 1 < len(pattern):
            position += 1
            out.append(re.escape(pattern[position]))
        elif char == "%":
            out.append(".*")
        elif char == "_":
            out.append(".")
        elif char == "[" and (end := pattern.find("]", position + 1)) > 0:
            body = pattern[position + 1 : end]
            negated = body.startswith("^")
            members = body[1:] if negated else body
            escaped = re.sub(r"([\\\[\]^&~|])", r"\\\1", members)
            out.append(f"[{'^' if negated else ''}{escaped}]" if members else "(?!)")
            position = end
        else:
            out.append(re.escape(char))
        position += 1
    return re.compile("".join(out), re.DOTALL | (0 if case_sensitive else re.IGNORECASE))


def like(text: str | None, pattern: str | None, escape: str, case_sensitive: int) -> int | None:
    """Whether ``text`` matches; trailing blanks of the text may be ignored."""
    if text is None or pattern is None:
        return None
    found = like_pattern(pattern, escape, bool(case_sensitive))
    if found.fullmatch(text):
        return 1
    return int(text.endswith(" ") and found.fullmatch(text.rstrip(" ")) is not None)


def index_of_pattern(pattern: str | None, text: str | None) -> int | None:
    """PATINDEX."""
    if pattern is None or text is None:
        return None
    begins, ends = not pattern.startswith("%"), not pattern.endswith("%")
    core = like_pattern(
        pattern.strip("%") if not (begins or ends) else pattern.lstrip("%") if ends else pattern.rstrip("%"), "", False
    ).pattern
    found = re.compile(("^" if begins else "") + core + ("$" if ends else ""), re.DOTALL | re.IGNORECASE).search(text)
    return found.start() + 1 if found else 0
