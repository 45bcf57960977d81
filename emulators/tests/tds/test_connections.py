"""Connections: encryption, refused logins, garbage."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from pathlib import Path

import pyodbc
import pytest

from emulators.tests.tds import client as tds_client
from emulators.tests.tds.client import TdsClient
from emulators.tests.tds.grammar import packet_bodies, read_answer
from emulators.tests.tds.server import (
    RunningServer,
    rows_of,
)


@pytest.mark.parametrize("encrypt", ["no", "optional", "yes", "mandatory"])
def test_connects_with_and_without_encryption(server: RunningServer, encrypt: str) -> None:
    with contextlib.closing(server.connect(f"Encrypt={encrypt};TrustServerCertificate=yes")) as connection:
        assert rows_of(connection.execute("ROWS 2")) == [(0,), (1,)]


def test_encrypted_connection_carries_long_values(server: RunningServer) -> None:
    text = "é" * 300_000
    with contextlib.closing(server.connect("Encrypt=yes;TrustServerCertificate=yes")) as connection:
        assert connection.execute("ECHO ?", text).fetchval() == text


def test_strict_encryption_with_the_known_certificate(server: RunningServer, tmp_path: Path) -> None:
    pem = server.certificate.read_text()
    known = tmp_path / "server.pem"
    known.write_text(pem[pem.index("-----BEGIN CERTIFICATE") :])
    with contextlib.closing(server.connect(f"Encrypt=strict;ServerCertificate={known}", host="localhost")) as connection:
        assert connection.execute("ROWS 1").fetchval() == 0


def test_unknown_certificate_is_refused_by_the_driver(server: RunningServer) -> None:
    with pytest.raises(pyodbc.OperationalError, match="certificate verify failed"):
        server.connect("Encrypt=yes")


def test_wrong_password(server: RunningServer) -> None:
    with pytest.raises(pyodbc.InterfaceError) as raised:
        server.connect(password="wrong")
    assert raised.value.args[0] == "28000"
    assert "Login failed for user 'sa'. (18456)" in raised.value.args[1]


def test_unknown_database(server: RunningServer) -> None:
    with pytest.raises(pyodbc.Error, match=r'Cannot open database "nowhere" requested by the login.*\(4060\)'):
        server.connect(database="nowhere")


def test_login_errors_carry_severity_and_state(server: RunningServer) -> None:
    with contextlib.closing(TdsClient(server.port, password="wrong")) as refused:
        assert refused.greeting.errors == [(18456, 14, 1)]
    with contextlib.closing(TdsClient(server.port, database="nowhere")) as refused:
        assert refused.greeting.errors == [(4060, 11, 1), (18456, 14, 1)]


def test_server_describes_itself(connection: pyodbc.Connection) -> None:
    assert connection.getinfo(pyodbc.SQL_DBMS_NAME) == "Microsoft SQL Server"
    assert connection.getinfo(pyodbc.SQL_DBMS_VER).startswith("16.")
    assert connection.getinfo(pyodbc.SQL_DATABASE_NAME) == "rowpost"


def test_garbage_ends_only_its_own_connection(server: RunningServer, connection: pyodbc.Connection) -> None:
    client = TdsClient(server.port)
    client.send(99, b"garbage")
    with pytest.raises(ConnectionError):
        client.receive()
    assert connection.execute("ROWS 1").fetchval() == 0


def test_twenty_connections_at_once(server: RunningServer) -> None:
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with contextlib.closing(server.connect()) as connection:
                for _ in range(20):
                    assert connection.execute("ECHO ?", "x" * 3000).fetchval() == "x" * 3000
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []


class Tds8:
    """A client of TDS 8: TLS before the first packet. It takes the stream apart record by record."""

    def __init__(self, port: int, packet_size: int, version: int = 0x08000000) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=20)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_alpn_protocols(["tds/8.0"])
        self.read_bio, self.write_bio = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.read_bio, self.write_bio)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                self.tls.do_handshake()
                break
            self.socket.sendall(self.write_bio.read())
            self.read_bio.write(self.socket.recv(65_536))
        self.request(tds_client.PRELOGIN, b"\x00\x00\x06\x00\x06\xff" + bytes(6))
        self.greeting = self.request(
            tds_client.LOGIN7, tds_client.login_request("sa", "Rowpost!2026", "rowpost", "tds-8", packet_size, version)
        )

    def _exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            data += self.socket.recv(count - len(data))
        return data

    def request(self, kind: int, body: bytes) -> list[bytes]:
        """Send a request; what each TLS record of the answer holds."""
        self.tls.write(struct.pack(">BBHHBB", kind, 1, len(body) + 8, 0, 1, 0) + body)
        self.socket.sendall(self.write_bio.read())
        records: list[bytes] = []
        while not records or not records[-1][1] & 1:
            head = self._exactly(5)
            self.read_bio.write(head + self._exactly(int.from_bytes(head[3:5], "big")))
            with contextlib.suppress(ssl.SSLWantReadError):
                records.append(self.tls.read(65_536))
        return records


@pytest.mark.parametrize("packet_size", [512, 8000, 32_767])
def test_tds_8_and_one_tls_record_for_each_packet(server: RunningServer, packet_size: int) -> None:
    client = Tds8(server.port, packet_size)
    with contextlib.closing(client.socket):
        greeting = read_answer(packet_bodies(b"".join(client.greeting), 4096))
        assert greeting.version == 0x08000000 and greeting.errors == []
        records = client.request(tds_client.BATCH, tds_client.HEADERS + "ROWS 30000".encode("utf-16-le"))
        agreed = min(packet_size, 16_383)  # with encryption no packet is larger
        assert {int.from_bytes(record[2:4], "big") - len(record) for record in records} == {0}
        assert len(read_answer(packet_bodies(b"".join(records), agreed)).rows) == 30_000


@pytest.mark.parametrize("version", [0x71000001, 0x08000000])
def test_versions_that_do_not_fit_the_connection_are_refused(server: RunningServer, version: int) -> None:
    with contextlib.closing(TdsClient(server.port, version=version)) as refused:
        assert [number for number, _, _ in refused.greeting.errors] == [18456]
