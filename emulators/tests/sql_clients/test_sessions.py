"""Several real connections to the SQL Server emulator: waits, deadlocks, logins, and a server that is killed under them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pyodbc
import pytest

from emulators.launch import SqlServer
from emulators.process import EmulatorError
from emulators.sql_server.tds.tls import tls_contexts


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SqlServer]:
    pyodbc.pooling = False
    with SqlServer(tmp_path_factory.mktemp("sessions"), "real") as running:
        with contextlib.closing(running.connect()) as connection:
            connection.execute(
                "CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY, N int NOT NULL); INSERT dbo.T VALUES (1, 0), (2, 0)"
            )
        yield running


@pytest.fixture
def two(server: SqlServer) -> Iterator[tuple[pyodbc.Connection, pyodbc.Connection]]:
    with (
        contextlib.closing(server.connect(autocommit=False)) as one,
        contextlib.closing(server.connect(autocommit=False)) as other,
    ):
        yield one, other


class Background:
    """A call in a thread of its own, which waits for a lock by the time this is made."""

    def __init__(self, server: SqlServer, call: Callable[[], Any]) -> None:
        self._call, self.answer = call, None
        self._thread = threading.Thread(target=self._run)
        self._thread.start()
        waiting = "SELECT COUNT(*) FROM sys.dm_tran_locks WHERE request_status = 'WAIT'"
        with contextlib.closing(server.connect()) as watcher:
            while not watcher.execute(waiting).fetchval():
                assert self._thread.is_alive(), self.answer
                self._thread.join(0.005)

    def _run(self) -> None:
        try:
            self.answer = self._call()
        except pyodbc.Error as error:
            self.answer = error

    def finish(self) -> Any:
        self._thread.join(20)
        assert not self._thread.is_alive()
        return self.answer


def _number(error: pyodbc.Error) -> int:
    return int(error.args[1].rsplit(" (", 2)[1].rstrip(")"))


def test_lock_timeout(two: tuple[pyodbc.Connection, pyodbc.Connection]) -> None:
    holder, other = two
    holder.execute("UPDATE dbo.T SET N = 1 WHERE Id = 1")
    other.execute("SET LOCK_TIMEOUT 50")
    other.execute("SELECT N FROM dbo.T").fetchall()
    with pytest.raises(pyodbc.ProgrammingError) as raised:
        other.execute("UPDATE dbo.T SET N = 2 WHERE Id = 1")
    assert (raised.value.args[0], _number(raised.value)) == ("42000", 1222)
    assert "Lock request time out period exceeded." in raised.value.args[1]
    assert other.execute("SELECT @@TRANCOUNT").fetchval() == 1
    holder.commit()
    other.execute("UPDATE dbo.T SET N = N + 2 WHERE Id = 1")
    other.commit()
    assert holder.execute("SELECT N FROM dbo.T WHERE Id = 1").fetchval() == 3


def test_a_writer_waits_until_the_other_has_committed(server: SqlServer, two: tuple[pyodbc.Connection, pyodbc.Connection]) -> None:
    holder, other = two
    before = holder.execute("SELECT N FROM dbo.T WHERE Id = 2").fetchval()
    holder.execute("UPDATE dbo.T SET N = N + 1 WHERE Id = 2")
    waiting = Background(server, lambda: other.execute("UPDATE dbo.T SET N = N * 10 WHERE Id = 2").rowcount)
    holder.commit()
    assert waiting.finish() == 1
    other.commit()
    assert holder.execute("SELECT N FROM dbo.T WHERE Id = 2").fetchval() == (before + 1) * 10


@pytest.mark.parametrize(("priority", "victim"), [("NORMAL", "second"), ("HIGH", "first")])
def test_deadlock(server: SqlServer, two: tuple[pyodbc.Connection, pyodbc.Connection], priority: str, victim: str) -> None:
    """One holds the row and waits for the application lock, the other has that and comes for the row."""
    first, second = two
    lock = "DECLARE @r int; EXEC @r = sp_getapplock 'deadlock', 'Exclusive', @LockTimeout = 10000; SELECT @r"
    second.execute(f"SET DEADLOCK_PRIORITY {priority}")
    assert second.execute(lock).fetchval() == 0
    first.execute("UPDATE dbo.T SET N = 100 WHERE Id = 1")

    def wait() -> int:
        granted = first.execute(lock).fetchval()
        first.rollback()
        return int(granted)

    waiting = Background(server, wait)
    if victim == "second":
        with pytest.raises(pyodbc.Error) as raised:
            second.execute("UPDATE dbo.T SET N = 200 WHERE Id = 1")
        assert (type(raised.value), raised.value.args[0], _number(raised.value)) == (pyodbc.Error, "40001", 1205)
        assert waiting.finish() == 1  # granted after waiting: the victim's locks are gone
        assert second.execute("SELECT APPLOCK_MODE('public', 'deadlock', 'Transaction')").fetchval() == "NoLock"
        second.execute("UPDATE dbo.T SET N = 300 WHERE Id = 1")  # the connection is as good as before
    else:
        second.execute("UPDATE dbo.T SET N = 300 WHERE Id = 1")
        assert waiting.finish() == -3
    second.commit()
    assert first.execute("SELECT N FROM dbo.T WHERE Id = 1").fetchval() == 300


@pytest.mark.parametrize("together", [True, False])
def test_a_new_login_can_connect(server: SqlServer, together: bool) -> None:
    name = f"worker{together}"
    batches = [f"CREATE LOGIN {name} WITH PASSWORD = N'{{Odd;}}1'", f"CREATE USER {name} FOR LOGIN {name}"]
    with contextlib.closing(server.connect()) as connection:
        for batch in ["; ".join(batches)] if together else batches:
            connection.execute(batch)
    string = server.odbc_connection_string.replace("UID=sa", f"UID={name}").replace(f"{{{server.password}}}", "{{Odd;}}1}")
    with contextlib.closing(pyodbc.connect(string)) as own:
        assert tuple(own.execute("SELECT USER_NAME(), SUSER_NAME()").fetchone()) == (name, name)
        with pytest.raises(pyodbc.ProgrammingError, match=r"SELECT permission was denied.*\(229\)"):
            own.execute("SELECT * FROM dbo.T")


def test_a_given_certificate(tmp_path: Path) -> None:
    given, other = tmp_path / "given.pem", tmp_path / "other.pem"
    for file in (given, other):
        tls_contexts(file)
    with SqlServer(tmp_path, "real", certificate=given) as server:
        string = server.odbc_connection_string.replace("Encrypt=no", "Encrypt=strict")
        with contextlib.closing(pyodbc.connect(f"{string};ServerCertificate={given}")) as connection:
            assert connection.execute("SELECT 1").fetchval() == 1
        with pytest.raises(pyodbc.OperationalError, match="doesn't match"):
            pyodbc.connect(f"{string};ServerCertificate={other}")
    with pytest.raises(EmulatorError, match=r"there is no file .*missing\.pem"):
        SqlServer(tmp_path, "real", certificate=tmp_path / "missing.pem", name="second").__enter__()


def test_killed_under_a_client_it_keeps_what_it_acknowledged(tmp_path: Path) -> None:
    with SqlServer(tmp_path, "real") as server:
        with contextlib.closing(server.connect()) as connection:
            connection.execute("CREATE TABLE dbo.Pairs (Id int NOT NULL, Half int NOT NULL, PRIMARY KEY (Id, Half))")
        acknowledged = 0
        for life in range(2):
            started = threading.Event()
            done = [acknowledged]

            def work(done: list[int] = done, started: threading.Event = started) -> None:
                with contextlib.suppress(pyodbc.Error), contextlib.closing(server.connect(autocommit=False)) as connection:
                    while True:
                        connection.execute("INSERT dbo.Pairs VALUES (?, 1)", done[0])
                        connection.execute("INSERT dbo.Pairs VALUES (?, 2)", done[0])
                        connection.commit()
                        done[0] += 1
                        started.set()

            thread = threading.Thread(target=work)
            thread.start()
            assert started.wait(10)
            thread.join(0.01 * life)
            server.kill()
            thread.join(10)
            server.start()
            with contextlib.closing(server.connect()) as connection:
                rows = connection.execute("SELECT Id, COUNT(*) FROM dbo.Pairs GROUP BY Id ORDER BY Id").fetchall()
            assert [tuple(row) for row in rows] == [(number, 2) for number in range(len(rows))]
            assert len(rows) in (done[0], done[0] + 1)
            acknowledged = len(rows)


@pytest.mark.parametrize(
    ("option", "named"), [("Language=Deutsch", "language Deutsch"), ("AttachDBFileName=other.mdf", "AttachDBFileName")]
)
def test_what_a_login_asks_for_in_vain_is_named(server: SqlServer, option: str, named: str) -> None:
    with pytest.raises(pyodbc.InterfaceError, match=rf"Not supported by the emulator at login: {named}\. \(18456\)"):
        pyodbc.connect(f"{server.odbc_connection_string};{option}")


@pytest.mark.parametrize("language", ["us_english", "English"])
def test_its_own_language_is_accepted(server: SqlServer, language: str) -> None:
    with contextlib.closing(pyodbc.connect(f"{server.odbc_connection_string};Language={language}")) as connection:
        assert connection.execute("SELECT @@LANGUAGE").fetchval() == "us_english"


@pytest.mark.parametrize(("option", "named"), [("QuotedId=no", "QUOTED_IDENTIFIER OFF"), ("AnsiNPW=no", "ANSI_")])
def test_options_of_the_driver_that_change_results_are_refused(server: SqlServer, option: str, named: str) -> None:
    with pytest.raises(pyodbc.Error, match=f"SET {named}"):
        pyodbc.connect(f"{server.odbc_connection_string};{option}").execute("SELECT 1")
