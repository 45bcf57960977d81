"""Masking functions of columns: their text, and what is read in the place of a value."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from emulators.sql_server.values.conversions import converter
from emulators.sql_server.values.datatypes import BINARIES, INT, STRINGS, TEMPORALS
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlType, Unpadded, UnpaddedBytes
from emulators.sql_server.values.utf16 import cut, units

DEFAULT = "default()"
_ARGUMENTS = {"default": 0, "email": 0, "partial": 3, "random": 2, "datetime": 1}
_FIXED = frozenset({"char", "nchar"})


@dataclass(frozen=True, slots=True)
class Mask:
    """How a value of a query is masked, and which columns (object_id, column_id) it comes from.

    ``doubt`` names a use of which it is not known what the real server gives.
    """

    function: str
    sources: frozenset[tuple[int, int]]
    doubt: str = ""


def parse_mask(text: str, column: str, kind: SqlType) -> str:
    """The text of sys.masked_columns. Raises SqlError 16002 to 16006, 40517."""
    if not text:
        raise sql_error(16002, column, state=0)
    if "(" not in text:
        raise sql_error(16006, text, column, state=0)
    name, _, rest = text.partition("(")
    if ")" not in rest:
        raise sql_error(16006, name, column, state=0)
    if not rest.endswith(")"):
        raise sql_error(16004, name, column, state=0)
    known = name.lower()
    if known not in _ARGUMENTS:
        raise sql_error(16002, column, state=0)
    if known in ("email", "partial") and kind.name not in STRINGS - {"xml"}:
        raise sql_error(16003, column, known, state=0)
    if kind.name == "sql_variant":
        raise unsupported("a mask of sql_variant")
    if known in ("random", "datetime"):
        raise unsupported(f"masking function {known}()")
    inner = rest[:-1]
    if inner.count('"') % 2:
        raise sql_error(16005, name, column, state=0)
    arguments = [part.strip() for part in re.split(r',(?=(?:[^"]*"[^"]*")*[^"]*$)', inner)] if inner.strip() else []
    if len(arguments) != _ARGUMENTS[known]:
        raise sql_error(16004, name, column, state=0)
    if known != "partial":
        return f"{known}()"
    prefix, padding, suffix = arguments
    if not (re.fullmatch("[0-9]+", prefix) and re.fullmatch("[0-9]+", suffix) and re.fullmatch(r'"(?:[^"]|"")*"', padding)):
        raise sql_error(16005, name, column, state=0)
    return f"partial({int(prefix)}, {padding}, {int(suffix)})"


def masked(function: str, value: Any, kind: SqlType) -> Any:
    """What a user without UNMASK reads, in the inner form. NULL stays NULL."""
    if value is None:
        return None
    if function == "email()" and isinstance(value, str) and value:
        return _text(cut(value, 0, 1) + "XXX@XXXX.com", kind)
    if function.startswith("partial"):
        prefix, padding, suffix = _partial(function)
        long_enough = units(value) > prefix + suffix
        end = cut(value, units(value) - suffix, units(value)) if suffix else ""
        return _text(cut(value, 0, prefix) + padding + end if long_enough else padding, kind)
    return default_mask(kind)


@lru_cache(maxsize=256)
def _partial(function: str) -> tuple[int, str, int]:
    found = re.fullmatch(r'partial\((\d+), "(.*)", (\d+)\)', function, re.DOTALL)
    assert found is not None
    return int(found[1]), found[2].replace('""', '"'), int(found[3])


def _text(text: str, kind: SqlType) -> str:
    shown = cut(text, 0, kind.length) if kind.length > 0 else text
    return Unpadded(shown) if kind.name in _FIXED else shown


@lru_cache(maxsize=256)
def default_mask(kind: SqlType) -> Any:
    """What default() gives for a type."""
    name = kind.name
    if name == "xml":
        return "<masked />"
    if name in STRINGS:
        return _text("xxxx", kind)
    if name == "rowversion":
        return bytes(8)
    if name in BINARIES or name == "image":
        return UnpaddedBytes(b"0") if name == "binary" else b"0"
    if name == "uniqueidentifier":
        return "00000000-0000-0000-0000-000000000000"
    if name in TEMPORALS:
        return converter(SqlType("varchar", 30), kind, None, True)("1900-01-01 00:00:00")
    return converter(INT, kind, None, True)(0)
