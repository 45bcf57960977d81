"""What a client with Microsoft's driver sees of each fault, and what became of its transaction, read back by another connection.

A complete run writes what it saw to emulators/docs/faults.json, from which the page on the emulator is made.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from emulators.launch import SqlServer

TABLE = Path(__file__).parents[2] / "docs" / "faults.json"
APPLICATION = "struck"
LOST, USABLE, NONE = "lost", "usable", "none"
COMMITTED, ROLLED_BACK, OPEN = "committed", "rolled back", "still open"
_MESSAGE = re.compile(r"\[\w{5}\] \[Microsoft\]\[ODBC Driver 18 for SQL Server\](?P<text>.*) \((?P<number>\d+)\) \(SQL\w+\)")
_ids = itertools.count(1)
_seen: dict[str, dict[str, Any]] = {}


@dataclass(frozen=True)
class Seen:
    """What was seen. ``error`` is the exception's class and its SQLSTATE; ``text`` begins as given."""

    error: str = ""
    number: int = 0
    text: str = ""
    connection: str = USABLE
    transaction: str = COMMITTED


def insert(connection: pyodbc.Connection, number: int) -> None:
    connection.execute("INSERT INTO dbo.Struck VALUES (?)", number)


def update(connection: pyodbc.Connection, number: int) -> None:
    connection.execute("UPDATE dbo.Struck SET Id = Id WHERE Id = ?", number)


def commit(connection: pyodbc.Connection, number: int) -> None:
    connection.commit()


def batch(connection: pyodbc.Connection, number: int) -> None:
    statement = f"INSERT INTO dbo.Struck VALUES ({number})"
    connection.execute(f"SET NOCOUNT ON; BEGIN TRANSACTION; {statement}; SELECT 1 AS a; COMMIT; {statement}")


def update_with_timeout(connection: pyodbc.Connection, number: int) -> None:
    connection.timeout = 1
    try:
        update(connection, number)
    finally:
        connection.timeout = 0


@dataclass(frozen=True)
class Case:
    """A fault, the call that it strikes, and what is expected. In a transaction, unless the call makes one of its own."""

    call: Callable[[pyodbc.Connection, int], None]
    fault: dict[str, Any]
    expected: Seen


_BROKEN = {"error": "OperationalError 08S01", "number": 10054, "text": "TCP Provider: Error code 0x2746", "connection": LOST}


def _broken(transaction: str) -> Seen:
    return Seen(**_BROKEN, transaction=transaction)


def _server(error: str, number: int, text: str, connection: str = LOST, transaction: str = ROLLED_BACK) -> Seen:
    return Seen(error, number, f"[SQL Server]{text}", connection, transaction)


_TIMED_OUT = Seen("OperationalError HYT00", 0, "Query timeout expired", USABLE, OPEN)
_CANCELLED = Seen("Error HY008", 0, "Operation canceled", USABLE, OPEN)


def _faults() -> Iterator[tuple[str, Case]]:
    for action, outcome in (("drop_before", ROLLED_BACK), ("drop_after", COMMITTED)):
        yield f"{action}, statement of a transaction", Case(update, {"action": action, "pattern": "UPDATE"}, _broken(ROLLED_BACK))
        yield f"{action}, statement alone", Case(insert, {"action": action, "pattern": "INSERT"}, _broken(outcome))
        yield f"{action}, commit", Case(commit, {"action": action, "pattern": "^COMMIT TRANSACTION$"}, _broken(outcome))
    for outcome in (COMMITTED, ROLLED_BACK):
        fault = {"action": "drop_in_commit", "outcome": outcome.replace(" ", "_")}
        yield f"drop_in_commit ({outcome}), commit", Case(commit, fault, _broken(outcome))
        yield f"drop_in_commit ({outcome}), statement alone", Case(insert, fault, _broken(outcome))
        yield f"drop_in_commit ({outcome}), batch with a COMMIT", Case(batch, fault, _broken(outcome))
    long = {"action": "delay", "seconds": 60, "pattern": "UPDATE"}
    yield "delay", Case(update, {**long, "seconds": 0.2}, Seen(transaction=OPEN))
    yield "delay, time-out of the statement", Case(update_with_timeout, long, _TIMED_OUT)
    yield "delay, Cursor.cancel", Case(update_and_cancel, long, _CANCELLED)
    errors = {
        1205: _server("Error 40001", 1205, "Transaction (Process ID ", USABLE),
        1222: _server("ProgrammingError 42000", 1222, "Lock request time out period exceeded.", USABLE, OPEN),
        40197: _server("ProgrammingError 42000", 40197, "The service has encountered an error processing your request."),
        40501: _server("Error HY000", 40501, "The service is currently busy."),
        40613: _server("Error HY000", 40613, "Database 'rowpost' on server '"),
        10928: _server("Error HY000", 10928, "Resource ID : 1. The request limit for the database is "),
        229: _server("ProgrammingError 42000", 229, "The SELECT permission was denied on the object ", USABLE, OPEN),
        916: _server("OperationalError 08004", 916, 'The server principal "sa" is not able to access ', USABLE, OPEN),
        3906: _server("ProgrammingError 25000", 3906, 'Failed to update database "rowpost" because ', USABLE, OPEN),
        9002: _server("ProgrammingError 42000", 9002, "The transaction log for database 'rowpost' is full", USABLE, OPEN),
        40544: _server("ProgrammingError 42000", 40544, "The database 'rowpost' has reached its size quota.", USABLE, OPEN),
        10929: _server("Error HY000", 10929, "Resource ID: 1. The request minimum guarantee is "),
    }
    for number, expected in errors.items():
        yield f"error {number}, statement of a transaction", Case(update, _error(number, "UPDATE"), expected)
    yield "error 40613, commit", Case(commit, _error(40613, "^COMMIT TRANSACTION$"), errors[40613])


