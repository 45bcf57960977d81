"""Values on the wire: a function per type that writes a value of a row, and one that reads a parameter.

The Python side of each type stands in :mod:`emulators.sql_server.values.results`.
"""

from __future__ import annotations

import decimal
import math
import struct
import uuid
from collections.abc import Callable
from decimal import Decimal
from functools import lru_cache
from typing import Any

from emulators.sql_server.tds import temporal
from emulators.sql_server.tds.chunks import chunked
from emulators.sql_server.tds.reader import ByteReader, ProtocolError
from emulators.sql_server.tds.types import (
    COLLATION,
    DECIMALS,
    VARIANT_TOKEN,
    WireType,
    canonical,
    decimal_size,
    is_fixed,
    read_variant_type,
)
from emulators.sql_server.values.results import Column, SqlError, SqlType, Unpadded, UnpaddedBytes, Variant
from emulators.sql_server.values.utf16 import encoded

Encoder = Callable[[Any], bytes]

_WIDE = decimal.Context(prec=80)
_CODE_PAGE = "cp1252"
_BYTE_ORDER_MARK = "\ufeff"
_PLP_NULL = b"\xff" * 8
_PLP_UNKNOWN_LENGTH = 0xFFFFFFFFFFFFFFFE
_U16 = struct.Struct("<H")
_FIRST_DATETIME_DAY = -53_690  # 1753-01-01, counted from 1900
_MAX_OFFSET_MINUTES = 14 * 60
_INTEGERS = {"tinyint": (1, "<BB"), "smallint": (2, "<Bh"), "int": (4, "<Bi"), "bigint": (8, "<Bq")}


class ValueOutOfRange(SqlError):
    """Error 8115: the value does not fit the column's type."""

    def __init__(self, value: Any, type_name: str) -> None:
        super().__init__(8115, f"Arithmetic overflow error converting {value!r} to data type {type_name}.")


@lru_cache(maxsize=1024)
def encoder(sql_type: SqlType) -> Encoder:
    """The function that writes a value of that type as it stands in a ROW token.

    It raises :class:`ValueOutOfRange` for numbers that do not fit and ``ValueError`` for anything else that is not a
    value of the type: a row must never be changed silently on its way out.
    """
    sql_type = canonical(sql_type)
    name = sql_type.name
    if name in _INTEGERS:
        return _integer_encoder(name)
    if name == "bit":
        return lambda value: b"\x00" if value is None else b"\x01\x01" if value else b"\x01\x00"
    if name in ("float", "real"):
        size, pack = (8, struct.Struct("<Bd").pack) if name == "float" else (4, struct.Struct("<Bf").pack)
        return lambda value: b"\x00" if value is None else pack(size, value)
    if name in DECIMALS:
        return _decimal_encoder(sql_type)
    if name in ("money", "smallmoney"):
        return _money_encoder(name)
    if name == "uniqueidentifier":
        return lambda value: b"\x00" if value is None else b"\x10" + uuid.UUID(value).bytes_le
    if name in ("date", "time", "datetime", "smalldatetime", "datetime2", "datetimeoffset"):
        return _temporal_encoder(name, sql_type.scale)
    if name == "sql_variant":
        return _encode_variant
    if name == "xml":
        return _chunked_encoder(_encode_unicode)
    if name in ("nvarchar", "nchar"):
        raw: Encoder = _encode_unicode
        unit, pad = 2, b" \x00"
    elif name in ("varchar", "char"):
        raw, unit, pad = _encode_code_page, 1, b" "
    elif name in ("varbinary", "binary"):
        raw, unit, pad = _encode_binary, 1, b"\x00"
    else:
        raise ValueError(f"type {name!r} has no form on the wire")
    if sql_type.length < 0:
        return _chunked_encoder(raw)
    return _sized_encoder(sql_type, raw, unit, pad if name in ("nchar", "char", "binary") else b"")


def _encode_unicode(value: str) -> bytes:
    return encoded(value)


def _encode_binary(value: bytes) -> bytes:
    return bytes(value)


def _encode_code_page(value: str) -> bytes:
    return value.encode(_CODE_PAGE, "replace")


_LONG_ENCODERS: dict[str, Encoder] = {"text": _encode_code_page, "ntext": _encode_unicode, "image": _encode_binary}
_TEXT_POINTER = b"\x10" + b"dummy textptr\0\0\0" + b"dummyTS\0"


