"""Attentions: time-outs, cancellation, clients that vanish."""

from __future__ import annotations

import struct
import time

import pyodbc
import pytest

from emulators.tests.tds import client as tds_client
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
