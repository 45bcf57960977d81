"""Strings as SQL Server counts and keeps them: in UTF-16 units, of which half a surrogate pair may stand alone.

SQLite keeps UTF-8, which has no halves. In the inner form of a string a character of plane 16 stands for each: U+10F800 for U+D800
and so on. Those 2048 characters themselves, which have no meaning, are kept as the two halves that they consist of.
"""

from __future__ import annotations

import re

_FIRST, _FIRST_HALF = 0x10F800, 0xD800
_HALVES = re.compile("[\ud800-\udfff]")
_STAND_INS = re.compile("[\U0010f800-\U0010ffff]")
_BOTH = re.compile("[\ud800-\udfff\U0010f800-\U0010ffff]")


def inner(text: str) -> str:
    """The inner form of a string."""
    if text.isascii() or not _BOTH.search(text):
        return text
    return _from_units(text.encode("utf-16-le", "surrogatepass"))


def _stand_in(found: re.Match[str]) -> str:
    data = found[0].encode("utf-16-le", "surrogatepass")
    halves = (int.from_bytes(data[place : place + 2], "little") for place in range(0, len(data), 2))
    return "".join(chr(half - _FIRST_HALF + _FIRST) for half in halves)


def _from_units(data: bytes) -> str:
    """Pairs become characters, and halves what stands for them."""
    return _BOTH.sub(_stand_in, data.decode("utf-16-le", "surrogatepass"))


def encoded(text: str) -> bytes:
    """The UTF-16 units of an inner form, or of any text."""
    if not text.isascii() and _STAND_INS.search(text):
        text = _STAND_INS.sub(lambda character: chr(ord(character[0]) - _FIRST + _FIRST_HALF), text)
    return text.encode("utf-16-le", "surrogatepass")


def outer(text: str) -> str:
    """The text of an inner form, as a client gives it."""
    if text.isascii() or not _STAND_INS.search(text):
        return text
    return encoded(text).decode("utf-16-le", "surrogatepass")


def merged(text: str) -> str:
    """Two halves that have come to stand together are one character."""
    if text.isascii() or not _STAND_INS.search(text):
        return text
    return _from_units(encoded(text))


def units(text: str) -> int:
    """How many UTF-16 units a text has; a character beyond the first plane has two."""
    if text.isascii():
        return len(text)
    return len(encoded(text)) // 2


def is_plain(text: str) -> bool:
    """Whether every character is one unit, so that Python's own places are right."""
    return text.isascii() or max(text) <= "\uffff"


def cut(text: str, start: int, end: int) -> str:
    """The units from ``start`` (0-based) up to ``end``."""
    if is_plain(text):
        return text[start:end]
    return _from_units(encoded(text)[2 * start : 2 * end])


def from_bytes(data: bytes) -> str:
    """The inner form of the text that these bytes are. Raises SqlError 40517."""
    return inner(data.decode("utf-16-le", "surrogatepass"))


def reverse(text: str) -> str:
    """The units from the last to the first, which takes pairs apart."""
    if is_plain(text):
        return text[::-1]
    data = encoded(text)
    return _from_units(b"".join(data[place : place + 2] for place in range(len(data) - 2, -1, -2)))
