"""The three collations, and how instants compare."""

from __future__ import annotations

import unicodedata
from functools import lru_cache

from emulators.sql_server.values.utf16 import merged

_FORMS = [chr(number) for number in (0x3000, *range(0xFF01, 0xFFEF)) if unicodedata.name(chr(number), "")]
_KANA = {number: chr(number - 0x60) for number in range(0x30A1, 0x30F7)}
"""Katakana as hiragana."""
_WIDTHS = {ord(form): unicodedata.normalize("NFKC", form).translate(_KANA) for form in _FORMS} | _KANA


def one_width(text: str) -> str:
    """Full-width and half-width forms as the plain characters, katakana as hiragana: without _WS and _KS a collation does not tell
    them apart."""
    return text.translate(_WIDTHS)


def compare_ci(a: str, b: str) -> int:
    """The default collation: no case, no trailing blanks."""
    if a == b:
        return 0
    x, y = _folded(a), _folded(b)
    return (x > y) - (x < y)


@lru_cache(1 << 14)
def _folded(text: str) -> str:
    return (text if text.isascii() else one_width(merged(text))).rstrip(" ").casefold()


def compare_cs(a: str, b: str) -> int:
    """Case counts, trailing blanks do not."""
    if not (a.isascii() and b.isascii()):
        a, b = one_width(merged(a)), one_width(merged(b))
    x, y = a.rstrip(" "), b.rstrip(" ")
    return (x > y) - (x < y)


def compare_bin(a: str, b: str) -> int:
    """The numbers of the characters count, trailing blanks do not."""
    x, y = merged(a).rstrip(" "), merged(b).rstrip(" ")
    return (x > y) - (x < y)


_INSTANT = 27  # characters of the inner form that hold the instant; the offset comes behind


def compare_instants(a: str, b: str) -> int:
    """datetimeoffset: the same instant at another offset is the same value."""
    x, y = a[:_INSTANT], b[:_INSTANT]
    return (x > y) - (x < y)
