"""Types and values as the grammar of TDS 7.4 has them, for :mod:`emulators.tests.tds.grammar`.

Values come out as Python values: numbers, str, bytes, UUID, and numbers of days and ticks (100 ns) for dates and times.
"""

from __future__ import annotations

import itertools
import struct
import uuid
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

_DAYS, _TICKS = 3_652_059, 864_000_000_000  # of the years 1 to 9999, and of a day
_FIXED = {
    0x30: ("tinyint", 1),
    0x32: ("bit", 1),
    0x34: ("smallint", 2),
    0x38: ("int", 4),
    0x3A: ("smalldatetime", 4),
    0x3B: ("real", 4),
    0x3C: ("money", 8),
    0x3D: ("datetime", 8),
    0x3E: ("float", 8),
    0x7A: ("smallmoney", 4),
    0x7F: ("bigint", 8),
}
_NULLABLE = {
    0x26: {1: "tinyint", 2: "smallint", 4: "int", 8: "bigint"},
    0x68: {1: "bit"},
    0x6D: {4: "real", 8: "float"},
    0x6E: {4: "smallmoney", 8: "money"},
    0x6F: {4: "smalldatetime", 8: "datetime"},
}
_SIZED = {0xA5: "varbinary", 0xA7: "varchar", 0xAD: "binary", 0xAF: "char", 0xE7: "nvarchar", 0xEF: "nchar"}
_SCALED = {0x29: "time", 0x2A: "datetime2", 0x2B: "datetimeoffset"}
_DECIMALS = {0x6A: "decimal", 0x6C: "numeric"}
_LONG = {0x22: ("image", 0x7FFFFFFF), 0x23: ("text", 0x7FFFFFFF), 0x63: ("ntext", 0x7FFFFFFE)}
_MAX = 0xFFFF


class GrammarError(AssertionError):
    """No server sends this."""


def check(holds: bool, message: str) -> None:
    """Raises GrammarError unless ``holds``."""
    if not holds:
        raise GrammarError(message)


class Cursor:
    """Reads through the bodies of packets."""

    def __init__(self, packets: list[bytes]) -> None:
        self.data, self.position = b"".join(packets), 0
        self.packet_ends = list(itertools.accumulate(map(len, packets)))

    @property
    def more(self) -> bool:
        return self.position < len(self.data)

    def take(self, count: int) -> bytes:
        check(self.position + count <= len(self.data), "the answer ends too early")
        self.position += count
        return self.data[self.position - count : self.position]

    def take_chunk(self, count: int) -> bytes:
        """Bytes of one chunk, which must not go on in the next packet."""
        end = self.position + count
        check(not any(self.position < packet_end < end for packet_end in self.packet_ends), "a chunk that crosses packets")
        return self.take(count)

    def u8(self) -> int:
        return self.take(1)[0]

    def u16(self) -> int:
        return int.from_bytes(self.take(2), "little")

    def u32(self) -> int:
        return int.from_bytes(self.take(4), "little")

    def u64(self) -> int:
        return int.from_bytes(self.take(8), "little")

    def b_varchar(self) -> str:
        return self.take(2 * self.u8()).decode("utf-16-le", "surrogatepass")

    def us_varchar(self) -> str:
        return self.take(2 * self.u16()).decode("utf-16-le", "surrogatepass")


@dataclass(frozen=True)
class Metadata:
    """TYPE_INFO. ``size`` in bytes; -1: it travels in chunks."""

    name: str
    size: int
    precision: int = 0
    scale: int = 0
    fixed: bool = False
    """Values come without a length."""

    @property
    def has_fixed_form(self) -> bool:
        """A NOT NULL column of it has values without a length."""
        return any(self.name == name for name, _ in _FIXED.values())

    @property
    def long(self) -> bool:
        """text, ntext or image."""
        return any(self.name == name for name, _ in _LONG.values())


