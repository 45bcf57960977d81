"""``USE master`` and dynamic SQL: what they leave alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.tests.tsql.database import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(Path(tmp_path_factory.mktemp("databases")))
    one = server.client()
    one.rows("CREATE TABLE dbo.T (Id int PRIMARY KEY, A varchar(9)); INSERT dbo.T VALUES (1, 'a')")
    one.rows("EXEC ('CREATE VIEW dbo.V AS SELECT Id FROM T')")
    yield server
    server.database.close()


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT * FROM T", 208),
        ("SELECT * FROM dbo.V", 208),
        ("INSERT dbo.T VALUES (2, 'b')", 208),
        ("UPDATE dbo.T SET A = 'b'", 208),
        ("DELETE T", 208),
        ("TRUNCATE TABLE T", 40517),
        ("CREATE TABLE X (a int)", 40517),
        ("SELECT 1 AS a INTO X", 40517),
        ("DROP TABLE T", 40517),
        ("DROP TABLE IF EXISTS T", 40517),
        ("ALTER TABLE T ADD B int", 40517),
        ("CREATE INDEX i ON T (A)", 40517),
        ("CREATE SCHEMA s", 40517),
        ("CREATE USER u WITHOUT LOGIN", 40517),
        ("GRANT SELECT ON T TO public", 40517),
        ("ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 160", 40517),
        ("EXEC sp_rename 'T', 'T2'", 40517),
        ("SELECT name FROM sys.tables", 40517),
        ("SELECT * FROM INFORMATION_SCHEMA.TABLES", 40517),
        ("SELECT COL_LENGTH('dbo.T', 'A')", 40517),
        ("SELECT OBJECT_NAME(1)", 40517),
    ],
)
@pytest.mark.parametrize("database", ["master", "tempdb"])
def test_another_database_has_no_tables(server: Server, database: str, sql: str, number: int) -> None:
    client = server.client(database=database)
    error = client.error(sql)
    assert (error.number, number != 40517 or database in error.text) == (number, True)
    client.rows("USE rowpost")
    assert client.rows("SELECT Id, A FROM dbo.T") == [(1, "a")]
    assert client.rows("SELECT name FROM sys.tables") == [("T",)]


def test_what_works_in_every_database(server: Server) -> None:
    client = server.client()
    client.rows("USE master; CREATE TABLE #t (a int); INSERT #t VALUES (1); CREATE INDEX i ON #t (a); SELECT 2 AS b INTO #u")
    assert client.rows("SELECT a, b FROM #t CROSS JOIN #u") == [(1, 2)]
    assert client.rows("SELECT Id FROM rowpost.dbo.T UNION ALL SELECT Id FROM rowpost.dbo.V") == [(1,), (1,)]
    assert client.value("SELECT COUNT(*) FROM sys.databases") == 3
    assert client.value("SELECT COUNT(*) FROM rowpost.sys.tables") == 1
    names = "SELECT OBJECT_ID('T'), OBJECT_ID('master.dbo.T'), CHANGE_TRACKING_CURRENT_VERSION(), DB_NAME()"
    assert client.rows(names) == [(None, None, None, "master")]
    assert client.value("SELECT OBJECT_ID('rowpost.dbo.T')") is not None
    assert client.value("SELECT OBJECT_ID('tempdb..#t')") is not None
    client.rows("CREATE LOGIN other WITH PASSWORD = 'Rowpost!2026x'; ALTER DATABASE rowpost SET COMPATIBILITY_LEVEL = 160")
    client.rows("DROP TABLE #t; DROP LOGIN other; USE rowpost")
    assert client.error("SELECT * FROM master.dbo.T").number == 208
    assert client.value("SELECT COUNT(*) FROM dbo.T") == 1


def test_a_statement_that_ran_here_is_not_run_there(server: Server) -> None:
    client = server.client()
    sql = "SELECT COUNT(*) FROM dbo.T"
    assert client.value(sql) == 1
    client.rows("USE master")
    assert client.error(sql).number == 208


@pytest.mark.parametrize("call", ["EXEC (N'{}')", "EXEC sp_executesql N'{}'"])
def test_what_dynamic_sql_sets_ends_with_it(server: Server, call: str) -> None:
    client = server.client()
    inner = (
        "USE master; SET NOCOUNT ON; SET XACT_ABORT ON; SET LOCK_TIMEOUT 5; SET DEADLOCK_PRIORITY LOW; "
        "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; SELECT DB_NAME(), @@LOCK_TIMEOUT, @@OPTIONS & 512, @@OPTIONS & 16384"
    )
    assert client.rows(call.format(inner)) == [("master", 5, 512, 16384)]
    assert client.rows("SELECT DB_NAME(), @@LOCK_TIMEOUT, @@OPTIONS & 512, @@OPTIONS & 16384") == [("rowpost", -1, 0, 0)]
    level = "SELECT transaction_isolation_level FROM sys.dm_exec_sessions WHERE session_id = @@SPID"
    assert client.value(level) == 2
    assert client.run(call.format("USE master; SELECT 1 / 0")).numbers == [8134]
    assert client.value("SELECT DB_NAME()") == "rowpost"
