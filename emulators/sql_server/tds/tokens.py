"""The tokens of a reply."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from emulators.sql_server.tds.types import b_varchar, us_varchar, write_column_type, write_type_info
from emulators.sql_server.tds.values import encoder
from emulators.sql_server.values.results import Column, SqlType

DONE, DONEPROC, DONEINPROC = 0xFD, 0xFE, 0xFF
DONE_MORE, DONE_ERROR, DONE_COUNT, DONE_ATTENTION = 0x01, 0x02, 0x10, 0x20
ERROR, INFO = 0xAA, 0xAB
ROW = b"\xd1"

ENV_DATABASE, ENV_LANGUAGE, ENV_PACKET_SIZE, ENV_COLLATION = 1, 2, 4, 7
ENV_BEGIN, ENV_COMMIT, ENV_ROLLBACK, ENV_RESET = 8, 9, 10, 18

_NULLABLE, _UPDATABLE_UNKNOWN, _IDENTITY, _COMPUTED = 0x01, 0x08, 0x10, 0x20
_USER_TYPE_ROWVERSION = 80

TDS_7_2 = 0x72090002
TDS_7_4 = 0x74000004
TDS_8_0 = 0x08000000
SERVER_NAME = "rowpost-sql-emulator"
SERVER_VERSION = (16, 0, 4175)
"""SQL Server 2022."""

_MAX_MESSAGE = 8000  # characters; the token's length is 16 bits
_DONE = struct.Struct("<BHHQ")


def _sized(token: int, body: bytes) -> bytes:
    return struct.pack("<BH", token, len(body)) + body


def done(token: int, status: int = 0, command: int = 0, count: int = 0) -> bytes:
    """DONE, DONEPROC or DONEINPROC."""
    return _DONE.pack(token, status, command, count)


def environment_text(kind: int, new: str, old: str = "") -> bytes:
    """ENVCHANGE of a database, language or packet size."""
    return _sized(0xE3, bytes([kind]) + b_varchar(new) + b_varchar(old))


def environment_bytes(kind: int, new: bytes, old: bytes = b"") -> bytes:
    """ENVCHANGE of a collation or transaction."""
    return _sized(0xE3, bytes([kind, len(new)]) + new + bytes([len(old)]) + old)


def message(token: int, number: int, text: str, severity: int, state: int, line: int = 1, procedure: str = "") -> bytes:
    """ERROR or INFO."""
    body = struct.pack("<iBB", number, state & 0xFF, severity)
    body += us_varchar(text[:_MAX_MESSAGE]) + b_varchar(SERVER_NAME) + b_varchar(procedure[:128]) + struct.pack("<i", line)
    return _sized(token, body)


@lru_cache(maxsize=512)
def column_metadata(columns: tuple[Column, ...]) -> bytes:
    """COLMETADATA of a result set."""
    parts = [b"\x81", struct.pack("<H", len(columns))]
    for column in columns:
        user_type = _USER_TYPE_ROWVERSION if column.type.name in ("rowversion", "timestamp") else 0
        parts.append(struct.pack("<IH", user_type, _flags(column)) + write_column_type(column) + b_varchar(column.name[:128]))
    return b"".join(parts)


def _flags(column: Column) -> int:
    if column.identity:
        written = _IDENTITY
    elif not column.origin:
        written = _COMPUTED
    else:
        written = 0 if column.type.name in ("rowversion", "timestamp") else _UPDATABLE_UNKNOWN
    return (_NULLABLE if column.nullable else 0) | written


def return_status(value: int) -> bytes:
    """RETURNSTATUS of a procedure."""
    return struct.pack("<Bi", 0x79, value)


def return_value(ordinal: int, name: str, sql_type: SqlType, value: Any) -> tuple[bytes, bytes]:
    """RETURNVALUE: an OUTPUT parameter; its head, and its value."""
    head = b"\xac" + struct.pack("<H", ordinal) + b_varchar(name) + b"\x01" + struct.pack("<IH", 0, _NULLABLE)
    return head + write_type_info(sql_type), encoder(sql_type)(value)


def login_acknowledgement(tds_version: int) -> bytes:
    """LOGINACK: the version is the client's, if the server knows it."""
    major, minor, build = SERVER_VERSION
    body = (
        b"\x01"
        + struct.pack(">I", min(tds_version, TDS_7_4))
        + b_varchar("Microsoft SQL Server")
        + struct.pack(">BBH", major, minor, build)
    )
    return _sized(0xAD, body)


def feature_acknowledgement(features: Iterable[tuple[int, bytes]]) -> bytes:
    """FEATUREEXTACK."""
    return b"\xae" + b"".join(struct.pack("<BI", feature, len(data)) + data for feature, data in features) + b"\xff"
