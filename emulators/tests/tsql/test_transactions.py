"""Transactions, locks, errors in batches, and what survives a kill, in the SQL Server emulator."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulators.tests.tsql.database import Client, Server

ROOT = Path(__file__).parents[3]


class Background:
    """A call in a thread of its own."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self.result: Any = None
        self.thread = threading.Thread(target=self._run, args=(call,))
        self.thread.start()

    def _run(self, call: Callable[[], Any]) -> None:
        try:
            self.result = call()
        except Exception as error:
            self.result = error

    def waits(self) -> bool:
        """Whether it is still at it after a moment."""
        self.thread.join(0.15)
        return self.thread.is_alive()

    def finish(self) -> Any:
        self.thread.join(20)
        assert not self.thread.is_alive()
        return self.result


def test_counts_commit_and_rollback(table: Client) -> None:
    assert table.rows("BEGIN TRAN; BEGIN TRAN; UPDATE T SET N = 0; COMMIT; SELECT @@TRANCOUNT, XACT_STATE()") == [(1, 1)]
    assert table.session.in_transaction
    assert table.rows("ROLLBACK; SELECT @@TRANCOUNT, SUM(N) FROM T") == [(0, 30)]
    assert not table.session.in_transaction
    assert table.session.last_transaction_end == "rollback"
    assert table.error("COMMIT").number == 3902
    assert table.error("ROLLBACK").number == 3903


def test_the_transaction_manager(table: Client) -> None:
    table.session.begin()
    table.rows("UPDATE T SET N = 0 WHERE Id = 1")
    table.session.save("p")
    table.rows("UPDATE T SET N = 0 WHERE Id = 2")
    table.session.rollback("p")
    table.session.commit()
    assert table.session.last_transaction_end == "commit"
    assert table.rows("SELECT N FROM T ORDER BY Id") == [(0,), (20,)]


def test_savepoints(table: Client) -> None:
    table.rows(
        "BEGIN TRAN; SAVE TRAN early; UPDATE T SET N = 1; SAVE TRANSACTION late; UPDATE T SET N = 2; ROLLBACK TRAN late; COMMIT"
    )
    assert table.value("SELECT SUM(N) FROM T") == 2
    table.rows("BEGIN TRAN; SAVE TRAN early; UPDATE T SET N = 7; ROLLBACK TRAN early; UPDATE T SET N = 3 WHERE Id = 1; COMMIT")
    assert table.rows("SELECT N FROM T ORDER BY Id") == [(3,), (1,)]
    assert table.error("BEGIN TRAN; ROLLBACK TRAN nosuch").number == 6401


def test_ddl_rolls_back(table: Client) -> None:
    table.rows(
        "BEGIN TRAN; EXEC(N'CREATE SCHEMA s'); CREATE TABLE s.X (a int PRIMARY KEY); ALTER TABLE T ADD C "
        "int; INSERT s.X VALUES (1); ROLLBACK"
    )
    assert table.value("SELECT SCHEMA_ID(N's')") is None
    assert table.error("SELECT * FROM s.X").number == 208
    assert table.error("SELECT C FROM T").number == 207
    table.rows("BEGIN TRAN; EXEC(N'CREATE SCHEMA s'); CREATE TABLE s.X (a int); COMMIT")
    assert table.rows("SELECT * FROM s.X") == []


