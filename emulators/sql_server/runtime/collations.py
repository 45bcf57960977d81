"""The two collations, and how instants compare."""

from __future__ import annotations

from functools import lru_cache

from emulators.sql_server.values.utf16 import merged


def compare_ci(a: str, b: str) -> int:
    """The default collation: no case, no trailing blanks."""
    if a == b:
        return 0
    x, y = _folded(a), _folded(b)
    return (x > y) - (x < y)


@lru_cache(1 << 14)
def _folded(text: str) -> str:
    return (text if text.isascii() else merged(text)).rstrip(" ").casefold()


def compare_cs(a: str, b: str) -> int:
    """Case counts, trailing blanks do not."""
    if not (a.isascii() and b.isascii()):
        a, b = merged(a), merged(b)
    x, y = a.rstrip(" "), b.rstrip(" ")
    return (x > y) - (x < y)


_INSTANT = 27  # characters of the inner form that hold the instant; the offset comes behind


def compare_instants(a: str, b: str) -> int:
    """datetimeoffset: the same instant at another offset is the same value."""
    x, y = a[:_INSTANT], b[:_INSTANT]
    return (x > y) - (x < y)
