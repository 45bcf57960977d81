"""CAST, CONVERT and implicit conversion at run time, on the inner forms of datatypes.py."""

from __future__ import annotations

import uuid
from decimal import Decimal
from functools import lru_cache
from typing import Any

from emulators.sql_server.values import datetimes
from emulators.sql_server.values.binary_forms import (
    bytes_of_datetime,
    bytes_of_decimal,
    bytes_of_float,
    ticks_of_datetime,
    ticks_of_new_date,
)
from emulators.sql_server.values.codepage import narrow
from emulators.sql_server.values.datatypes import (
    BINARIES,
    DECIMALS,
    FLOATS,
    INSTANTS,
    INTEGERS,
    NUMBERS,
    STRINGS,
    TEMPORALS,
    UNICODE_STRINGS,
    decode_decimal,
    display,
    quantize,
)
from emulators.sql_server.values.date_styles import canonical, styled
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.number_conversions import Converter, refused, to_decimal, to_float, to_integer
from emulators.sql_server.values.results import SqlError, SqlType
from emulators.sql_server.values.utf16 import cut as cut_text
from emulators.sql_server.values.utf16 import encoded, from_bytes, units
from emulators.sql_server.values.variants import packer, unpacked
from emulators.sql_server.values.xml_text import xml_text

CONVERSION_FAILURES = frozenset(
    {210, 220, 232, 234, 235, 237, 241, 242, 244, 245, 248, 293, 295, 8114, 8115, 8169, 8170, 9400, 9402, 9436, 9807}
)
"""A value cannot be converted: TRY_CAST gives NULL. For a pair of types that has no conversion it raises 529."""


@lru_cache(maxsize=4096)
def converter(source: SqlType, target: SqlType, style: int | None = None, cut: bool = True) -> Converter:
    """The function that converts a non-NULL value. ``cut``: strings that are too long are cut (CAST), else kept (assignment).

    Raises SqlError 529 when no such conversion exists; the function raises 220, 241, 245, 8114, 8115, 8169.
    """
    to = target.name
    if to == "sql_variant":
        return packer(source) if source.name != to else lambda value: value
    if source.name == "sql_variant":
        return _from_variant(target, style, cut)
    if to in INTEGERS:
        return to_integer(source, target)
    if to in DECIMALS:
        return to_decimal(source, target)
    if to in FLOATS:
        return to_float(source, target)
    if to in STRINGS:
        return _to_string(source, target, style, cut)
    if to in BINARIES:
        return _to_binary(source, target, style, cut)
    if to in TEMPORALS:
        return _to_temporal(source, target, style)
    if to == "uniqueidentifier":
        return _to_guid(source)
    raise sql_error(529, display(source, False), display(target, False))


def _from_variant(target: SqlType, style: int | None, cut: bool) -> Converter:
    def convert(text: str) -> Any:
        kind, value = unpacked(text)
        return value if kind == target else converter(kind, target, style, cut)(value)

    return convert


# --- strings ---


_FLOAT_DIGITS = {1: 7, 2: 15, 3: 16}
"""Digits behind the point; all with an exponent."""


def float_text(value: float, style: int | None = None) -> str:
    """float to string: six significant digits, as CAST does, or always 8, 16 or 17 with an exponent (styles 1, 2, 3)."""
    if style in _FLOAT_DIGITS:
        return _exponent(f"{value:.{_FLOAT_DIGITS[style]}e}")
    text = f"{value:.6g}"
    return _exponent(text) if "e" in text else text


def _exponent(text: str) -> str:
    mantissa, _, exponent = text.partition("e")
    return f"{mantissa}e{exponent[0] if exponent[0] in '+-' else '+'}{int(exponent.lstrip('+-')):03d}"


def _to_string(source: SqlType, target: SqlType, style: int | None, cut: bool) -> Converter:
    origin, length = source.name, target.length
    is_narrow = target.name not in UNICODE_STRINGS
    pad = target.name in ("char", "nchar")
    text_of = _text_function(source, style)
    if origin in BINARIES and not is_narrow and style not in (1, 2):
        text_of = _utf16_text
    numeric = origin in NUMBERS or origin == "uniqueidentifier"

    def convert(value: Any) -> str:
        text: str = text_of(value)
        if is_narrow and not text.isascii():
            text = narrow(text)
        if length > 0:
            if cut and units(text) > length:
                if numeric:
                    if origin in INTEGERS and origin != "bigint" and target.name in ("varchar", "char"):
                        return "*"
                    raise (
                        sql_error(
                            8115,
                            "expression" if origin in INTEGERS else "numeric" if origin in DECIMALS else origin,
                            display(target, False),
                        )
                        if origin != "uniqueidentifier"
                        else SqlError(8170, "Insufficient result space to convert uniqueidentifier value to char.")
                    )
                text = cut_text(text, 0, length)
            if pad and (missing := length - units(text)) > 0:
                text += " " * missing
        return text

    if source.name == "image":
        raise refused(source, target)
    if target.name == "xml" and origin in BINARIES:
        raise unsupported(f"{origin} as xml")
    if target.name == "xml" and origin != "xml":
        return xml_text
    if origin in STRINGS and length < 0 and (not is_narrow or origin not in UNICODE_STRINGS):
        return lambda v: v
    return convert