@pytest.mark.parametrize(
    ("sql", "numbers", "total", "last"),
    [
        # a statement's error does not end the batch
        (
            "BEGIN TRAN; UPDATE T SET N = N + 1; INSERT T VALUES (1, 1); UPDATE T SET N = N + 1; COMMIT; SELECT 'end'",
            [2627],
            34,
            "end",
        ),
        ("SELECT 1 / 0; SELECT 'end'", [8134], 30, "end"),
        # a conversion error ends it and undoes the transaction
        ("BEGIN TRAN; UPDATE T SET N = 0; SELECT CAST('x' AS int); SELECT 'end'", [245], 30, None),
        # a compile error ends the batch, the transaction stays open (and is rolled back by the test)
        ("BEGIN TRAN; UPDATE T SET N = 0; SELECT * FROM nosuch; SELECT 'end'", [208], 0, None),
        # with XACT_ABORT everything is undone
        ("SET XACT_ABORT ON; BEGIN TRAN; UPDATE T SET N = 0; INSERT T VALUES (1, 1); SELECT 'end'", [2627], 30, None),
        # THROW ends the batch; RAISERROR does not, not even with XACT_ABORT
        ("BEGIN TRAN; UPDATE T SET N = 0; THROW 50001, 'x', 1; SELECT 'end'", [50001], 0, None),
        ("SET XACT_ABORT ON; BEGIN TRAN; UPDATE T SET N = 0; THROW 50001, 'x', 1; SELECT 'end'", [50001], 30, None),
        ("SET XACT_ABORT ON; BEGIN TRAN; UPDATE T SET N = 0; RAISERROR('x', 16, 1); SELECT 'end'", [50000], 0, "end"),
        # TRY … CATCH
        (
            "BEGIN TRY INSERT T VALUES (1, 1); SELECT 'no' END TRY BEGIN CATCH SELECT CONCAT(ERROR_NUMBER(), "
            "':', ERROR_LINE(), ':', XACT_STATE()) END CATCH",
            [],
            30,
            "2627:1:0",
        ),
        (
            "BEGIN TRAN; BEGIN TRY UPDATE T SET N = 0; SELECT CAST('x' AS int) END TRY BEGIN CATCH SELECT "
            "XACT_STATE(); ROLLBACK; END CATCH; SELECT 'end'",
            [],
            30,
            "end",
        ),
        ("BEGIN TRAN; BEGIN TRY SELECT CAST('x' AS int) END TRY BEGIN CATCH UPDATE T SET N = 0 END CATCH", [3930], 30, None),
        (
            "BEGIN TRY BEGIN TRY SELECT 1 / 0 END TRY BEGIN CATCH; THROW; END CATCH END TRY BEGIN CATCH SELECT "
            "ERROR_MESSAGE() END CATCH",
            [],
            30,
            "Divide by zero error encountered.",
        ),
        ("BEGIN TRY SELECT * FROM nosuch END TRY BEGIN CATCH SELECT 'caught' END CATCH", [208], 30, None),
        ("BEGIN TRY EXEC(N'SELECT * FROM nosuch') END TRY BEGIN CATCH SELECT 'caught' END CATCH", [], 30, "caught"),
        (
            "BEGIN TRY RAISERROR('a%d', 16, 3, 7) END TRY BEGIN CATCH SELECT CONCAT(ERROR_MESSAGE(), "
            "ERROR_STATE(), ERROR_SEVERITY()) END CATCH",
            [],
            30,
            "a7316",
        ),
        ("BEGIN TRY RAISERROR('quiet', 10, 1); SELECT 'went on' END TRY BEGIN CATCH SELECT 'caught' END CATCH", [], 30, "went on"),
        # deferred name resolution
        ("IF 1 = 0 SELECT * FROM nosuch; SELECT 'end'", [], 30, "end"),
        ("IF @@ERROR <> 0 SELECT 'no' ELSE SELECT 'end'", [], 30, "end"),
    ],
)
def test_what_an_error_does(table: Client, server: Server, sql: str, numbers: list[int], total: int, last: str | None) -> None:
    outcome = table.run(sql)
    assert outcome.numbers == numbers
    assert (outcome.results[-1].rows[0][0] if outcome.results and last is not None else None) == last
    assert table.value("SELECT SUM(N) FROM T") == total
    if table.session.in_transaction:
        table.rows("ROLLBACK")
    assert server.client().value("SELECT SUM(N) FROM T") in (30, total)


def test_variables_and_flow(client: Client) -> None:
    assert client.rows(
        """DECLARE @i int = 0, @s nvarchar(100) = N'', @j int;
           WHILE 1 = 1
           BEGIN
               SET @i += 1;
               IF @i = 3 CONTINUE;
               IF @i > 5 BREAK;
               SELECT @s = @s + CAST(@i AS nvarchar(5)) + N',';
           END;
           SELECT @j = a FROM (VALUES (1), (2)) v(a) WHERE 1 = 0;
           SELECT @s, @i, @j;"""
    ) == [("1,2,4,5,", 6, None)]
    assert client.error("DECLARE @a int; DECLARE @a int").number == 134
    assert client.error("SET @nope = 1").number == 137
    assert client.rows("IF 1 = 0 DECLARE @x int = 5; SET @x = ISNULL(@x, 0) + 1; SELECT @x") == [(1,)]
    outcome = client.run("PRINT N'hello'; RAISERROR('low', 5, 2); RETURN; SELECT 1")
    assert [(m.text, m.severity) for m in outcome.messages] == [("hello", 0), ("low", 5)]
    assert not outcome.results