def read_type(cursor: Cursor) -> Metadata:
    """TYPE_INFO. Raises GrammarError."""
    token = cursor.u8()
    if token in _FIXED:
        return Metadata(*_FIXED[token], fixed=True)
    if token in _NULLABLE:
        size = cursor.u8()
        check(size in _NULLABLE[token], f"type 0x{token:02X} of {size} bytes")
        return Metadata(_NULLABLE[token][size], size)
    if token == 0x24:
        check(cursor.u8() == 16, "a uniqueidentifier that has not 16 bytes")
        return Metadata("uniqueidentifier", 16)
    if token == 0x28:
        return Metadata("date", 3)
    if token in _SCALED:
        return _scaled(token, cursor.u8())
    if token in _DECIMALS:
        size = cursor.u8()
        kind = _decimal(token, cursor.u8(), cursor.u8())
        check(size == kind.size, f"{kind} in {size} bytes")
        return kind
    if token in _SIZED:
        size = cursor.u16()
        _collation(token, cursor)
        return _sized(token, size)
    if token in _LONG:
        name, most = _LONG[token]
        check(cursor.u32() == most, f"the length of {name}")
        _collation(token, cursor)
        return Metadata(name, most)
    if token == 0xF1:
        check(cursor.u8() == 0, "xml of a schema")
        return Metadata("xml", -1)
    check(token == 0x62, f"type 0x{token:02X}")
    check(cursor.u32() == 8009, "the length of sql_variant")
    return Metadata("sql_variant", 8009)


def _scaled(token: int, scale: int) -> Metadata:
    check(scale <= 7, f"scale {scale}")
    extra = {"time": 0, "datetime2": 3, "datetimeoffset": 5}[_SCALED[token]]
    return Metadata(_SCALED[token], (3 if scale < 3 else 4 if scale < 5 else 5) + extra, 0, scale)


def _decimal(token: int, precision: int, scale: int) -> Metadata:
    check(1 <= precision <= 38 and scale <= precision, f"decimal({precision}, {scale})")
    size = next(size for most, size in ((9, 5), (19, 9), (28, 13), (38, 17)) if precision <= most)
    return Metadata(_DECIMALS[token], size, precision, scale)


def _sized(token: int, size: int) -> Metadata:
    name = _SIZED[token]
    if size == _MAX:
        check("var" in name, f"{name}(max)")
        return Metadata(name, -1)
    check(0 < size <= 8000 and not (name[0] == "n" and size % 2), f"{name} of {size} bytes")
    return Metadata(name, size)


def _collation(token: int, cursor: Cursor) -> None:
    if token not in (0x22, 0xA5, 0xAD):
        check(cursor.u32() & 0xFFFFF != 0, "a collation without a locale")
        cursor.u8()


def read_value(cursor: Cursor, kind: Metadata) -> Any:
    """A value as it stands in a row; None for NULL. Raises GrammarError."""
    if kind.fixed:
        return _decoded(kind, cursor.take(kind.size))
    if kind.size == -1:
        data = _chunks(cursor)
        return None if data is None else _decoded(kind, data)
    if kind.long:
        pointer = cursor.u8()
        if pointer == 0:
            return None
        check(pointer == 16, f"a text pointer of {pointer} bytes")
        cursor.take(16 + 8)
        return _decoded(kind, cursor.take(cursor.u32()))
    if kind.name == "sql_variant":
        return _variant(cursor)
    if kind.name in _SIZED.values():
        size = cursor.u16()
        return None if size == _MAX else _decoded(kind, cursor.take(size))
    size = cursor.u8()
    check(size in (0, kind.size), f"{kind.name} of {size} bytes")
    return _decoded(kind, cursor.take(size)) if size else None


def _chunks(cursor: Cursor) -> bytes | None:
    total = cursor.u64()
    if total == 0xFFFFFFFFFFFFFFFF:
        return None
    data = b""
    while size := cursor.u32():
        data += cursor.take_chunk(size)
    check(total in (len(data), 0xFFFFFFFFFFFFFFFE), f"{len(data)} bytes, {total} announced")
    return data