def _utf16_text(value: bytes) -> str:
    """Bytes taken for UTF-16 units, the last one with a zero if it is half a unit."""
    return from_bytes(value + b"\0" * (len(value) % 2))


def _text_function(source: SqlType, style: int | None) -> Converter:
    origin, scale = source.name, source.scale
    if origin in STRINGS:
        return lambda v: v
    if origin in INTEGERS:
        return str
    if origin in ("money", "smallmoney"):
        if style not in (None, 0, 1, 2, 126):
            raise unsupported(f"CONVERT of {origin} with style {style}")
        digits = 4 if style in (2, 126) else 2
        return lambda v: f"{quantize(decode_decimal(v), digits):{',' if style == 1 else ''}f}"
    if origin in DECIMALS:
        return lambda v: f"{quantize(decode_decimal(v), scale):f}"
    if origin in FLOATS:
        if style not in (None, 0, 1, 2, 3, 126):
            raise unsupported(f"CONVERT of {origin} with style {style}")
        return lambda v: float_text(v, 1 if style == 126 and origin == "real" else 2 if style == 126 else style)
    if origin == "uniqueidentifier":
        return lambda v: v
    if origin in BINARIES:
        if style not in (None, 0, 1, 2):
            raise sql_error(9809, style, "varbinary", "varchar")
        if style in (1, 2):
            return lambda v: ("0x" if style == 1 else "") + v.hex().upper()
        return lambda v: v.decode("cp1252", "replace")
    if origin in TEMPORALS:
        chosen = style if style is not None else (0 if origin in ("datetime", "smalldatetime") else 121)
        if chosen == 0 and style is None and origin in ("datetime", "smalldatetime"):
            chosen = 100

        def from_temporal(value: str) -> str:
            text = styled(value, origin, scale, chosen)
            if text is None:
                raise SqlError(281, f"{chosen} is not a valid style number when converting from {origin} to a character string.")
            return text

        return from_temporal
    raise sql_error(529, origin, "nvarchar")


# --- others ---