def test_dynamic_sql(client: Client) -> None:
    assert client.rows(
        "DECLARE @out int, @sql nvarchar(100) = N'SET @b = @a * 2; SELECT @a AS a'; EXEC sp_executesql @sql, "
        "N'@a int, @b int OUTPUT', @a = 21, @b = @out OUTPUT; SELECT @out"
    ) == [(42,)]
    assert client.error("EXEC (N'SELECT @x')").number == 137
    assert client.error("EXEC dbo.nosuch").number == 2812
    assert client.error("EXEC sp_executesql N'SELECT @a', N'@a int'").number == 8178
    client.rows("EXEC (N'CREATE TABLE dbo.Made (a int)'); EXEC (N'INSERT dbo.Made VALUES (1)')")
    assert client.rows("SELECT a FROM dbo.Made") == [(1,)]


# --- concurrency ---


def test_readers_see_committed_rows_and_do_not_wait(table: Client, server: Server) -> None:
    other = server.client()
    table.rows("BEGIN TRAN; UPDATE T SET N = 0")
    assert other.value("SELECT SUM(N) FROM T") == 30
    assert table.value("SELECT SUM(N) FROM T") == 0
    table.rows("COMMIT")
    assert other.value("SELECT SUM(N) FROM T") == 0


def test_writers_wait_for_each_other(table: Client, server: Server) -> None:
    other = server.client()
    table.rows("BEGIN TRAN; UPDATE T SET N = N + 1")
    waiting = Background(lambda: other.rows("UPDATE T SET N = N * 2"))
    assert waiting.waits()
    table.rows("COMMIT")
    assert waiting.finish() == []
    assert table.value("SELECT SUM(N) FROM T") == 64


def test_lock_timeout(table: Client, server: Server) -> None:
    other = server.client()
    table.rows("BEGIN TRAN; UPDATE T SET N = N + 1")
    assert other.error("SET LOCK_TIMEOUT 20; UPDATE T SET N = 0").number == 1222
    assert other.value("SELECT @@LOCK_TIMEOUT") == 20


def test_a_reading_transaction_does_not_hold_up_writers(table: Client, server: Server) -> None:
    other = server.client()
    table.rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; BEGIN TRAN; SELECT * FROM T")
    other.rows("SET LOCK_TIMEOUT 0; UPDATE T SET N = 1")
    assert table.error("UPDATE T SET N = 2").number == 1205  # its read was overtaken: no lost update
    assert not table.session.in_transaction
    assert table.value("SELECT SUM(N) FROM T") == 2


def test_update_lock_hint_takes_the_lock_when_reading(table: Client, server: Server) -> None:
    other = server.client()
    table.rows("BEGIN TRAN; SELECT N FROM T WITH (UPDLOCK, HOLDLOCK) WHERE Id = 1")
    assert other.error("SET LOCK_TIMEOUT 0; UPDATE T SET N = 1").number == 1222


def test_snapshot_isolation(table: Client, server: Server) -> None:
    other = server.client()
    assert table.error("SET TRANSACTION ISOLATION LEVEL SNAPSHOT; BEGIN TRAN; SELECT * FROM T").number == 3952
    other.rows("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")
    table.rows("BEGIN TRAN; SELECT * FROM T")
    other.rows("UPDATE T SET N = 0")
    assert table.value("SELECT SUM(N) FROM T") == 30
    assert table.error("UPDATE T SET N = 5").number == 3960
    assert not table.session.in_transaction
    assert table.value("SELECT SUM(N) FROM T") == 0


def test_sessions_write_in_parallel_without_losing_anything(table: Client, server: Server) -> None:
    def work(number: int) -> list[Any]:
        mine = server.client()
        return [
            mine.rows("BEGIN TRAN; UPDATE T SET N = N + 1 WHERE Id = 1; INSERT T VALUES (@i, 0); COMMIT", i=100 * number + i)
            for i in range(25)
        ]

    threads = [Background(lambda n=n: work(n)) for n in range(1, 5)]  # type: ignore[misc]
    assert [len(thread.finish()) for thread in threads] == [25] * 4
    assert table.rows("SELECT N FROM T WHERE Id = 1; SELECT COUNT(*) FROM T") == [(102,)]
    assert table.value("SELECT N FROM T WHERE Id = 1") == 110


GET = """DECLARE @r int;
EXEC @r = sp_getapplock @Resource = N'L', @LockMode = 'Exclusive', @LockOwner = '{owner}', @LockTimeout = {timeout}; SELECT @r"""


def test_application_lock_of_a_transaction(table: Client, server: Server) -> None:
    other = server.client()
    get = GET.format(owner="Transaction", timeout=60)
    assert table.error(get).number == 1223
    table.rows("BEGIN TRAN")
    assert table.value(get) == 0
    assert table.value(get) == 0  # re-entrant
    assert table.value("SELECT APPLOCK_MODE('public', 'L', 'Transaction')") == "Exclusive"
    other.rows("BEGIN TRAN")
    assert other.value(get) == -1
    table.rows("COMMIT")
    assert other.value(get) == 0
    other.rows("ROLLBACK")


