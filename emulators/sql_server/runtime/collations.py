"""The two collations, and how instants compare."""

from __future__ import annotations


def compare_ci(a: str, b: str) -> int:
    """The default collation: no case, no trailing blanks."""
    if a == b:
        return 0
    x, y = a.rstrip(" ").casefold(), b.rstrip(" ").casefold()
    return (x > y) - (x < y)


def compare_cs(a: str, b: str) -> int:
    """Case counts, trailing blanks do not."""
    x, y = a.rstrip(" "), b.rstrip(" ")
    return (x > y) - (x < y)


_INSTANT = 27  # characters of the inner form that hold the instant; the offset comes behind


def compare_instants(a: str, b: str) -> int:
    """datetimeoffset: the same instant at another offset is the same value."""
    x, y = a[:_INSTANT], b[:_INSTANT]
    return (x > y) - (x < y)
