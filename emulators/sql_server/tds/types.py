"""TYPE_INFO: how a type is declared on the wire."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from emulators.sql_server.tds.reader import ByteReader
from emulators.sql_server.tds.temporal import time_size
from emulators.sql_server.values.results import Column, SqlError, SqlType
from emulators.sql_server.values.utf16 import encoded

COLLATION = bytes.fromhex("0904d00034")
"""SQL_Latin1_General_CP1_CI_AS: code page 1252 for char and varchar."""

_MAX = 0xFFFF
_INTEGER_SIZE = {"tinyint": 1, "smallint": 2, "int": 4, "bigint": 8}
_INTEGER_NAME = {size: name for name, size in _INTEGER_SIZE.items()}
_SIZED = {"nvarchar": 0xE7, "varchar": 0xA7, "nchar": 0xEF, "char": 0xAF, "varbinary": 0xA5, "binary": 0xAD}
_SIZED_NAME = {token: name for name, token in _SIZED.items()}
DECIMALS = {"decimal": 0x6A, "numeric": 0x6C}
_DECIMAL_NAME = {token: name for name, token in DECIMALS.items()}
_SCALED = {"time": 0x29, "datetime2": 0x2A, "datetimeoffset": 0x2B}
_SCALED_NAME = {token: name for name, token in _SCALED.items()}
_SIMPLE = {
    "bit": b"\x68\x01",
    "money": b"\x6e\x08",
    "smallmoney": b"\x6e\x04",
    "uniqueidentifier": b"\x24\x10",
    "date": b"\x28",
    "datetime": b"\x6f\x08",
    "smalldatetime": b"\x6f\x04",
    "xml": b"\xf1\x00",
    "sql_variant": b"\x62" + struct.pack("<I", 8009),
}
_FIXED = {
    0x30: ("tinyint", 1),
    0x32: ("bit", 1),
    0x34: ("smallint", 2),
    0x38: ("int", 4),
    0x7F: ("bigint", 8),
    0x3B: ("real", 4),
    0x3E: ("float", 8),
    0x3A: ("smalldatetime", 4),
    0x3D: ("datetime", 8),
    0x7A: ("smallmoney", 4),
    0x3C: ("money", 8),
}
_FIXED_TOKEN = {name: token for token, (name, _) in _FIXED.items()}
_LONG = {0x22: "image", 0x23: "text", 0x63: "ntext"}
_LONG_TOKEN = {name: token for token, name in _LONG.items()}
_LONG_SIZE = {"image": 0x7FFFFFFF, "text": 0x7FFFFFFF, "ntext": 0x7FFFFFFE}
VARIANT_TOKEN = 0x62
_UNSUPPORTED = {0xF0: "CLR user-defined", 0xF3: "table-valued", 0xF4: "json", 0xF5: "vector"}


def b_varchar(text: str) -> bytes:
    """A string after its length in characters in one byte."""
    data = encoded(text)
    return bytes([len(data) // 2]) + data


def us_varchar(text: str) -> bytes:
    """A string after its length in characters in two bytes."""
    data = encoded(text)
    return struct.pack("<H", len(data) // 2) + data


def decimal_size(precision: int) -> int:
    """Bytes of a decimal on the wire, the sign included."""
    return 5 if precision <= 9 else 9 if precision <= 19 else 13 if precision <= 28 else 17


def canonical(sql_type: SqlType) -> SqlType:
    """The type as it travels: synonyms resolved, defaults filled in, lengths past the limit made MAX.

    text, ntext and image become their (MAX) types: their text pointers have no use outside READTEXT.
    """
    name, length = sql_type.name.lower(), sql_type.length
    if name in DECIMALS:
        return SqlType(name, 0, sql_type.precision or 18, sql_type.scale)
    if name == "float" and 0 < sql_type.precision <= 24:
        return SqlType("real")
    if name == "sysname":
        return SqlType("nvarchar", 128)
    if name in ("rowversion", "timestamp"):
        return SqlType("binary", 8)
    if name in ("text", "ntext", "image"):
        return SqlType({"text": "varchar", "ntext": "nvarchar", "image": "varbinary"}[name], -1)
    if name in _SIZED:
        limit = 4000 if name[0] == "n" else 8000
        if length > limit and name in ("char", "nchar", "binary"):
            raise ValueError(f"{name}({length}) is longer than the limit of {limit}")
        return SqlType(name, -1 if length < 0 or length > limit else length or 1)
    if name in _SCALED:
        return SqlType(name, 0, 0, sql_type.scale)
    return SqlType(name)


def write_type_info(sql_type: SqlType) -> bytes:
    """TYPE_INFO of a column or return value.

    Raises:
        ValueError: the type does not exist on the wire.
    """
    sql_type = canonical(sql_type)
    name = sql_type.name
    if name in _SIMPLE:
        return _SIMPLE[name]
    if name in _INTEGER_SIZE:
        return bytes([0x26, _INTEGER_SIZE[name]])
    if name in ("float", "real"):
        return bytes([0x6D, 8 if name == "float" else 4])
    if name in DECIMALS:
        return bytes([DECIMALS[name], decimal_size(sql_type.precision), sql_type.precision, sql_type.scale])
    if name in _SCALED:
        return bytes([_SCALED[name], sql_type.scale])
    if name in _SIZED:
        if sql_type.length < 0:
            size = _MAX
        else:
            size = sql_type.length * 2 if name[0] == "n" else sql_type.length
        return struct.pack("<BH", _SIZED[name], size) + (b"" if name.endswith("binary") else COLLATION)
    raise ValueError(f"type {sql_type.name!r} has no form on the wire")


def is_fixed(column: Column) -> bool:
    """Whether values of the column travel without a length: SqlClient expects it of every NOT NULL column of these types."""
    return not column.nullable and canonical(column.type).name in _FIXED_TOKEN


def is_chunked(sql_type: SqlType) -> bool:
    """Whether values of the type travel in chunks."""
    kind = canonical(sql_type)
    return kind.name == "xml" or kind.length < 0


def write_column_type(column: Column) -> bytes:
    """TYPE_INFO of a result column, with the table of a text, ntext or image.

    Raises:
        ValueError: the type does not exist on the wire.
    """
    if is_fixed(column):
        return bytes([_FIXED_TOKEN[canonical(column.type).name]])
    name = column.type.name
    if name in _LONG_TOKEN:
        collation = b"" if name == "image" else COLLATION
        parts = b"".join(us_varchar(part) for part in column.origin)
        return struct.pack("<BI", _LONG_TOKEN[name], _LONG_SIZE[name]) + collation + bytes([len(column.origin)]) + parts
    return write_type_info(column.type)


@dataclass(frozen=True, slots=True)
class WireType:
    """A type that a client declared: token, declared size in bytes (-1 is MAX, sent in chunks) and SQL type."""

    token: int
    size: int
    sql_type: SqlType

    @property
    def fixed(self) -> bool:
        """Whether values come without a length."""
        return self.token in _FIXED or self.token == 0x1F

    @property
    def long(self) -> bool:
        """Whether values come with a four-byte length (text, ntext, image)."""
        return self.token in _LONG


def read_type_info(reader: ByteReader) -> WireType:
    """TYPE_INFO of a parameter.

    Raises:
        SqlError: 8009, the type is unknown or not supported; the rest of the request cannot be read.
    """
    token = reader.u8()
    if token in _FIXED:
        name, size = _FIXED[token]
        return WireType(token, size, SqlType(name))
    if token == 0x1F:
        return WireType(token, 0, SqlType("nvarchar", 1))
    if token == 0x26:
        size = reader.u8()
        if size in _INTEGER_NAME:
            return WireType(token, size, SqlType(_INTEGER_NAME[size]))
    elif token == 0x68:
        return WireType(token, reader.u8(), SqlType("bit"))
    elif token == 0x6D:
        size = reader.u8()
        return WireType(token, size, SqlType("float" if size == 8 else "real"))
    elif token == 0x6E:
        size = reader.u8()
        return WireType(token, size, SqlType("money" if size == 8 else "smallmoney"))
    elif token == 0x6F:
        size = reader.u8()
        return WireType(token, size, SqlType("datetime" if size == 8 else "smalldatetime"))
    elif token == 0x24:
        return WireType(token, reader.u8(), SqlType("uniqueidentifier"))
    elif token in _DECIMAL_NAME:
        size, precision, scale = reader.take(3)
        return WireType(token, size, SqlType(_DECIMAL_NAME[token], 0, precision, scale))
    elif token == 0x28:
        return WireType(token, 3, SqlType("date"))
    elif token in _SCALED_NAME:
        scale = reader.u8()
        return WireType(token, time_size(scale), SqlType(_SCALED_NAME[token], 0, 0, scale))
    elif token in _SIZED_NAME:
        return _read_sized(reader, token)
    elif token in _LONG:
        reader.u32()
        if token != 0x22:
            reader.take(len(COLLATION))
        return WireType(token, 0, SqlType(_LONG[token], -1))
    elif token == VARIANT_TOKEN:
        return WireType(token, reader.u32(), SqlType("sql_variant"))
    elif token == 0xF1:
        if reader.u8():
            (
                reader.b_varchar(),
                reader.b_varchar(),
                reader.us_varchar(),
            )  # the schema collection's database, owner and name
        return WireType(token, -1, SqlType("xml"))
    what = (
        f"{_UNSUPPORTED[token]} parameters are not supported by the emulator" if token in _UNSUPPORTED else "Data type is unknown"
    )
    raise SqlError(
        8009,
        "The incoming tabular data stream (TDS) remote procedure call (RPC) protocol stream is incorrect. "
        f"Data type 0x{token:02X}: {what}.",
    )


def read_variant_type(token: int, properties: ByteReader) -> SqlType:
    """The base type of a sql_variant; ``properties`` are the bytes that describe it.

    Raises:
        ValueError: the type cannot be that of a sql_variant.
        ProtocolError: bytes are missing.
    """
    if token in _FIXED:
        return SqlType(_FIXED[token][0])
    if token == 0x24:
        return SqlType("uniqueidentifier")
    if token == 0x28:
        return SqlType("date")
    if token in _DECIMAL_NAME:
        return SqlType(_DECIMAL_NAME[token], 0, properties.u8(), properties.u8())
    if token in _SCALED_NAME:
        return SqlType(_SCALED_NAME[token], 0, 0, properties.u8())
    if token in _SIZED_NAME:
        name = _SIZED_NAME[token]
        if not name.endswith("binary"):
            properties.take(len(COLLATION))
        size = properties.u16()
        return SqlType(name, max(1, size // 2 if name[0] == "n" else size))
    raise ValueError(f"no base type of a sql_variant: 0x{token:02X}")


def _read_sized(reader: ByteReader, token: int) -> WireType:
    name, size = _SIZED_NAME[token], reader.u16()
    if not name.endswith("binary"):
        reader.take(len(COLLATION))
    if size == _MAX:
        return WireType(token, -1, SqlType(name, -1))
    return WireType(token, size, SqlType(name, max(1, size // 2 if name[0] == "n" else size)))