def test_application_lock_is_handed_on_in_order(table: Client, server: Server) -> None:
    get = "BEGIN TRAN; " + GET.format(owner="Transaction", timeout=10000)
    assert table.value(get) == 0
    second, third = server.client(), server.client()
    first_waiter = Background(lambda: second.value(get))
    assert first_waiter.waits()
    second_waiter = Background(lambda: third.value(get))
    assert second_waiter.waits()
    table.rows("ROLLBACK")
    assert first_waiter.finish() == 1  # granted after waiting
    assert second_waiter.waits()
    second.session.close()  # a lost connection frees its locks
    assert second_waiter.finish() == 1


def test_application_lock_of_a_session_and_its_release(table: Client, server: Server) -> None:
    other = server.client()
    get = GET.format(owner="Session", timeout=0)
    assert table.value(get) == 0
    assert other.value(get) == -1
    table.rows("EXEC sp_releaseapplock @Resource = N'L', @LockOwner = 'Session'")
    assert other.value(get) == 0
    other.session.reset()
    assert table.value(get) == 0
    assert other.error("EXEC sp_releaseapplock @Resource = N'other', @LockOwner = 'Session'").number == 1223


def test_deadlock_between_application_lock_and_writes(table: Client, server: Server) -> None:
    other = server.client()
    table.rows("BEGIN TRAN; " + GET.format(owner="Transaction", timeout=10000))
    other.rows("BEGIN TRAN; UPDATE T SET N = 0")
    waiting = Background(lambda: table.rows("UPDATE T SET N = 1; COMMIT"))
    assert waiting.waits()
    assert other.value(GET.format(owner="Transaction", timeout=10000)) == -3
    other.rows("ROLLBACK")
    assert waiting.finish() == []
    assert table.value("SELECT SUM(N) FROM T") == 2


def test_cancel_ends_a_wait_and_a_long_query(table: Client, server: Server) -> None:
    other = server.client()
    table.rows("BEGIN TRAN; UPDATE T SET N = 0")
    waiting = Background(lambda: other.run("UPDATE T SET N = 1"))
    assert waiting.waits()
    other.session.cancel()
    assert waiting.finish().numbers == [3617]
    table.rows("ROLLBACK")
    busy = Background(
        lambda: other.run(
            "WITH r AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM r WHERE n < 100000000) SELECT MAX(n) FROM r "
            "OPTION (MAXRECURSION 0)"
        )
    )
    assert busy.waits()
    other.session.cancel()
    assert busy.finish().numbers == [3617]
    assert other.value("SELECT 1") == 1


def test_reset_is_a_new_connection(table: Client) -> None:
    table.rows("SET NOCOUNT ON; SET XACT_ABORT ON; CREATE TABLE #x (a int); BEGIN TRAN; UPDATE T SET N = 0")
    table.session.reset()
    assert not table.session.in_transaction
    assert table.run("UPDATE T SET N = N").counts == [("UPDATE", 2)]
    assert table.error("SELECT * FROM #x").number == 208
    assert table.value("SELECT SUM(N) FROM T") == 30


def test_unknown_database(server: Server) -> None:
    from emulators.sql_server.values.results import SqlError

    with pytest.raises(SqlError) as caught:
        server.client(database="nosuch")
    assert caught.value.number == 4060
    assert server.client(database="master").value("SELECT DB_NAME()") == "master"


# --- durability ---

WRITER = """
import sys
from pathlib import Path
from emulators.clock import Clock
from emulators.sql_server.engine.database import Database
session = Database(Path(sys.argv[1]), Clock()).open_session("sa", "w", "h", None)
def run(sql):
    for event in session.execute(sql): pass
run("CREATE TABLE dbo.A (Id int IDENTITY PRIMARY KEY, B int); CREATE TABLE dbo.S (N int)")
run("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON; ALTER TABLE dbo.A ENABLE CHANGE_TRACKING; INSERT dbo.S VALUES (0)")
print("ready", flush=True)
for i in range(1000000):
    run(f"BEGIN TRAN; INSERT dbo.A (B) VALUES ({i}), ({i}); UPDATE dbo.S SET N = N + 2; COMMIT")
    print(i, flush=True)
"""