def _error(number: int, pattern: str) -> dict[str, Any]:
    return {"action": "error", "number": number, "pattern": pattern}


def update_and_cancel(connection: pyodbc.Connection, number: int) -> None:
    cursor = connection.cursor()
    gone = threading.Event()

    def cancel() -> None:
        while not gone.wait(0.05):  # a cancel before the request was sent cancels nothing
            cursor.cancel()

    thread = threading.Thread(target=cancel)
    thread.start()
    try:
        cursor.execute("UPDATE dbo.Struck SET Id = Id WHERE Id = ?", number)
    finally:
        gone.set()
        thread.join()


FAULTS = dict(_faults())
_BUSY = "The service is currently busy."
LOGINS = {
    18456: _server("InterfaceError 28000", 18456, "Login failed for user 'sa'.", NONE, NONE),
    18487: _server("InterfaceError 28000", 18487, "Login failed for user 'sa'.  Reason: The password", NONE, NONE),
    18488: _server("InterfaceError 28000", 18488, "Login failed for user 'sa'.  Reason: The password", NONE, NONE),
    916: _server("OperationalError 08004", 916, 'The server principal "sa" is not able', NONE, NONE),
    4060: _server("ProgrammingError 42000", 4060, 'Cannot open database "rowpost" requested by the login.', NONE, NONE),
    40197: _server("ProgrammingError 42000", 40197, "The service has encountered an error", NONE, NONE),
    40501: _server("Error HY000", 40501, _BUSY, NONE, NONE),
    40613: _server("Error HY000", 40613, "Database 'rowpost' on server '", NONE, NONE),
    10928: _server("Error HY000", 10928, "Resource ID : 1. The request limit", NONE, NONE),
}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    pyodbc.pooling = False
    with SqlServer(tmp_path_factory.mktemp("faults"), "real") as running:
        with contextlib.closing(running.connect()) as connection:
            connection.execute("CREATE TABLE dbo.Struck (Id int NOT NULL)")
        yield running
    _write_table()


def _write_table() -> None:
    """Bring emulators/docs/faults.json up to date if all faults were seen; the driver's texts are those on Linux."""
    if sys.platform != "linux" or _seen.keys() != {*FAULTS, *(f"refuse_login {number}" for number in LOGINS)}:
        return
    text = json.dumps(_seen, indent=2, ensure_ascii=False) + "\n"
    if not TABLE.exists() or TABLE.read_text(encoding="utf-8") != text:
        TABLE.write_text(text, encoding="utf-8")


def _explained(error: pyodbc.Error | None) -> tuple[str, int, str]:
    """The class with the SQLSTATE, the native number and the text of an error."""
    if error is None:
        return "", 0, ""
    state, message = error.args
    found = _MESSAGE.fullmatch(message)
    assert found is not None, message
    return f"{type(error).__name__} {state}", int(found["number"]), re.sub(r"Process ID \d+", "Process ID 51", found["text"])


def _compare(name: str, seen: Seen, expected: Seen) -> None:
    assert (seen.error, seen.number, seen.connection, seen.transaction) == (
        expected.error,
        expected.number,
        expected.connection,
        expected.transaction,
    )
    assert seen.text.startswith(expected.text) and bool(seen.text) == bool(expected.text)
    _seen[name] = asdict(seen)


@pytest.mark.parametrize("name", FAULTS)
def test_fault(server: SqlServer, name: str) -> None:
    case, number = FAULTS[name], next(_ids)
    own = case.call in (insert, batch)
    error: pyodbc.Error | None = None
    connection = server.connect(application=APPLICATION, autocommit=own)
    if not own:
        insert(connection, number)
    server.inject(application=APPLICATION, **case.fault)
    started = time.monotonic()
    try:
        case.call(connection, number)
    except pyodbc.Error as raised:
        error = raised
    assert time.monotonic() - started < 10
    assert server.faults() == []  # it has struck
    try:
        open_rows = connection.execute("SELECT COUNT(*) FROM dbo.Struck WHERE Id = ?", number).fetchval()
        state = USABLE
        if not own:
            connection.commit()
    except pyodbc.Error as raised:
        state, open_rows = LOST if raised.args[0] == "08S01" else raised.args[0], 0
    with contextlib.closing(server.connect()) as other:  # its write waits until the other's locks are gone
        committed = other.execute("SET LOCK_TIMEOUT 5000; DELETE FROM dbo.Struck WHERE Id = ?", number).rowcount
    with contextlib.suppress(pyodbc.Error):
        connection.close()
    assert committed in (0, 1)
    transaction = OPEN if open_rows else COMMITTED if committed else ROLLED_BACK
    _compare(name, Seen(*_explained(error), connection=state, transaction=transaction), case.expected)


