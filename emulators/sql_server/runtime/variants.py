"""Comparisons of sql_variant: by families of types first, then by value in the higher of the two types."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any

from emulators.sql_server.runtime.collations import compare_ci
from emulators.sql_server.values.conversions import converter
from emulators.sql_server.values.datatypes import DECIMALS, FLOATS, INTEGERS, STRINGS, TEMPORALS, decode_decimal
from emulators.sql_server.values.results import SqlType
from emulators.sql_server.values.variants import unpacked

_HIERARCHY = ("datetime2", "datetimeoffset", "datetime", "smalldatetime", "date", "time")
_IN_TIME = {name: place for place, name in enumerate(_HIERARCHY)}
_UTC_DIGITS = 27
_FAMILIES = ({"uniqueidentifier"}, {"binary", "varbinary"}, STRINGS, INTEGERS | DECIMALS, FLOATS, TEMPORALS)
"""The lowest first."""


def _family(kind: SqlType) -> int:
    return next(place for place, names in enumerate(_FAMILIES) if kind.name in names)


def _number(kind: SqlType, value: Any) -> Decimal | float:
    return decode_decimal(value) if kind.name in DECIMALS else value


def _instants(left: tuple[SqlType, Any], right: tuple[SqlType, Any]) -> tuple[Any, Any]:
    higher = min(left[0], right[0], key=lambda kind: (_IN_TIME[kind.name], -kind.scale))
    a, b = (value if kind == higher else converter(kind, higher)(value) for kind, value in (left, right))
    return a[:_UTC_DIGITS], b[:_UTC_DIGITS]


def compare(left: str | None, right: str | None) -> int | None:
    """-1, 0 or 1; None if either is NULL."""
    if left is None or right is None:
        return None
    (kind, a), (other, b) = unpacked(left), unpacked(right)
    family, second = _family(kind), _family(other)
    if family != second:
        return 1 if family > second else -1
    if kind.name in STRINGS:
        return compare_ci(a, b)
    if kind.name in TEMPORALS:
        a, b = _instants((kind, a), (other, b))
    elif kind.name in INTEGERS | DECIMALS:
        a, b = _number(kind, a), _number(other, b)
    return (a > b) - (a < b)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {"k_variant_compare": (2, compare)}
"""Number of arguments and implementation of each, by its name in SQLite."""