def test_committed_data_survives_a_kill(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(tmp_path / "database.sqlite")], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    lines = [process.stdout.readline() for _ in range(40)]
    os.kill(process.pid, signal.SIGKILL)
    lines += process.stdout.readlines()
    process.wait()
    acknowledged = int([line for line in lines if line.endswith("\n")][-1]) + 1
    client = Server(tmp_path).client()
    rows, highest, last = client.rows("SELECT COUNT(*), MAX(Id), MAX(B) FROM dbo.A")[0]
    assert rows in (2 * acknowledged, 2 * acknowledged + 2)
    assert rows == highest == client.value("SELECT N FROM dbo.S") == 2 * (last + 1)
    assert client.value("SELECT CHANGE_TRACKING_CURRENT_VERSION()") == last + 1
    assert client.value("SELECT COUNT(*) FROM CHANGETABLE(CHANGES dbo.A, 0) c") == rows
    assert client.value("INSERT dbo.A (B) OUTPUT inserted.Id VALUES (0)") == rows + 1


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_killed_at_any_instant_it_keeps_whole_transactions_and_their_versions(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "emulators.tests.tsql.crash_harness", str(tmp_path / "database.sqlite"), "90", "20261122"]
    result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=100)
    assert result.returncode == 0, result.stderr
    lives = [json.loads(line) for line in result.stdout.splitlines()]
    assert len(lives) == 90
    for life in lives:
        assert life["exact"], life
        beyond = {"before a commit": [0], "after a commit": [1]}.get(life["instant"], [0, 1])
        assert life["found"] - life["acknowledged"] in beyond, life
    assert len({life["acknowledged"] - life["start"] for life in lives if life["instant"] == "any"}) > 3
    with contextlib.closing(sqlite3.connect(tmp_path / "database.sqlite")) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def test_an_update_alone_may_wait_under_repeatable_read(table: Client, server: Server) -> None:
    other = server.client()
    other.rows("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ; BEGIN TRAN")
    table.rows("BEGIN TRAN; UPDATE T SET N = N + 1")
    waiting = Background(lambda: other.rows("UPDATE T SET N = N + 1; COMMIT"))
    assert waiting.waits()
    table.rows("COMMIT")
    assert waiting.finish() == []
    assert table.value("SELECT SUM(N) FROM T") == 34


def test_shared_application_locks_and_their_upgrade(client: Client, server: Server) -> None:
    shared = GET.format(owner="Transaction", timeout=10000).replace("Exclusive", "Shared")
    exclusive = GET.format(owner="Transaction", timeout=10000)
    other, third = server.client(), server.client()
    assert client.value("BEGIN TRAN; " + shared) == 0
    assert other.value("BEGIN TRAN; " + shared) == 0
    assert third.value("BEGIN TRAN; " + exclusive.replace("10000", "0")) == -1
    waiting = Background(lambda: client.value(exclusive))
    assert waiting.waits()
    assert other.value(exclusive) == -3  # each waits for the other's shared lock
    other.rows("ROLLBACK")
    assert waiting.finish() == 1


def test_assignments_see_each_other_and_the_row_before(table: Client) -> None:
    assert table.rows("DECLARE @a int, @b int; SELECT @a = 1, @b = @a + 1; SELECT @a, @b") == [(1, 2)]
    assert table.rows(
        "DECLARE @s nvarchar(100) = N'', @n int = 0; SELECT @s = @s + CONCAT(t.Id, N','), @n += t.N FROM T t "
        "ORDER BY t.Id DESC; SELECT @s, @n, @@ROWCOUNT"
    ) == [("2,1,", 30, 2)]
    assert table.rows("DECLARE @x int = 5, @y int; SELECT @x = @x + SUM(N), @y = COUNT(*) FROM T; SELECT @x, @y") == [(35, 2)]
    assert table.error("DECLARE @x int = 0, @y int; SELECT @x = SUM(N), @y = @x + 1 FROM T").number == 40517
    assert table.error("DECLARE @x int = 0; UPDATE T SET @x = N = @x + 1").number == 40517


def test_row_count_of_other_statements(table: Client) -> None:
    assert table.rows(
        "UPDATE T SET N = N; DECLARE @a int = @@ROWCOUNT, @b int; SET @b = @@ROWCOUNT; SELECT @a, @b, @@ROWCOUNT"
    ) == [(2, 1, 1)]
    assert table.rows("UPDATE T SET N = N; IF @@ROWCOUNT = 2 SELECT @@ROWCOUNT, @@ERROR") == [(0, 0)]
    assert table.rows("UPDATE T SET N = N; WHILE @@ROWCOUNT = 2 BEGIN SELECT @@ROWCOUNT; BREAK END") == [(0,)]
    assert table.rows("UPDATE T SET N = N; BEGIN TRAN; SELECT @@ROWCOUNT; COMMIT") == [(0,)]
