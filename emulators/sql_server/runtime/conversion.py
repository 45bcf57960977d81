"""Conversions: each pair of types has a number by which SQLite calls it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulators.sql_server.values.conversions import CONVERSION_FAILURES, converter
from emulators.sql_server.values.number_conversions import Converter
from emulators.sql_server.values.results import SqlError, SqlType
from emulators.sql_server.values.variants import variant_property

_CONVERTERS: list[Converter] = []
_KEYS: dict[tuple[SqlType, SqlType, int | None, bool, bool], int] = {}


def conversion_key(source: SqlType, target: SqlType, style: int | None, cut: bool, lenient: bool) -> int:
    """The number by which k_convert knows a conversion."""
    key = (source, target, style, cut, lenient)
    number = _KEYS.get(key)
    if number is None:
        convert = converter(source, target, style, cut)
        _CONVERTERS.append(_lenient(convert) if lenient else convert)
        number = _KEYS[key] = len(_CONVERTERS) - 1
    return number


def _lenient(convert: Converter) -> Converter:
    def attempt(value: Any) -> Any:
        try:
            return convert(value)
        except SqlError as error:
            if error.number not in CONVERSION_FAILURES:
                raise
            return None

    return attempt


def _convert(value: Any, key: int) -> Any:
    return None if value is None else _CONVERTERS[key](value)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_variant_property": (3, variant_property),
    "k_convert": (2, _convert),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
