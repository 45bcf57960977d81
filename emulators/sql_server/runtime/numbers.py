"""Functions on numbers."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_UP, Decimal
from typing import Any

from emulators.sql_server.values.datatypes import decimal_context, decode_decimal, encode_decimal, quantize
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError

_CONTEXT = decimal_context()


def _round(value: Any, digits: int | None, cut: int, kind: str) -> Any:
    if value is None or digits is None:
        return None
    if kind == "decimal":
        number = decode_decimal(value)
        if cut:
            unit = Decimal(1).scaleb(-digits)
            return encode_decimal(_CONTEXT.multiply(_CONTEXT.divide_int(number, unit), unit))
        return encode_decimal(
            quantize(number, digits) if digits >= 0 else quantize(number.scaleb(digits, _CONTEXT), 0).scaleb(-digits, _CONTEXT)
        )
    if kind == "int":
        if digits >= 0:
            return value
        unit = 10**-digits
        return int(value / unit) * unit if cut else (abs(value) + unit // 2) // unit * unit * (1 if value >= 0 else -1)
    if cut:
        return math.trunc(value * 10.0**digits) / 10.0**digits
    return float(quantize(Decimal(repr(value)), digits)) if digits >= 0 else float(round(value / 10.0**-digits) * 10.0**-digits)


def _floor(value: Any, kind: str, up: int) -> Any:
    if value is None or kind == "int":
        return value
    if kind == "decimal":
        return encode_decimal(decode_decimal(value).to_integral_value(ROUND_CEILING if up else ROUND_FLOOR, _CONTEXT))
    return float(math.ceil(value) if up else math.floor(value))


def _absolute(value: Any, kind: str) -> Any:
    if value is None:
        return None
    return encode_decimal(decode_decimal(value).copy_abs()) if kind == "decimal" else abs(value)


def _sign(value: Any, kind: str) -> Any:
    if value is None:
        return None
    if kind == "decimal":
        number = decode_decimal(value)
        return encode_decimal(Decimal((number > 0) - (number < 0)))
    sign = (value > 0) - (value < 0)
    return float(sign) if kind == "float" else sign


def _power(base: float | None, exponent: float | None) -> float | None:
    if base is None or exponent is None:
        return None
    try:
        result = math.pow(base, exponent)
    except (OverflowError, ValueError):
        raise sql_error(8115, "expression", "float") from None
    return result


def _mathematics(name: str, value: float | None, other: float | None) -> float | None:
    if value is None:
        return None
    try:
        if name == "log":
            return math.log(value) if other is None else math.log(value, other)
        if name == "square":
            return value * value
        functions: dict[str, Callable[[float], float]] = {
            "sqrt": math.sqrt,
            "exp": math.exp,
            "log10": math.log10,
            "sin": math.sin,
            "cos": math.cos,
            "tan": math.tan,
            "asin": math.asin,
            "acos": math.acos,
            "atan": math.atan,
            "radians": math.radians,
            "degrees": math.degrees,
        }
        return functions[name](value)
    except (ValueError, OverflowError):
        raise SqlError(3623, "An invalid floating point operation occurred.") from None


_NUMERIC = re.compile(r"\s*[+-]?\s*[$£¤¥€]?\s*[+-]?\d*(?:,\d*)*\.?\d*(?:(?<=[\d.])[eEdD][+-]?\d*)?\s*", re.ASCII)


def _is_numeric(text: str | None) -> int:
    """ISNUMERIC: also of what only money takes, such as a sign alone."""
    return int(text is not None and text.strip() != "" and _NUMERIC.fullmatch(text) is not None)


def _str(value: float | None, length: int | None, decimals: int | None) -> str | None:
    """STR: right-aligned, asterisks when it does not fit."""
    if value is None or length is None or decimals is None or length < 1 or decimals < 0:
        return None
    exact = Decimal(repr(value))
    whole = f"{exact.quantize(Decimal(1), ROUND_HALF_UP):f}"
    places = min(decimals, 16, max(0, length - len(f"{int(exact)}") - 1 - (exact < 0 and int(exact) == 0)))
    if len(whole) > length:
        return "*" * length
    return f"{exact.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP):f}".rjust(length)[:length]


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_round": (4, _round),
    "k_floor": (3, _floor),
    "k_absolute": (2, _absolute),
    "k_sign": (2, _sign),
    "k_power": (2, _power),
    "k_math": (3, _mathematics),
    "k_is_numeric": (1, _is_numeric),
    "k_str": (3, _str),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
