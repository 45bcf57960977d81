"""Faults on the wire that the control port plans."""

from __future__ import annotations

import contextlib
import json
import time
import urllib.error
from typing import Any

import pyodbc
import pytest

from emulators.tests.tds.client import TdsClient
from emulators.tests.tds.server import (
    ROLLED_BACK,
    RunningServer,
    unused_application,
)


def test_error_fault_strikes_matching_statements(faults: RunningServer, connection: pyodbc.Connection) -> None:
    faults.control("POST", "/faults", {"action": "error", "number": 1205, "pattern": r"rows\s+3", "times": 2})
    assert len(connection.execute("ROWS 2").fetchall()) == 2
    for _ in range(2):
        with pytest.raises(pyodbc.Error, match="deadlock victim") as raised:
            connection.execute("ROWS 3")
        assert raised.value.args[0] == "40001"
    assert len(connection.execute("ROWS 3").fetchall()) == 3


def test_deadlock_fault_rolls_the_transaction_back(faults: RunningServer, client: TdsClient) -> None:
    client.batch("BEGIN")
    faults.control("POST", "/faults", {"action": "error", "number": 1205, "application": "tds-client"})
    answer = client.batch("UPDATE")
    assert answer.errors == [(1205, 13, 51)] and answer.environment == [ROLLED_BACK]


@pytest.mark.parametrize("number", [40613, 40197, 10928])
def test_failover_faults_end_the_connection(faults: RunningServer, connection: pyodbc.Connection, number: int) -> None:
    faults.control("POST", "/faults", {"action": "error", "number": number, "pattern": "ROWS"})
    with pytest.raises(pyodbc.Error, match=str(number)):
        connection.execute("ROWS 1")
    with pytest.raises(pyodbc.OperationalError):
        connection.execute("ROWS 1")


def test_fault_with_fields_of_its_own(faults: RunningServer, client: TdsClient) -> None:
    document = {"action": "error", "number": 3960, "severity": 16, "state": 4, "message": "Snapshot", "skip": 1}
    faults.control("POST", "/faults", {**document, "application": "tds-client"})
    assert client.batch("ROWS 1").errors == []
    assert client.batch("ROWS 1").errors == [(3960, 16, 4)]


def test_drop_before_and_after(faults: RunningServer) -> None:
    for action, ran in (("drop_before", 0), ("drop_after", 1)):
        application = unused_application()
        document = {"action": action, "pattern": "UPDATE", "application": application}
        with contextlib.closing(faults.connect(f"Encrypt=no;APP={application};ConnectRetryCount=0")) as connection:
            faults.control("POST", "/faults", document)
            with pytest.raises(pyodbc.OperationalError) as raised:
                connection.execute("UPDATE ?", 1)
        assert raised.value.args[0] == "08S01"
        statement = faults.application(application)["statements"][-1]
        assert statement["text"].startswith("UPDATE") and statement["executed"] == bool(ran)


def test_drop_after_commit(faults: RunningServer) -> None:
    application = unused_application()
    with contextlib.closing(faults.connect(f"Encrypt=no;APP={application}", autocommit=False)) as connection:
        connection.execute("UPDATE ?", 1)
        faults.control("POST", "/faults", {"action": "drop_after", "pattern": "COMMIT TRANSACTION"})
        with pytest.raises(pyodbc.Error):
            connection.commit()
    assert faults.application(application)["statements"][-1]["executed"] is True


def test_delay_fault(faults: RunningServer, connection: pyodbc.Connection) -> None:
    faults.control("POST", "/faults", {"action": "delay", "seconds": 0.3, "pattern": "ROWS"})
    started = time.monotonic()
    assert connection.execute("ROWS 1").fetchval() == 0
    assert time.monotonic() - started >= 0.3


def test_delay_fault_ends_with_a_query_timeout(faults: RunningServer, connection: pyodbc.Connection) -> None:
    faults.control("POST", "/faults", {"action": "delay", "seconds": 60, "pattern": "ROWS"})
    connection.timeout = 1
    with pytest.raises(pyodbc.OperationalError) as raised:
        connection.execute("ROWS 1")
    assert raised.value.args[0] == "HYT00"


def test_refused_login(faults: RunningServer) -> None:
    faults.control("POST", "/faults", {"action": "refuse_login", "number": 40613, "application": "refused", "times": 2})
    with contextlib.closing(faults.connect("Encrypt=no;APP=welcome")):
        pass
    for _ in range(2):
        with pytest.raises(pyodbc.Error, match=r"Database 'rowpost' .* is not currently available.*\(40613\)"):
            faults.connect("Encrypt=no;APP=refused;ConnectRetryCount=0")
    with contextlib.closing(faults.connect("Encrypt=no;APP=refused")) as connection:
        assert connection.execute("ROWS 1").fetchval() == 0


def test_planned_faults_are_listed_and_forgotten(faults: RunningServer, connection: pyodbc.Connection) -> None:
    faults.control("POST", "/faults", {"action": "error", "number": 1205, "times": None})
    assert faults.control("GET", "/faults")[0]["number"] == 1205
    for _ in range(3):
        with pytest.raises(pyodbc.Error):
            connection.execute("ROWS 1")
    faults.control("DELETE", "/faults")
    assert connection.execute("ROWS 1").fetchval() == 0


@pytest.mark.parametrize(
    "document",
    [
        {"action": "explode"},
        {"action": "error", "colour": 1},
        {"action": "error", "pattern": "("},
        {"action": "delay", "seconds": "1"},
        [],
    ],
)
def test_bad_fault_is_refused_by_name(server: RunningServer, document: Any) -> None:
    with pytest.raises(urllib.error.HTTPError) as raised:
        server.control("POST", "/faults", document)
    assert raised.value.code == 400
    assert json.load(raised.value)["error"]
