"""Operators on numbers, with T-SQL's ranges and errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from decimal import ROUND_DOWN, Decimal
from typing import Any

from emulators.sql_server.values.datatypes import INTEGER_RANGES, decimal_context, decode_decimal, encode_decimal, quantize
from emulators.sql_server.values.errors import sql_error

_CONTEXT = decimal_context()


def _int(value: Any, kind: str) -> Any:
    if value is None:
        return None
    low, high = INTEGER_RANGES[kind]
    if value.__class__ is float or not low <= value <= high:
        raise sql_error(8115, "expression", kind)
    return value


def _int_divide(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return None
    if b == 0:
        raise sql_error(8134)
    quotient = abs(a) // abs(b)
    return quotient if (a < 0) == (b < 0) else -quotient


def _int_modulo(a: int | None, b: int | None) -> int | None:
    if a is None or b is None:
        return None
    if b == 0:
        raise sql_error(8134)
    return int(math.fmod(a, b)) if abs(a) < 2**52 and abs(b) < 2**52 else (abs(a) % abs(b)) * (1 if a >= 0 else -1)


def _float(value: float | None) -> float | None:
    if value is not None and math.isinf(value):
        raise sql_error(8115, "expression", "float")
    return value


def _float_divide(a: float | None, b: float | None) -> float | None:
    if a is None or b is None:
        return None
    if b == 0:
        raise sql_error(8134)
    return _float(a / b)


def _negate(value: str | None) -> str | None:
    return None if value is None else encode_decimal(decode_decimal(value).copy_negate())


_MONEY_LIMIT = Decimal("922337203685477.5808")


def _decimal(op: str, a: str | None, b: str | None, precision: int, scale: int) -> str | None:
    """Precision 0 stands for money."""
    if a is None or b is None:
        return None
    x, y = decode_decimal(a), decode_decimal(b)
    if op == "+":
        value = _CONTEXT.add(x, y)
    elif op == "-":
        value = _CONTEXT.subtract(x, y)
    elif op == "*":
        value = _CONTEXT.multiply(x, y)
    elif not y:
        raise sql_error(8134)
    elif op == "/":
        value = _CONTEXT.divide(x, y).quantize(Decimal(1).scaleb(-scale), ROUND_DOWN, _CONTEXT)
    else:
        value = _CONTEXT.remainder(x, y)
    return _fit(value, precision, scale)


def _fit(value: Decimal, precision: int, scale: int) -> str:
    rounded = quantize(value, scale)
    if not precision and not -_MONEY_LIMIT <= rounded < _MONEY_LIMIT:
        raise sql_error(8115, "expression", "money")
    if precision and rounded.copy_abs() >= Decimal(10) ** (precision - scale):
        raise sql_error(8115, "expression", "numeric")
    return encode_decimal(rounded)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_int": (2, _int),
    "k_int_divide": (2, _int_divide),
    "k_int_modulo": (2, _int_modulo),
    "k_float": (1, _float),
    "k_float_divide": (2, _float_divide),
    "k_negate": (1, _negate),
    "k_decimal": (5, _decimal),
    "k_fit": (3, lambda value, precision, scale: None if value is None else _fit(decode_decimal(value), precision, scale)),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
