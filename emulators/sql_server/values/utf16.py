"""Lengths and places in strings, counted as SQL Server counts them: in UTF-16 units."""

from __future__ import annotations


def units(text: str) -> int:
    """How many UTF-16 units a text has; a character beyond the first plane has two."""
    if text.isascii():
        return len(text)
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def is_plain(text: str) -> bool:
    """Whether every character is one unit, so that Python's own places are right."""
    return text.isascii() or max(text) <= "\uffff"


def cut(text: str, start: int, end: int) -> str:
    """The units from ``start`` (0-based) up to ``end``; half of a pair is left out."""
    if is_plain(text):
        return text[start:end]
    return text.encode("utf-16-le", "surrogatepass")[2 * start : 2 * end].decode("utf-16-le", "ignore")