@pytest.mark.parametrize("number", LOGINS)
def test_refused_login(server: SqlServer, number: int) -> None:
    server.inject(action="refuse_login", number=number, application=APPLICATION)
    with pytest.raises(pyodbc.Error) as raised:
        server.connect(application=APPLICATION)
    with contextlib.closing(server.connect(application=APPLICATION)) as connection:
        assert connection.execute("SELECT 1").fetchval() == 1
    _compare(f"refuse_login {number}", Seen(*_explained(raised.value), connection=NONE, transaction=NONE), LOGINS[number])


def test_a_commit_passes_where_the_pattern_does_not_match(server: SqlServer) -> None:
    server.inject(action="drop_in_commit", pattern="dbo.Other", application=APPLICATION)
    with contextlib.closing(server.connect(application=APPLICATION)) as connection:
        batch(connection, 0)
        assert connection.execute("SELECT COUNT(*) FROM dbo.Struck WHERE Id = 0").fetchval() == 2
    assert len(server.faults()) == 1
    server.clear_faults()


def test_the_second_commit_is_struck_where_one_is_skipped(server: SqlServer) -> None:
    number = next(_ids)
    server.inject(action="drop_in_commit", outcome="rolled_back", pattern="INSERT", skip=1, application=APPLICATION)
    with contextlib.closing(server.connect(application=APPLICATION)) as connection:
        insert(connection, number)
        with pytest.raises(pyodbc.OperationalError):
            insert(connection, number)
    with contextlib.closing(server.connect()) as other:
        assert other.execute("SELECT COUNT(*) FROM dbo.Struck WHERE Id = ?", number).fetchval() == 1


def test_a_database_that_refuses_until_the_fault_is_lifted(server: SqlServer) -> None:
    with contextlib.closing(server.connect(application=APPLICATION)) as connection:
        server.inject(action="error", number=40544, pattern=r"^\s*(INSERT|UPDATE|MERGE)", application=APPLICATION, times=None)
        for _ in range(3):
            with pytest.raises(pyodbc.Error, match="40544"):
                insert(connection, 0)
            assert connection.execute("SELECT 1").fetchval() == 1
        with contextlib.closing(server.connect()) as other:
            insert(other, 0)
        server.clear_faults()
        insert(connection, 0)
        server.inject(action="refuse_login", number=18488, application=APPLICATION, times=None)
        for _ in range(2):
            with pytest.raises(pyodbc.Error, match="must be changed"):
                server.connect(application=APPLICATION)
        server.clear_faults()
        server.connect(application=APPLICATION).close()


def test_a_read_only_database(server: SqlServer) -> None:
    with contextlib.closing(server.connect()) as app, contextlib.closing(server.connect()) as admin:
        insert(app, 4711)
        with pytest.raises(pyodbc.Error, match="5070"):
            admin.execute("ALTER DATABASE CURRENT SET READ_ONLY WITH NO_WAIT")
        with pytest.raises(pyodbc.Error, match="40517"):
            admin.execute("ALTER DATABASE CURRENT SET READ_ONLY")
        admin.execute("ALTER DATABASE CURRENT SET READ_ONLY WITH ROLLBACK IMMEDIATE")
        with pytest.raises(pyodbc.OperationalError, match="08S01"):
            app.execute("SELECT 1")
    with contextlib.closing(server.connect()) as app:
        assert app.execute("SELECT COUNT(*) FROM dbo.Struck WHERE Id = 4711").fetchval() == 1
        app.execute("CREATE TABLE #t (a int); INSERT #t VALUES (1); DECLARE @t TABLE (a int); INSERT @t SELECT a FROM #t")
        for statement in ("DELETE dbo.Struck WHERE 1 = 0", "CREATE TABLE dbo.Another (a int)", "TRUNCATE TABLE dbo.Struck"):
            with pytest.raises(pyodbc.Error) as raised:
                app.execute(statement)
            assert 'Failed to update database "rowpost" because the database is read-only. (3906)' in str(raised.value)
        state = "SELECT is_read_only, DATABASEPROPERTYEX(name, 'Updateability') FROM sys.databases WHERE name = DB_NAME()"
        assert tuple(app.execute(state).fetchone()) == (True, "READ_ONLY")
        app.execute("ALTER DATABASE CURRENT SET READ_WRITE WITH ROLLBACK IMMEDIATE")
        app.execute("DELETE dbo.Struck WHERE Id = 4711")
