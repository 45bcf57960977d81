"""Sequences and alias types in the SQL Server emulator."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    running = Server(Path(tmp_path_factory.mktemp("sequences")))
    running.client().rows("CREATE SEQUENCE dbo.Any AS int START WITH 1")
    yield running
    running.database.close()


@pytest.fixture
def client(server: Server) -> Client:
    return server.client()


def test_a_sequence_gives_one_value_for_each_row(client: Client) -> None:
    client.rows("CREATE SEQUENCE dbo.S AS int START WITH 10 INCREMENT BY 5")
    assert client.value("SELECT NEXT VALUE FOR S") == 10
    assert client.rows("SELECT NEXT VALUE FOR dbo.S AS N, value FROM GENERATE_SERIES(1, 2)") == [(15, 1), (20, 2)]
    assert client.value("DECLARE @n int = NEXT VALUE FOR dbo.S; SET @n += NEXT VALUE FOR dbo.S; SELECT @n") == 25 + 30
    client.rows(
        "CREATE TABLE #t (Id int PRIMARY KEY, T varchar(20) NULL); INSERT #t (Id) VALUES (NEXT VALUE FOR S), (NEXT VALUE FOR S)"
    )
    client.rows("UPDATE #t SET T = 'n' + CAST(NEXT VALUE FOR dbo.S AS varchar(9))")
    assert client.rows("SELECT * FROM #t") == [(35, "n45"), (40, "n50")]
    columns = client.columns("SELECT NEXT VALUE FOR S AS N")
    assert (columns[0].name, columns[0].type.name) == ("N", "int")


def test_a_sequence_as_default(client: Client) -> None:
    client.rows(
        "CREATE SEQUENCE dbo.D START WITH 1; CREATE TABLE dbo.T (Id bigint CONSTRAINT DF_Id DEFAULT NEXT VALUE FOR dbo.D, T int)"
    )
    client.rows("INSERT dbo.T (T) VALUES (1), (2); INSERT dbo.T (T) SELECT 3 UNION ALL SELECT 4; INSERT dbo.T DEFAULT VALUES")
    assert client.rows("INSERT dbo.T (T) OUTPUT inserted.Id VALUES (5)") == [(6,)]
    client.rows("MERGE dbo.T AS t USING (VALUES (7)) AS s (T) ON t.T = s.T WHEN NOT MATCHED THEN INSERT (T) VALUES (s.T);")
    assert client.rows("SELECT Id FROM dbo.T ORDER BY Id") == [(number,) for number in range(1, 8)]
    assert client.error("DROP SEQUENCE dbo.D").number == 3729
    client.rows("DROP TABLE dbo.T; DROP SEQUENCE IF EXISTS dbo.D, dbo.None")
    assert client.error("DROP SEQUENCE dbo.D").number == 3701


def test_a_rollback_takes_no_value_back_and_a_restart_gives_none_twice(tmp_path: Path) -> None:
    server = Server(tmp_path)
    client = server.client()
    client.rows("CREATE SEQUENCE dbo.R AS bigint START WITH 1")
    assert client.value("BEGIN TRANSACTION; SELECT NEXT VALUE FOR dbo.R; ROLLBACK") == 1
    assert client.value("SELECT NEXT VALUE FOR dbo.R") == 2
    server.reopen()
    assert server.client().value("SELECT NEXT VALUE FOR dbo.R") == 3
    server.database.close()


def test_limits_cycles_and_restarts(client: Client) -> None:
    client.rows(
        "CREATE SEQUENCE dbo.C AS tinyint MINVALUE 1 MAXVALUE 2 CYCLE CACHE 10; CREATE SEQUENCE dbo.E AS tinyint START WITH 255"
    )
    assert [client.value("SELECT NEXT VALUE FOR dbo.C") for _ in range(3)] == [1, 2, 1]
    assert client.value("SELECT NEXT VALUE FOR dbo.E") == 255
    assert client.error("SELECT NEXT VALUE FOR dbo.E").number == 11728
    client.rows("ALTER SEQUENCE dbo.E RESTART WITH 7 INCREMENT BY -1 NO CYCLE")
    assert client.value("SELECT NEXT VALUE FOR dbo.E") == 7
    assert client.value("SELECT NEXT VALUE FOR dbo.E") == 6
    assert client.value("ALTER SEQUENCE dbo.E RESTART; SELECT NEXT VALUE FOR dbo.E") == 7
    down = "CREATE SEQUENCE dbo.Down AS decimal(5, 0) INCREMENT BY -1 NO MAXVALUE; SELECT NEXT VALUE FOR dbo.Down"
    assert str(client.value(down)) == "99999"


def test_sys_sequences(client: Client) -> None:
    client.rows("CREATE SEQUENCE dbo.View1 AS int START WITH 10 INCREMENT BY 5 NO CACHE")
    sql = (
        "SELECT current_value, start_value, increment, minimum_value, maximum_value, is_cycling, is_cached, cache_size, scale, "
        "type FROM sys.sequences WHERE name = 'View1'"
    )
    assert client.rows(sql) == [(10, 10, 5, -(2**31), 2**31 - 1, 0, 0, None, 0, "SO")]
    client.rows("SELECT NEXT VALUE FOR dbo.View1; SELECT NEXT VALUE FOR dbo.View1")
    assert client.rows(sql)[0][0] == 15
    assert client.value("SELECT type_desc FROM sys.objects WHERE object_id = OBJECT_ID('dbo.View1', 'SO')") == "SEQUENCE_OBJECT"


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("CREATE SEQUENCE dbo.Any", 2714),
        ("CREATE TABLE dbo.Any (A int)", 2714),
        ("CREATE SEQUENCE dbo.X AS float", 11702),
        ("CREATE SEQUENCE dbo.X AS decimal(5, 2)", 11702),
        ("CREATE SEQUENCE dbo.X INCREMENT BY 0", 11700),
        ("CREATE SEQUENCE dbo.X START WITH 5 MINVALUE 6", 11703),
        ("CREATE SEQUENCE dbo.X AS tinyint MAXVALUE 300", 40517),
        ("ALTER SEQUENCE dbo.None RESTART", 208),
        ("SELECT NEXT VALUE FOR dbo.None", 208),
        ("CREATE TABLE #x (A int); SELECT (SELECT NEXT VALUE FOR dbo.Any)", 11719),
        ("SELECT * FROM (SELECT NEXT VALUE FOR dbo.Any AS N) q", 11719),
        ("WITH q AS (SELECT NEXT VALUE FOR dbo.Any AS N) SELECT * FROM q", 11719),
        ("EXEC ('CREATE VIEW dbo.V AS SELECT NEXT VALUE FOR dbo.Any AS N')", 11719),
        ("CREATE TABLE dbo.Y (A int CHECK (A > NEXT VALUE FOR dbo.Any))", 11719),
        ("CREATE TABLE dbo.Y (A AS NEXT VALUE FOR dbo.Any)", 11719),
        ("SELECT CASE WHEN 1 = 1 THEN NEXT VALUE FOR dbo.Any END", 11741),
        ("SELECT ISNULL(NEXT VALUE FOR dbo.Any, 1)", 11741),
        ("SELECT DISTINCT NEXT VALUE FOR dbo.Any", 40517),
        ("SELECT TOP (1) NEXT VALUE FOR dbo.Any", 40517),
        ("SELECT NEXT VALUE FOR dbo.Any ORDER BY 1", 40517),
        ("SELECT MAX(NEXT VALUE FOR dbo.Any)", 40517),
        ("SELECT 1 WHERE NEXT VALUE FOR dbo.Any = 1", 40517),
        ("SELECT NEXT VALUE FOR dbo.Any, NEXT VALUE FOR dbo.Any", 40517),
        ("SELECT NEXT VALUE FOR dbo.Any OVER (ORDER BY name) FROM sys.tables", 40517),
    ],
)
def test_where_a_sequence_may_not_stand(client: Client, sql: str, number: int) -> None:
    before = client.value("SELECT current_value FROM sys.sequences WHERE name = 'Any'")
    assert client.error(sql).number == number
    assert client.value("SELECT current_value FROM sys.sequences WHERE name = 'Any'") == before


def test_alias_types(client: Client) -> None:
    client.rows("CREATE TYPE dbo.Phone FROM varchar(20) NOT NULL; CREATE TYPE Name FROM nvarchar(50)")
    client.rows("CREATE TABLE dbo.P (A Phone, B dbo.Name, C [dbo].[Phone] NULL); INSERT dbo.P VALUES ('1', NULL, NULL)")
    assert client.error("INSERT dbo.P VALUES (NULL, NULL, NULL)").number == 515
    sql = (
        "SELECT name, TYPE_NAME(user_type_id), TYPE_NAME(system_type_id), max_length, is_nullable FROM sys.columns "
        "WHERE object_id = {}"
    )
    assert client.rows(sql.format("OBJECT_ID('dbo.P')")) == [
        ("A", "Phone", "varchar", 20, 0),
        ("B", "Name", "nvarchar", 100, 1),
        ("C", "Phone", "varchar", 20, 1),
    ]
    assert client.rows("SELECT name, is_nullable FROM sys.types WHERE is_user_defined = 1") == [("Phone", 0), ("Name", 1)]
    client.rows("ALTER TABLE dbo.P ALTER COLUMN B Phone NULL; ALTER TABLE dbo.P ADD D Name")
    assert [row[1] for row in client.rows(sql.format("OBJECT_ID('dbo.P')"))] == ["Phone", "Phone", "Phone", "Name"]
    assert client.value("DECLARE @p Phone = REPLICATE('x', 30); SELECT LEN(@p)") == 20
    assert client.value("DECLARE @t TABLE (P Phone); INSERT @t VALUES ('z'); SELECT P FROM @t") == "z"
    assert client.error("DROP TYPE dbo.Phone").number == 3732
    client.rows("DROP TABLE dbo.P; DROP TYPE Phone; DROP TYPE IF EXISTS dbo.Phone, dbo.Name")


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("CREATE TABLE #q (A Code)", 2715),
        ("CREATE TABLE dbo.Q (A Nothing)", 2715),
        ("DECLARE @x Nothing", 2715),
        ("CREATE TABLE dbo.Q (A Code(10))", 2716),
        ("SELECT CAST('a' AS Code)", 243),
        ("CREATE TYPE dbo.Code FROM int", 219),
        ("CREATE TYPE dbo.Other FROM Code", 222),
        ("CREATE TYPE dbo.Other FROM xml", 222),
        ("CREATE TYPE dbo.Other AS TABLE (A int)", 40517),
        ("DROP TYPE dbo.Nothing", 218),
    ],
)
def test_what_is_no_type(client: Client, sql: str, number: int) -> None:
    client.run("CREATE TYPE dbo.Code FROM char(3)")
    assert client.error(sql).number == number
