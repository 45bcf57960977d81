"""A small TDS client for what no driver can be made to send: prepared handles, output parameters, resets, attentions."""

from __future__ import annotations

import socket
import struct
from dataclasses import dataclass, field
from typing import Any

from emulators.sql_server.tds.reader import ByteReader
from emulators.sql_server.tds.types import read_type_info, write_type_info
from emulators.sql_server.tds.values import encoder, read_value
from emulators.sql_server.values.results import SqlType

BATCH, RPC, ATTENTION, TRANSACTION_MANAGER, LOGIN7, PRELOGIN = 1, 3, 6, 14, 16, 18
RESET, RESET_KEEP_TRANSACTION = 0x08, 0x10
HEADERS = struct.pack("<IIHQI", 22, 18, 2, 0, 1)
BY_REFERENCE = 1


@dataclass
class Answer:
    """A reply, token by token."""

    rows: list[tuple[Any, ...]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    errors: list[tuple[int, int, int]] = field(default_factory=list)  # number, severity, state
    done: list[tuple[int, int, int]] = field(default_factory=list)  # token, status, count
    environment: list[int] = field(default_factory=list)
    status: int | None = None
    values: dict[str, Any] = field(default_factory=dict)
    order: list[int] = field(default_factory=list)


class TdsClient:
    """A connection without encryption."""

    def __init__(self, port: int, *, user: str = "sa", password: str = "Rowpost!2026", database: str = "rowpost") -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.send(PRELOGIN, b"\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff" + bytes(6) + b"\x02")
        self.receive()
        self.send(LOGIN7, _login(user, password, database, "tds-client"))
        self.greeting = read_answer(self.receive())

    def send(self, kind: int, body: bytes, status: int = 0) -> None:
        """Send a message, in packets of 4096 bytes."""
        pieces = [body[start : start + 4088] for start in range(0, len(body), 4088)] or [b""]
        for number, piece in enumerate(pieces):
            last = 1 if number == len(pieces) - 1 else 0
            head = struct.pack(">BBHHBB", kind, last | (status if number == 0 else 0), len(piece) + 8, 0, number & 255, 0)
            self.socket.sendall(head + piece)

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                raise ConnectionError("closed by the server")
            data += more
        return data

    def receive(self) -> bytes:
        """The body of the next message."""
        body = b""
        while True:
            _, status, size, *_ = struct.unpack(">BBHHBB", self._exactly(8))
            body += self._exactly(size - 8)
            if status & 1:
                return body

    def batch(self, sql: str, status: int = 0) -> Answer:
        """Run a batch."""
        self.send(BATCH, HEADERS + sql.encode("utf-16-le"), status)
        return read_answer(self.receive())

    def call(self, *calls: tuple[str | int, list[tuple[str, int, SqlType, Any]]]) -> Answer:
        """Call procedures, all in one request; an argument is name, flags, type, value."""
        bodies = []
        for procedure, arguments in calls:
            if isinstance(procedure, int):
                body = struct.pack("<HHH", 0xFFFF, procedure, 0)
            else:
                body = struct.pack("<H", len(procedure)) + procedure.encode("utf-16-le") + bytes(2)
            for name, flags, sql_type, value in arguments:
                encoded = name.encode("utf-16-le")
                body += bytes([len(name)]) + encoded + bytes([flags])
                body += write_type_info(sql_type) + encoder(sql_type)(value)
            bodies.append(body)
        self.send(RPC, HEADERS + b"\xff".join(bodies))
        return read_answer(self.receive())

    def transaction(self, request: int, payload: bytes) -> Answer:
        """A transaction-manager request."""
        self.send(TRANSACTION_MANAGER, HEADERS + struct.pack("<H", request) + payload)
        return read_answer(self.receive())

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def _login(user: str, password: str, database: str, application: str) -> bytes:
    scrambled = bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in password.encode("utf-16-le"))
    texts = [b"", user.encode("utf-16-le"), scrambled, application.encode("utf-16-le"), b"", b"", b"", b""]
    texts.append(database.encode("utf-16-le"))
    head, body = b"", b""
    for text in texts:
        head += struct.pack("<HH", 94 + len(body), len(text) // 2)
        body += text
    fixed = struct.pack("<IIIIIBBBBII", 0x74000004, 4096, 7, 1, 0, 0xE0, 3, 0, 0, 0, 0x409)
    tail = bytes(6) + struct.pack("<HHHHHHI", 94 + len(body), 0, 94 + len(body), 0, 94 + len(body), 0, 0)
    return struct.pack("<I", 94 + len(body)) + fixed + head + tail + body


def read_answer(body: bytes) -> Answer:
    """The tokens of a reply."""
    reader, answer = ByteReader(body), Answer()
    types: list[Any] = []
    while reader.more:
        token = reader.u8()
        answer.order.append(token)
        if token in (0xFD, 0xFE, 0xFF):
            status, _, count = reader.u16(), reader.u16(), reader.u64()
            answer.done.append((token, status, count))
        elif token == 0xE3:
            answer.environment.append(reader.take(reader.u16())[0])
        elif token in (0xAA, 0xAB):
            number, state, severity = struct.unpack_from("<iBB", reader.take(reader.u16()))
            if token == 0xAA:
                answer.errors.append((number, severity, state))
        elif token == 0xAD:
            reader.take(reader.u16())
        elif token == 0x79:
            answer.status = reader.i32()
        elif token == 0xAC:
            reader.u16()
            name = reader.b_varchar()
            reader.take(7)
            answer.values[name] = read_value(reader, read_type_info(reader))
        elif token == 0x81:
            types = []
            answer.columns = []
            for _ in range(reader.u16()):
                reader.take(6)
                types.append(read_type_info(reader))
                answer.columns.append(reader.b_varchar())
        elif token == 0xD1:
            answer.rows.append(tuple(read_value(reader, wire_type) for wire_type in types))
        else:
            raise AssertionError(f"unexpected token 0x{token:02x}")
    return answer
