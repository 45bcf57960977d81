"""Statistics of the control port."""

from __future__ import annotations

import contextlib
import datetime

import pyodbc
import pytest

from emulators.tests.tds.server import (
    RunningServer,
    unused_application,
)


def test_statistics_count_round_trips_that_carry_a_statement(server: RunningServer) -> None:
    application = unused_application()
    with contextlib.closing(server.connect(f"Encrypt=no;APP={application}")) as connection:
        connection.execute("ROWS 1").fetchall()
        connection.execute("ECHO ?", "text").fetchall()
        connection.execute("ECHO ?", None).fetchall()  # asks for the type first
        with pytest.raises(pyodbc.Error):
            connection.execute("ERROR 50001 16")
        counted = server.application(application)
    assert counted["connections"] == 1 and counted["open"] == 1
    assert counted["batches"] == 2 and counted["requests"] == 4
    assert [entry["text"] for entry in counted["statements"]] == ["ROWS 1", "ECHO @P1", "ECHO @P1", "ERROR 50001 16"]
    assert [entry["error"] for entry in counted["statements"]] == [None, None, None, 50001]
    assert all(datetime.datetime.fromisoformat(entry["time"]).tzinfo for entry in counted["statements"])


def test_statistics_keep_the_last_200_statements(server: RunningServer) -> None:
    application = unused_application()
    with contextlib.closing(server.connect(f"Encrypt=no;APP={application}")) as connection:
        for number in range(205):
            connection.execute(f"ROWS {number}").fetchall()
        kept = server.application(application)["statements"]
    assert [entry["text"] for entry in kept] == [f"ROWS {number}" for number in range(5, 205)]


def test_statistics_reset(server: RunningServer, connection: pyodbc.Connection) -> None:
    application = unused_application()
    with contextlib.closing(server.connect(f"Encrypt=no;APP={application}")) as other:
        other.execute("ROWS 1").fetchall()
        server.control("POST", "/stats/reset")
        counted = server.application(application)
        assert counted["requests"] == counted["connections"] == 0 and counted["open"] == 1
        assert counted["statements"] == []
    connection.execute("ROWS 1").fetchall()