def _to_binary(source: SqlType, target: SqlType, style: int | None, cut: bool) -> Converter:
    origin, length = source.name, target.length
    pad = target.name == "binary"

    def fit(data: bytes) -> bytes:
        if length > 0:
            if cut:
                data = data[:length]
            if pad:
                data = data.ljust(length, b"\0")
        return data

    def fit_left(data: bytes) -> bytes:
        return (data[:length] if cut else data).rjust(length, b"\0") if pad and length > 0 else fit(data)

    if origin in BINARIES:
        return fit
    if origin in STRINGS:
        if style not in (None, 0, 1, 2):
            raise sql_error(9809, style, display(source, False), "varbinary")
        if style in (1, 2):

            def from_hex(text: str) -> bytes:
                digits = text.strip()
                if style == 1:
                    if digits[:2].lower() != "0x":
                        raise sql_error(8114, display(source, False), target.name)
                    digits = digits[2:]
                try:
                    return fit(bytes.fromhex(digits))
                except ValueError:
                    raise sql_error(8114, display(source, False), target.name) from None

            return from_hex
        if origin in UNICODE_STRINGS:
            return lambda v: fit(encoded(v))
        return lambda v: fit(v.encode("cp1252", "replace"))
    if origin in INTEGERS:
        size = {"bit": 1, "tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}[origin]

        def from_integer(value: int) -> bytes:
            data = value.to_bytes(size, "big", signed=origin not in ("bit", "tinyint"))
            if length > 0 and len(data) > length:
                data = data[-length:]
            return data.rjust(length, b"\0") if pad and length > 0 else data

        return from_integer
    if origin == "uniqueidentifier":
        return lambda v: fit(uuid.UUID(v).bytes_le)

    def fit_right(data: bytes) -> bytes:
        if length > 0:
            data = data[-length:] if cut else data
        return data.rjust(length, b"\0") if pad and length > 0 else data

    if origin in ("money", "smallmoney"):
        size = 8 if origin == "money" else 4
        return lambda v: fit_right(int(decode_decimal(v).scaleb(4)).to_bytes(size, "big", signed=True))
    if origin in DECIMALS:
        return lambda v: fit_left(bytes_of_decimal(decode_decimal(v), source.precision, source.scale))
    if origin in FLOATS:
        return lambda v: fit_right(bytes_of_float(v, origin == "real"))
    if origin in ("datetime", "smalldatetime"):
        return lambda v: fit_right(bytes_of_datetime(v, origin == "smalldatetime"))
    if origin in TEMPORALS:
        raise unsupported(f"CAST of {origin} as a binary type")
    raise refused(source, target)


def _to_guid(source: SqlType) -> Converter:
    origin = source.name
    if origin == "uniqueidentifier":
        return lambda v: v
    if origin in STRINGS:

        def from_text(text: str) -> str:
            candidate = text.strip()
            if candidate[:1] == "{" and candidate[-1:] == "}":
                candidate = candidate[1:-1]
            candidate = candidate[:36]
            try:
                if len(candidate) != 36 or candidate[8] + candidate[13] + candidate[18] + candidate[23] != "----":
                    raise ValueError
                return str(uuid.UUID(candidate)).upper()
            except ValueError:
                raise sql_error(8169) from None

        return from_text
    if origin in BINARIES:
        return lambda v: str(uuid.UUID(bytes_le=v[:16].ljust(16, b"\0"))).upper()
    raise sql_error(529, display(source, False), "uniqueidentifier")


def _to_temporal(source: SqlType, target: SqlType, style: int | None) -> Converter:
    origin, to, scale = source.name, target.name, target.scale
    if origin in STRINGS:
        old = to in ("datetime", "smalldatetime")

        def styled_text(text: str) -> str:
            return text if style is None else canonical(text, style, old)

        def from_text(text: str) -> str:
            ticks, offset = datetimes.parse(text)
            return datetimes.make(ticks, offset, to, scale)

        def from_text_of_old(text: str) -> str:
            if datetimes.LONG_FRACTION.search(text):
                raise sql_error(241)
            try:
                return from_text(text)
            except SqlError as error:
                if error.number == 241 and datetimes.has_shape(text):
                    raise sql_error(242, display(source, False), to) from None
                raise

        def from_text_of_small(text: str) -> str:
            try:
                return from_text_of_old(styled_text(text))
            except SqlError as error:
                if error.number == 241:
                    raise sql_error(295) from None
                raise

        if to == "smalldatetime":
            return from_text_of_small
        read = from_text_of_old if old else from_text
        return lambda v: read(styled_text(v))
    if origin == "datetimeoffset":
        if to == "datetimeoffset":
            return lambda v: datetimes.make(datetimes.local_ticks(v), datetimes.offset_minutes(v), to, scale)
        return lambda v: datetimes.make(datetimes.local_ticks(v), None, to, scale)
    if origin == "time" and to in INSTANTS | {"datetimeoffset"}:
        return lambda v: datetimes.make(datetimes.ticks_of(v) + datetimes.ticks_of("1900-01-01"), None, to, scale)
    if origin == "time" and to == "date" or origin == "date" and to == "time":
        raise refused(source, target)
    if origin in TEMPORALS:
        if (
            origin in INSTANTS
            and to == "datetime2"
            and (
                scale == 7
                or source.name in ("datetime", "smalldatetime")
                and scale >= 3
                or source.name == "datetime2"
                and scale >= source.scale
            )
        ):
            return lambda v: v
        return lambda v: datetimes.make(datetimes.ticks_of(v), None, to, scale)
    if origin in BINARIES:
        if to in ("datetime", "smalldatetime"):
            return lambda v: datetimes.make(ticks_of_datetime(v, to == "smalldatetime"), None, to, scale)

        def from_bytes_of_tools(data: bytes) -> str:
            ticks, offset = ticks_of_new_date(data, target)
            return datetimes.make(ticks, offset, to, scale)

        return from_bytes_of_tools
    if origin in NUMBERS and to in ("datetime", "smalldatetime"):
        base = datetimes.ticks_of("1900-01-01")

        def from_number(value: Any) -> str:
            days = decode_decimal(value) if origin in DECIMALS else Decimal(repr(value))
            return datetimes.make(base + int(days * datetimes.TICKS_DAY), None, to, scale)

        return from_number
    raise refused(source, target)
