"""Numbers and dates as bytes: what CAST between them and the binary types reads and writes."""

from __future__ import annotations

import struct
from datetime import date
from decimal import Decimal

from emulators.sql_server.values import datetimes
from emulators.sql_server.values.datatypes import decimal_context
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

_BASE_1900 = date(1900, 1, 1).toordinal()
_DAY_THIRDS = 86_400 * 300


# --- numbers ---


def integer_of(data: bytes, size: int, signed: bool) -> int:
    """The last bytes, as many as the type has; nothing overflows."""
    return int.from_bytes(data[-size:].rjust(size, b"\0"), "big", signed=signed)


def bytes_of_decimal(value: Decimal, precision: int, scale: int) -> bytes:
    """Precision, scale, 0, sign (1: not negative), then the digits, little-endian in words of four bytes."""
    digits = int(value.copy_abs().scaleb(scale, decimal_context()))
    size = max(1, -(-digits.bit_length() // 32)) * 4
    return bytes([precision, scale, 0, int(value >= 0)]) + digits.to_bytes(size, "little")


def decimal_of(data: bytes, shown: str) -> Decimal:
    """Raises SqlError 8114."""
    if len(data) >= 5:
        precision, scale, zero, sign = data[:4]
        digits = int.from_bytes(data[4:], "little")
        fits = 1 <= precision <= 38 and scale <= precision and digits < 10**precision
        if fits and zero == 0 and sign in (0, 1) and (sign or digits):
            return Decimal(digits if sign else -digits).scaleb(-scale, decimal_context())
    raise sql_error(8114, shown, "numeric")


def bytes_of_float(value: float, single: bool) -> bytes:
    return struct.pack(">f" if single else ">d", value)


# --- dates ---


def bytes_of_datetime(text: str, small: bool) -> bytes:
    """Days since 1900 and thirds of 10 ms (smalldatetime: minutes), big-endian."""
    days, rest = divmod(datetimes.ticks_of(text), datetimes.TICKS_DAY)
    days += 1 - _BASE_1900
    if small:
        return struct.pack(">HH", days, rest // (60 * datetimes.TICKS_SECOND))
    return struct.pack(">iI", days, round(rest * 3 / 100_000))


def ticks_of_datetime(data: bytes, small: bool) -> int:
    """Raises SqlError 210."""
    size = 4 if small else 8
    days, rest = struct.unpack(">HH" if small else ">iI", data[-size:].rjust(size, b"\0"))
    unit = 60 * datetimes.TICKS_SECOND
    if rest >= (24 * 60 if small else _DAY_THIRDS) or not 1 <= days + _BASE_1900 <= date.max.toordinal():
        raise SqlError(210, "Conversion failed when converting datetime from binary/varbinary string.")
    clock = rest * unit if small else round(rest * 100_000 / 3)
    return (days + _BASE_1900 - 1) * datetimes.TICKS_DAY + clock


def ticks_of_new_date(data: bytes, target: SqlType) -> tuple[int, int | None]:
    """Local ticks and offset out of the form that scripts of SQL Server's tools write: scale, time, date, offset, little-endian.

    Raises SqlError 241.
    """
    if target.name == "date":
        if len(data) != 3:
            raise sql_error(241)
        return _day_ticks(data), None
    scale = data[0] if data else 8
    size = 3 if scale <= 2 else 4 if scale <= 4 else 5
    wanted = 1 + size + {"time": 0, "datetime2": 3, "datetimeoffset": 5}[target.name]
    if scale > 7 or len(data) != wanted:
        raise sql_error(241)
    clock = int.from_bytes(data[1 : 1 + size], "little") * 10 ** (7 - scale)
    if clock >= datetimes.TICKS_DAY:
        raise sql_error(241)
    if target.name == "time":
        return clock, None
    ticks = _day_ticks(data[1 + size : 4 + size]) + clock
    if target.name == "datetime2":
        return ticks, None
    offset = int.from_bytes(data[4 + size :], "little", signed=True)
    if abs(offset) > 840:
        raise sql_error(241)
    return ticks + offset * 60 * datetimes.TICKS_SECOND, offset


def _day_ticks(data: bytes) -> int:
    days = int.from_bytes(data, "little")
    if days >= date.max.toordinal():
        raise sql_error(241)
    return days * datetimes.TICKS_DAY