def _integer_encoder(name: str) -> Encoder:
    size, form = _INTEGERS[name]
    pack = struct.Struct(form).pack

    def encode(value: int | None) -> bytes:
        if value is None:
            return b"\x00"
        if not isinstance(value, int):
            raise ValueError(f"{value!r} is not an integer")
        try:
            data: bytes = pack(size, value)
        except struct.error:
            raise ValueOutOfRange(value, name) from None
        return data

    return encode


def _decimal_encoder(sql_type: SqlType) -> Encoder:
    size, scale, limit = decimal_size(sql_type.precision), sql_type.scale, 10**sql_type.precision

    def encode(value: Decimal | int | None) -> bytes:
        if value is None:
            return b"\x00"
        scaled = Decimal(value).scaleb(scale, _WIDE).to_integral_value(decimal.ROUND_HALF_UP, _WIDE)
        unscaled = int(scaled)
        magnitude = abs(unscaled)
        if magnitude >= limit:
            raise ValueOutOfRange(value, "numeric")
        return bytes((size, 0 if unscaled < 0 else 1)) + magnitude.to_bytes(size - 1, "little")

    return encode


def _money_encoder(name: str) -> Encoder:
    def encode(value: Decimal | int | None) -> bytes:
        if value is None:
            return b"\x00"
        scaled = int((Decimal(value) * 10000).to_integral_value(decimal.ROUND_HALF_UP))
        try:
            if name == "smallmoney":
                return struct.pack("<Bi", 4, scaled)
            return struct.pack("<BiI", 8, scaled >> 32, scaled & 0xFFFFFFFF)
        except struct.error:
            raise ValueOutOfRange(value, name) from None

    return encode