def _variant(cursor: Cursor) -> Any:
    size = cursor.u32()
    if size == 0:
        return None
    inner = Cursor([cursor.take(size)])
    token, about = inner.u8(), inner.u8()
    properties = Cursor([inner.take(about)])
    if token in _FIXED:
        kind = Metadata(*_FIXED[token], fixed=True)
    elif token in (0x24, 0x28):
        kind = Metadata(*(("uniqueidentifier", 16) if token == 0x24 else ("date", 3)))
    elif token in _SCALED:
        kind = _scaled(token, properties.u8())
    elif token in _DECIMALS:
        kind = _decimal(token, properties.u8(), properties.u8())
    else:
        check(token in _SIZED, f"sql_variant of type 0x{token:02X}")
        _collation(token, properties)
        kind = _sized(token, properties.u16())
    check(not properties.more and kind.size != -1, "properties of a sql_variant")
    data = inner.take(size - inner.position)
    check(kind.name in _SIZED.values() or len(data) == kind.size, f"sql_variant: {kind.name} of {len(data)} bytes")
    return kind.name, _decoded(kind, data)


def _decoded(kind: Metadata, data: bytes) -> Any:
    name = kind.name
    if name in ("nvarchar", "nchar", "ntext", "xml"):
        check(len(data) % 2 == 0, f"{name} with half a character")
        text = data.decode("utf-16-le", "surrogatepass")
        _check_length(kind, data)
        return text
    if name in ("varchar", "char", "text"):
        _check_length(kind, data)
        return data.decode("cp1252")
    if name in ("varbinary", "binary", "image"):
        _check_length(kind, data)
        return data
    if name in ("tinyint", "smallint", "int", "bigint"):
        return int.from_bytes(data, "little", signed=name != "tinyint")
    if name == "bit":
        check(data[0] < 2, "a bit that is neither 0 nor 1")
        return data[0]
    if name in ("real", "float"):
        number: float = struct.unpack("<f" if name == "real" else "<d", data)[0]
        check(abs(number) < float("inf"), f"{number}")
        return number
    if name in ("decimal", "numeric"):
        return _read_decimal(kind, data)
    if name == "smallmoney":
        return Decimal(int.from_bytes(data, "little", signed=True)).scaleb(-4)
    if name == "money":
        high, low = struct.unpack("<iI", data)
        return Decimal(high * 2**32 + low).scaleb(-4)
    if name == "uniqueidentifier":
        return uuid.UUID(bytes_le=data)
    return _read_instant(kind, data)


def _check_length(kind: Metadata, data: bytes) -> None:
    if kind.size > 0:
        check(len(data) <= kind.size, f"{kind.name} of {len(data)} bytes in {kind.size}")


def _read_decimal(kind: Metadata, data: bytes) -> Decimal:
    magnitude = int.from_bytes(data[1:], "little")
    check(data[0] < 2 and magnitude < 10**kind.precision, f"{kind.name}({kind.precision}, {kind.scale}): {magnitude}")
    sign = 0 if data[0] or not magnitude else 1
    return Decimal((sign, tuple(map(int, str(magnitude))), -kind.scale))


def _read_instant(kind: Metadata, data: bytes) -> Any:
    name, unit = kind.name, 10 ** (7 - kind.scale)
    if name == "date":
        return _days(int.from_bytes(data, "little"))
    if name == "smalldatetime":
        days, minutes = struct.unpack("<HH", data)
        return days, _ticks(minutes * 600_000_000)
    if name == "datetime":
        days, thirds = struct.unpack("<iI", data)
        check(-53_690 <= days < 2_958_464 and thirds < 25_920_000, f"datetime {days}, {thirds}")
        return days, thirds
    extra = {"time": 0, "datetime2": 3, "datetimeoffset": 5}[name]
    time = _ticks(int.from_bytes(data[: len(data) - extra], "little") * unit)
    if name == "time":
        return time
    days = _days(int.from_bytes(data[len(data) - extra :][:3], "little"))
    if name == "datetime2":
        return days, time
    offset = int.from_bytes(data[-2:], "little", signed=True)
    check(abs(offset) <= 840, f"an offset of {offset} minutes")
    return days, time, offset


def _days(days: int) -> int:
    check(days < _DAYS, f"day {days}")
    return days


def _ticks(ticks: int) -> int:
    check(ticks < _TICKS, "a time of more than a day")
    return ticks
