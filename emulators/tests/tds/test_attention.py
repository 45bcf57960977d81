"""Attentions: time-outs, cancellation, clients that vanish."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator, Mapping

import pyodbc
import pytest

from emulators.clock import Clock
from emulators.sql_server.values.results import Event, Parameter, RowsAffected, SqlError
from emulators.sql_server.wire import server as wire
from emulators.tests.tds import client as tds_client
from emulators.tests.tds import scripted_engine
from emulators.tests.tds.client import TdsClient
from emulators.tests.tds.server import (
    ATTENTION,
    DONE,
    ERROR,
    RunningServer,
)


@pytest.mark.parametrize("arguments", [(), (1,)])
def test_query_timeout_cancels_the_engine(connection: pyodbc.Connection, arguments: tuple[int, ...]) -> None:
    connection.timeout = 1
    started = time.monotonic()
    with pytest.raises(pyodbc.OperationalError) as raised:
        connection.execute("WAIT ?" if arguments else "WAIT", *arguments)
    assert raised.value.args[0] == "HYT00"
    assert time.monotonic() - started < 5
    connection.timeout = 0
    assert connection.execute("ROWS 1").fetchval() == 0


def test_attention_cuts_a_result_short(client: TdsClient) -> None:
    client.send(tds_client.BATCH, tds_client.HEADERS + "ENDLESS".encode("utf-16-le"))
    client.send(tds_client.ATTENTION, b"")
    assert struct.unpack("<BHHQ", client.receive()[-13:])[:2] == (DONE, ERROR)
    assert client.answer().done == [(DONE, ATTENTION, 0)]  # a message of its own
    assert client.batch("ROWS 1").rows == [(0,)]


def test_attention_after_the_answer(client: TdsClient) -> None:
    assert client.batch("ROWS 1").rows == [(0,)]
    client.send(tds_client.ATTENTION, b"")
    assert client.answer().done == [(DONE, ATTENTION, 0)]


def test_closed_cursor_stops_an_endless_result(connection: pyodbc.Connection) -> None:
    cursor = connection.execute("ENDLESS")
    assert tuple(cursor.fetchone()) == (1,)
    cursor.close()
    assert connection.execute("ROWS 1").fetchval() == 0


def test_client_that_vanishes_cancels_its_statement(server: RunningServer) -> None:
    client = TdsClient(server.port)
    before = server.application("tds-client")["open"]
    client.send(tds_client.BATCH, tds_client.HEADERS + "WAIT".encode("utf-16-le"))
    client.close()
    deadline = time.monotonic() + 10
    while server.application("tds-client")["open"] >= before and time.monotonic() < deadline:
        time.sleep(0.02)
    assert server.application("tds-client")["open"] == before - 1


class Looks:
    """Of the server, whether a client has sent something: the first look lasts until the next request runs."""

    def __init__(self) -> None:
        self.begun, self.next_runs, self.again = threading.Event(), threading.Event(), threading.Event()

    def look(self, connection: socket.socket) -> bool:
        if self.begun.is_set():
            self.again.set()
            return False
        self.begun.set()
        assert self.next_runs.wait(10)
        return True  # what it saw was the request that runs by now


class Looked(scripted_engine.Database):
    """An engine with a request that ends when it is looked at, and one that ends when it was looked at."""

    def __init__(self, looks: Looks) -> None:
        super().__init__()
        self._looks = looks

    def open_session(self, user: str, application: str, host: str, database: str | None) -> scripted_engine.Session:
        looks = self._looks

        class Session(scripted_engine.Session):
            def execute(self, sql: str, parameters: Mapping[str, Parameter] = {}) -> Iterator[Event | SqlError]:
                if sql == "SECOND":
                    looks.next_runs.set()
                assert (looks.begun if sql == "FIRST" else looks.again).wait(10)
                yield RowsAffected(1, "UPDATE")

        return Session(51, "rowpost")


def test_a_request_is_not_given_up_by_a_look_at_the_one_before(monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Looks()
    monkeypatch.setattr(wire, "_readable", looks.look)
    server = wire.Server(Looked(looks), Clock())
    server.start()
    try:
        with contextlib.closing(TdsClient(server.port)) as client:
            assert client.batch("FIRST").done == client.batch("SECOND").done
    finally:
        server.stop()