def _temporal_encoder(name: str, scale: int) -> Encoder:
    size = temporal.time_size(scale)
    unit: int = 10 ** (7 - scale)

    def date(value: str) -> bytes:
        return b"\x03" + temporal.days_of(value).to_bytes(3, "little")

    def time(value: str) -> bytes:
        return bytes((size,)) + (temporal.ticks_of(value) // unit).to_bytes(size, "little")

    def datetime2(value: str) -> bytes:
        days, ticks = temporal.split_datetime(value)
        return bytes((size + 3,)) + (ticks // unit).to_bytes(size, "little") + days.to_bytes(3, "little")

    def datetimeoffset(value: str) -> bytes:
        days, ticks, offset = temporal.split_datetimeoffset(value)
        ticks_and_days = (ticks // unit).to_bytes(size, "little") + days.to_bytes(3, "little")
        return bytes((size + 5,)) + ticks_and_days + struct.pack("<h", offset)

    def datetime(value: str) -> bytes:
        days, ticks = temporal.split_datetime(value)
        carry, thirds = divmod((ticks * 300 + temporal.TICKS_PER_SECOND // 2) // temporal.TICKS_PER_SECOND, 86_400 * 300)
        return struct.pack("<BiI", 8, days + carry - temporal.DAYS_TO_1900, thirds)

    def smalldatetime(value: str) -> bytes:
        days, ticks = temporal.split_datetime(value)
        try:
            return struct.pack("<BHH", 4, days - temporal.DAYS_TO_1900, ticks // temporal.TICKS_PER_MINUTE)
        except struct.error:
            raise ValueOutOfRange(value, "smalldatetime") from None

    encode = {
        "date": date,
        "time": time,
        "datetime2": datetime2,
        "datetimeoffset": datetimeoffset,
        "datetime": datetime,
        "smalldatetime": smalldatetime,
    }[name]
    return lambda value: b"\x00" if value is None else encode(value)


def _chunked_encoder(raw: Callable[[Any], bytes]) -> Encoder:
    return lambda value: _PLP_NULL if value is None else chunked(raw(value))


def _sized_encoder(sql_type: SqlType, raw: Callable[[Any], bytes], unit: int, pad: bytes) -> Encoder:
    limit = sql_type.length * unit

    def encode(value: Any) -> bytes:
        if value is None:
            return b"\xff\xff"
        data = raw(value)
        if len(data) > limit:
            raise ValueError(f"a value of {len(data) // unit} in a column of type {sql_type.name}({sql_type.length})")
        if pad and len(data) < limit and value.__class__ not in (Unpadded, UnpaddedBytes):
            data += pad * ((limit - len(data)) // unit)
        return _U16.pack(len(data)) + data

    return encode


_BASES = {
    "tinyint": 0x30,
    "bit": 0x32,
    "smallint": 0x34,
    "int": 0x38,
    "bigint": 0x7F,
    "real": 0x3B,
    "float": 0x3E,
    "smalldatetime": 0x3A,
    "datetime": 0x3D,
    "smallmoney": 0x7A,
    "money": 0x3C,
    "uniqueidentifier": 0x24,
    "date": 0x28,
}


def _encode_typed_variant(variant: Variant) -> bytes:
    kind, data = variant.type, encoder(variant.type)(variant.value)
    name = kind.name
    if name in _BASES:
        head, data = bytes((_BASES[name], 0)), data[1:]
    elif name in ("decimal", "numeric"):
        head, data = bytes((0x6A if name == "decimal" else 0x6C, 2, kind.precision, kind.scale)), data[1:]
    elif name in ("time", "datetime2", "datetimeoffset"):
        head, data = bytes(({"time": 0x29, "datetime2": 0x2A}.get(name, 0x2B), 1, kind.scale)), data[1:]
    elif name in ("varbinary", "binary"):
        head, data = struct.pack("<BBH", 0xA5 if name == "varbinary" else 0xAD, 2, kind.length), data[2:]
    else:
        token, unit = {"varchar": (0xA7, 1), "char": (0xAF, 1), "nvarchar": (0xE7, 2), "nchar": (0xEF, 2)}[name]
        head, data = bytes((token, 7)) + COLLATION + _U16.pack(kind.length * unit), data[2:]
    return struct.pack("<I", len(head) + len(data)) + head + data


def _encode_variant(value: Any) -> bytes:
    """A sql_variant; without a type, its base type follows from the Python value."""
    if value is None:
        return bytes(4)
    if isinstance(value, Variant):
        return _encode_typed_variant(value)
    if isinstance(value, int):
        small = -(2**31) <= value < 2**31
        body = struct.pack("<BBi" if small else "<BBq", 0x38 if small else 0x7F, 0, value)
    elif isinstance(value, float):
        body = struct.pack("<BBd", 0x3E, 0, value)
    elif isinstance(value, Decimal):
        scale = max(0, -int(value.as_tuple().exponent))
        body = bytes((0x6C, 2, 38, scale)) + encoder(SqlType("decimal", 0, 38, scale))(value)[1:]
    elif isinstance(value, bytes):
        body = struct.pack("<BBH", 0xA5, 2, 8000) + value
    else:
        body = b"\xe7\x07" + COLLATION + _U16.pack(8000) + _encode_unicode(str(value))
    return struct.pack("<I", len(body)) + body


@lru_cache(maxsize=512)
def row_encoders(columns: tuple[Column, ...]) -> tuple[Encoder, ...]:
    """The encoders of a row's columns."""
    return tuple(_column_encoder(column) for column in columns)


def _column_encoder(column: Column) -> Encoder:
    encode = encoder(column.type)
    if is_fixed(column):

        def without_length(value: Any) -> bytes:
            if value is None:
                raise ValueError("NULL in a column that was declared NOT NULL")
            return encode(value)[1:]

        return without_length
    if column.type.name in _LONG_ENCODERS:
        raw = _LONG_ENCODERS[column.type.name]
        return lambda value: b"\x00" if value is None else _TEXT_POINTER + struct.pack("<I", len(data := raw(value))) + data
    return encode


def _read_chunks(reader: ByteReader) -> bytes | None:
    total = reader.u64()
    if total == 0xFFFFFFFFFFFFFFFF:
        return None
    chunks = []
    while size := reader.u32():
        chunks.append(reader.take(size))
    data = b"".join(chunks)
    if total not in (len(data), _PLP_UNKNOWN_LENGTH):
        raise ProtocolError(f"a value of {len(data)} bytes was announced with {total}")
    return data


def _read_bytes(reader: ByteReader, wire_type: WireType) -> bytes | None:
    if wire_type.fixed:
        return reader.take(wire_type.size) if wire_type.size else None
    if wire_type.size == -1:
        return _read_chunks(reader)
    if wire_type.token == VARIANT_TOKEN:
        size = reader.u32()
        return reader.take(size) if size else None
    if wire_type.long:
        size = reader.i32()
        return None if size < 0 else reader.take(size)
    if wire_type.token > 0x80:
        size = reader.u16()
        return None if size == 0xFFFF else reader.take(size)
    size = reader.u8()
    return reader.take(size) if size else None


def read_value(reader: ByteReader, wire_type: WireType, place: str = "Parameter") -> Any:
    """The value of a parameter whose type was read before; None for NULL. ``place`` names it in errors.

    Raises:
        SqlError: 8023, the bytes are no value of the type.
    """
    data = _read_bytes(reader, wire_type)
    if data is None:
        return None
    try:
        return _decode_variant(data) if wire_type.token == VARIANT_TOKEN else _decode(data, wire_type.sql_type)
    except (ValueError, OverflowError, IndexError, struct.error, ProtocolError) as error:
        raise SqlError(
            8023,
            f"The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. {place}: "
            f"The supplied value is not a valid instance of data type {wire_type.sql_type.name}. Check the source data for invalid "
            "values. An example of an invalid value is data of numeric type with scale greater than precision.",
        ) from error


def _decode_variant(data: bytes) -> Variant:
    """A sql_variant: the token of its base type, the bytes that describe it, and a value without a length."""
    reader = ByteReader(data)
    token, size = reader.u8(), reader.u8()
    kind = read_variant_type(token, ByteReader(reader.take(size)))
    return Variant(kind, _decode(reader.take(len(data) - reader.position), kind))


def _decode(data: bytes, sql_type: SqlType) -> Any:
    name, scale = sql_type.name, sql_type.scale
    if name == "xml":
        return data.decode("utf-16-le", "surrogatepass").removeprefix(_BYTE_ORDER_MARK)
    if name in ("nvarchar", "nchar", "ntext"):
        return data.decode("utf-16-le", "surrogatepass")
    if name in ("varchar", "char", "text"):
        return data.decode(_CODE_PAGE, "replace")
    if name in ("varbinary", "binary", "image"):
        return bytes(data)
    if name in _INTEGERS:
        return int.from_bytes(data, "little", signed=name != "tinyint")
    if name == "bit":
        return int(data[0] != 0)
    if name in ("float", "real"):
        number: float = struct.unpack("<d" if len(data) == 8 else "<f", data)[0]
        if not math.isfinite(number):
            raise ValueError(f"{number} is no {name}")
        return number
    if name in DECIMALS:
        if not 0 <= scale <= sql_type.precision <= 38 or int.from_bytes(data[1:], "little") >= 10**sql_type.precision:
            raise ValueError(f"no {name}({sql_type.precision}, {scale})")
        magnitude = Decimal(int.from_bytes(data[1:], "little")).scaleb(-scale, _WIDE)
        return magnitude if data[0] else magnitude.copy_negate()  # unary minus would round to 28 digits
    if name == "smallmoney":
        return Decimal(struct.unpack("<i", data)[0]).scaleb(-4, _WIDE)
    if name == "money":
        high, low = struct.unpack("<iI", data)
        return Decimal((high << 32) + low).scaleb(-4, _WIDE)
    if name == "uniqueidentifier":
        return str(uuid.UUID(bytes_le=bytes(data))).upper()
    return _decode_temporal(data, name, scale)


def _decode_temporal(data: bytes, name: str, scale: int) -> str:
    if name == "date":
        return temporal.date_text(int.from_bytes(data, "little"))
    if name == "smalldatetime":
        days, minutes = struct.unpack("<HH", data)
        ticks = _within_a_day(minutes * temporal.TICKS_PER_MINUTE)
        return f"{temporal.date_text(days + temporal.DAYS_TO_1900)} {temporal.time_text(ticks, 0)}"
    if name == "datetime":
        days, thirds = struct.unpack("<iI", data)
        if days < _FIRST_DATETIME_DAY or thirds >= 300 * 86_400:
            raise ValueError("no datetime")
        milliseconds = (thirds * 1000 + 150) // 300
        return f"{temporal.date_text(days + temporal.DAYS_TO_1900)} {temporal.time_text(milliseconds * 10_000, 3)}"
    unit = 10 ** (7 - scale)
    if name == "time":
        return temporal.time_text(_within_a_day(int.from_bytes(data, "little") * unit), scale)
    if name == "datetime2":
        ticks, days = _within_a_day(int.from_bytes(data[:-3], "little") * unit), int.from_bytes(data[-3:], "little")
        return f"{temporal.date_text(days)} {temporal.time_text(ticks, scale)}"
    if name == "datetimeoffset":
        ticks, days = _within_a_day(int.from_bytes(data[:-5], "little") * unit), int.from_bytes(data[-5:-2], "little")
        offset: int = struct.unpack("<h", data[-2:])[0]
        if abs(offset) > _MAX_OFFSET_MINUTES:
            raise ValueError(f"an offset of {offset} minutes")
        return temporal.datetimeoffset_text(days, ticks, offset, scale)
    raise ValueError(f"type {name!r} has no form on the wire")


def _within_a_day(ticks: int) -> int:
    if ticks >= temporal.TICKS_PER_DAY:
        raise ValueError("a time of more than a day")
    return ticks
