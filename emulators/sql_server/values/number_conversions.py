"""Conversion to numbers, on the inner forms of datatypes.py."""

from __future__ import annotations

import math
import re
import struct
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from typing import Any

from emulators.sql_server.values import datetimes
from emulators.sql_server.values.binary_forms import (
    decimal_of,
    integer_of,
)
from emulators.sql_server.values.datatypes import (
    BINARIES,
    DECIMALS,
    FLOATS,
    INTEGER_RANGES,
    INTEGERS,
    STRINGS,
    decode_decimal,
    display,
    encode_decimal,
    quantize,
)
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

Converter = Callable[[Any], Any]
_TRUE, _FALSE = ("true", "1"), ("false", "0")
_MONEY = re.compile(r"([+-]?)\s*([$£¤¥€]?)\s*([+-]?)([0-9,]*(?:\.[0-9]*)?)\s*([$£¤¥€]?)")


def _only_digits(text: str) -> bool:
    """Python reads more than the server does: digits of other scripts, and _ between digits."""
    return text.isascii() and "_" not in text


def refused(source: SqlType, target: SqlType) -> SqlError:
    """Error 529: there is no such conversion."""
    return sql_error(529, display(source, False), display(target, False))


def to_integer(source: SqlType, target: SqlType) -> Converter:
    """The function that converts to bit, tinyint, smallint, int or bigint."""
    low, high = INTEGER_RANGES[target.name]
    name, origin = target.name, source.name
    bit = name == "bit"

    def checked(value: int) -> int:
        if bit:
            return int(value != 0)
        if not low <= value <= high:
            if origin in ("tinyint", "smallint", "int"):
                raise sql_error(220, name, value)
            raise sql_error(8115, "expression" if origin in INTEGERS | {"decimal", "numeric"} else origin, name)
        return value

    if origin in INTEGERS:
        return checked
    if origin in DECIMALS:
        if bit:
            return lambda v: int(decode_decimal(v) != 0)
        if origin == "money" and name != "bigint":
            return _moneyto_integer(name)
        money = origin in ("money", "smallmoney")
        return lambda v: checked(int(quantize(decode_decimal(v), 0) if money else decode_decimal(v)))
    if origin in FLOATS:
        if bit or name == "bigint":
            return lambda v: checked(int(v) if not bit else int(v != 0))
        return _floatto_integer(name)
    if origin in STRINGS:
        shown = display(source, False)

        def from_text(text: str) -> int:
            stripped = text.strip()
            if bit and stripped.lower() in _TRUE + _FALSE:
                return int(stripped.lower() in _TRUE)
            try:
                value = int(stripped or "0") if _only_digits(stripped) else int("x")
            except ValueError:
                raise sql_error(8114, shown, name) if name == "bigint" else sql_error(245, shown, text, name) from None
            if not bit and not low <= value <= high:
                if name == "int":
                    raise sql_error(248, shown, text)
                raise (
                    sql_error(8114, shown, name)
                    if name == "bigint"
                    else SqlError(
                        244,
                        f"The conversion of the {shown} value '{text}' overflowed an INT{1 if name == 'tinyint' else 2} column. "
                        "Use a larger integer column.",
                    )
                )
            return int(value != 0) if bit else value

        return from_text
    if origin in BINARIES:
        size = {"bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}[name]
        signed = name not in ("bit", "tinyint")
        return lambda v: checked(integer_of(v, size, signed))
    if origin in ("datetime", "smalldatetime"):
        half = datetimes.TICKS_DAY // 2
        return lambda v: checked((datetimes.ticks_of(v) - datetimes.ticks_of("1900-01-01") + half) // datetimes.TICKS_DAY)
    raise refused(source, target)


def _moneyto_integer(name: str) -> Converter:
    low, high = INTEGER_RANGES[name]

    def convert(text: str) -> int:
        value = int(quantize(decode_decimal(text), 0))
        if not low <= value <= high:
            raise SqlError(237, f"There is insufficient result space to convert a money value to {name}.")
        return value

    return convert


def _floatto_integer(name: str) -> Converter:
    low, high = INTEGER_RANGES[name]

    def convert(value: float) -> int:
        whole = int(value)
        if not low <= whole <= high:
            raise sql_error(232, name, f"{Decimal(f'{value:.17g}'):f}.000000" if abs(value) >= 1e17 else f"{value:.6f}")
        return whole

    return convert


def to_decimal(source: SqlType, target: SqlType) -> Converter:
    """The function that converts to decimal, numeric, money or smallmoney."""
    precision, scale, name, origin = target.precision, target.scale, target.name, source.name
    limit = Decimal(10) ** (precision - scale)
    money = name in ("money", "smallmoney")
    if name == "money":
        limit = Decimal("922337203685477.5808")
    elif name == "smallmoney":
        limit = Decimal("214748.3648")
    shown = "numeric" if name in ("decimal", "numeric") else name

    def finish(value: Decimal) -> str:
        rounded = quantize(value, scale)
        if rounded >= limit or rounded <= -limit and not (money and rounded == -limit):
            raise sql_error(8115, "numeric" if origin in ("decimal", "numeric") else origin, shown)
        return encode_decimal(rounded)

    if origin in INTEGERS:
        return lambda v: finish(Decimal(v))
    if origin in DECIMALS:
        if (
            origin == source.name
            and scale >= source.scale
            and precision - scale >= source.precision - source.scale
            and name in ("decimal", "numeric")
        ):
            return lambda v: v
        return lambda v: finish(decode_decimal(v))
    if origin in FLOATS:
        return lambda v: finish(Decimal(v))
    if origin in STRINGS:
        unreadable = sql_error(8114, display(source, False), shown) if not money else _no_money(name)

        def from_text(text: str) -> str:
            stripped = text.strip()
            try:
                if money:
                    found = _MONEY.fullmatch(stripped)
                    if found is None or found[1] and found[3] or found[2] and found[5]:
                        raise InvalidOperation
                    digits = found[4].replace(",", "")
                    value = Decimal(f"{found[1] or found[3]}{digits}" if digits.strip(".") else "0")
                else:
                    if "e" in stripped.lower() or not _only_digits(stripped):
                        raise InvalidOperation
                    value = Decimal(stripped)
            except InvalidOperation:
                raise unreadable from None
            if not value.is_finite():
                raise unreadable
            return finish(value)

        return from_text
    if origin in BINARIES:
        if money:
            size = 8 if name == "money" else 4
            return lambda v: finish(Decimal(integer_of(v, size, True)).scaleb(-4))
        return lambda v: finish(decimal_of(v, "timestamp" if origin == "rowversion" else "varbinary"))
    if origin in ("datetime", "smalldatetime"):
        return lambda v: finish(_days_of(v))
    raise refused(source, target)


def to_float(source: SqlType, target: SqlType) -> Converter:
    """The function that converts to float or real."""
    single = target.name == "real"

    def finish(value: float) -> float:
        if math.isinf(value) or math.isnan(value):
            raise sql_error(8115, "expression", target.name)
        try:
            return struct.unpack("<f", struct.pack("<f", value))[0] if single else value
        except OverflowError:
            raise sql_error(232, "real", f"{value:.6f}") from None

    origin = source.name
    if origin in INTEGERS or origin in FLOATS:
        return lambda v: finish(float(v))
    if origin in DECIMALS:
        return lambda v: finish(float(decode_decimal(v)))
    if origin in STRINGS:

        def from_text(text: str) -> float:
            try:
                stripped = text.strip() or "0"
                if not _only_digits(stripped) or not stripped[-1].isdigit() and stripped[-1] != ".":
                    raise ValueError
                return finish(float(stripped))
            except ValueError:
                raise sql_error(8114, display(source, False), target.name) from None

        return from_text
    if origin in ("datetime", "smalldatetime"):
        return lambda v: finish(float(_days_of(v)))
    raise refused(source, target)


def _days_of(text: str) -> Decimal:
    """Days since 1900, which is the number that a datetime is."""
    return Decimal(datetimes.ticks_of(text) - datetimes.ticks_of("1900-01-01")) / datetimes.TICKS_DAY


def _no_money(name: str) -> SqlError:
    if name == "money":
        return SqlError(235, "Cannot convert a char value to money. The char value has incorrect syntax.")
    return SqlError(293, "Cannot convert a char value to smallmoney. The char value has incorrect syntax.")
