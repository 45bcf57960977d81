"""A small TDS client for what no driver can be made to send: prepared handles, output parameters, resets, attentions.

It reads every answer with the strict reader of the grammar.
"""

from __future__ import annotations

import socket
import struct
from typing import Any

from emulators.sql_server.tds.types import write_type_info
from emulators.sql_server.tds.values import encoder
from emulators.sql_server.values.results import SqlType
from emulators.tests.tds.grammar import Answer, packet_bodies, read_answer

BATCH, RPC, ATTENTION, TRANSACTION_MANAGER, LOGIN7, PRELOGIN = 1, 3, 6, 14, 16, 18
RESET, RESET_KEEP_TRANSACTION = 0x08, 0x10
HEADERS = struct.pack("<IIHQI", 22, 18, 2, 0, 1)
BY_REFERENCE = 1


class TdsClient:
    """A connection without encryption."""

    def __init__(
        self,
        port: int,
        *,
        user: str = "sa",
        password: str = "Rowpost!2026",
        database: str = "rowpost",
        packet_size: int = 4096,
        version: int = 0x74000004,
    ) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        self.packet_size = 4096
        self.send(PRELOGIN, b"\x00\x00\x0b\x00\x06\x01\x00\x11\x00\x01\xff" + bytes(6) + b"\x02")
        self.receive()
        self.send(LOGIN7, login_request(user, password, database, "tds-client", packet_size, version))
        self.greeting = self.answer()
        self.packet_size = packet_size

    def send(self, kind: int, body: bytes, status: int = 0) -> None:
        """Send a message."""
        room = self.packet_size - 8
        pieces = [body[start : start + room] for start in range(0, len(body), room)] or [b""]
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

    def receive_packet(self) -> bytes:
        """The next packet."""
        head = self._exactly(8)
        return head + self._exactly(int.from_bytes(head[2:4], "big") - 8)

    def receive(self) -> bytes:
        """The packets of the next message."""
        message = b""
        while True:
            packet = self.receive_packet()
            message += packet
            if packet[1] & 1:
                return message

    def answer(self, *, pushed: bool = False) -> Answer:
        """The next message, read strictly; ``pushed``: its packets need not be full."""
        return read_answer(packet_bodies(self.receive(), self.packet_size, pushed=pushed))

    def batch(self, sql: str, status: int = 0) -> Answer:
        """Run a batch."""
        self.send(BATCH, HEADERS + sql.encode("utf-16-le"), status)
        return self.answer()

    def give_up(self, sql: str) -> Answer:
        """Run a batch, and send an attention as soon as its first packet is there; the acknowledgement."""
        self.send(BATCH, HEADERS + sql.encode("utf-16-le"))
        assert not self.receive_packet()[1] & 1
        self.send(ATTENTION, b"")
        self.receive()
        return self.answer()

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
        return self.answer()

    def transaction(self, request: int, payload: bytes) -> Answer:
        """A transaction-manager request."""
        self.send(TRANSACTION_MANAGER, HEADERS + struct.pack("<H", request) + payload)
        return self.answer()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def login_request(
    user: str, password: str, database: str, application: str, packet_size: int = 4096, version: int = 0x74000004
) -> bytes:
    """LOGIN7."""
    scrambled = bytes(((byte << 4 | byte >> 4) & 0xFF) ^ 0xA5 for byte in password.encode("utf-16-le"))
    texts = [b"", user.encode("utf-16-le"), scrambled, application.encode("utf-16-le"), b"", b"", b"", b""]
    texts.append(database.encode("utf-16-le"))
    head, body = b"", b""
    for text in texts:
        head += struct.pack("<HH", 94 + len(body), len(text) // 2)
        body += text
    fixed = struct.pack("<IIIIIBBBBII", version, packet_size, 7, 1, 0, 0xE0, 3, 0, 0, 0, 0x409)
    tail = bytes(6) + struct.pack("<HHHHHHI", 94 + len(body), 0, 94 + len(body), 0, 94 + len(body), 0, 0)
    return struct.pack("<I", 94 + len(body)) + fixed + head + tail + body
