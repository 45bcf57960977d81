"""What the definition of a table may not say: the numbers are those of the real server."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("definitions")))
    one = server.client()
    one.rows(
        "CREATE TABLE dbo.P (Id int PRIMARY KEY, D decimal(9, 2) NOT NULL UNIQUE, V varchar(10) NOT NULL UNIQUE, "
        "B varbinary(8) NOT NULL UNIQUE, M numeric(9, 2) NOT NULL UNIQUE)"
    )
    yield one
    server.database.close()


@pytest.mark.parametrize(
    ("columns", "number"),
    [
        ("a int(4)", 2716),
        ("a datetime(3)", 2716),
        ("a real(24)", 2716),
        ("a float(54)", 2750),
        ("a decimal(39, 1)", 2750),
        ("a decimal(5, 6)", 192),
        ("a decimal(0)", 1001),
        ("a varchar(0)", 1001),
        ("a char(max)", 102),
        ("a varchar(-1)", 102),
        ("a varchar(8001)", 131),
        ("a time(8)", 1002),
        ("a rowversion, b timestamp", 2738),
        ("a tinyint IDENTITY(300, 1)", 2752),
        ("a decimal(3) IDENTITY(1000, 1)", 2752),
        ("a int IDENTITY(1, 0)", 2753),
        ("a int IDENTITY DEFAULT 1", 1754),
        ("a int IDENTITY NULL", 2749),
        ("a int DEFAULT 1 DEFAULT 2", 8148),
        ("a int CHECK (EXISTS (SELECT 1))", 1046),
        ("a int CHECK (a IN (SELECT Id FROM dbo.P))", 1046),
        ("a int DEFAULT (SELECT 1)", 1046),
        ("a int, b AS (SELECT 1)", 1046),
        ("a int DEFAULT NEWSEQUENTIALID()", 302),
        ("a varchar(40) DEFAULT CAST(NEWSEQUENTIALID() AS varchar(40))", 302),
        ("a bigint REFERENCES dbo.P", 1778),
        ("a nvarchar(10) REFERENCES dbo.P (V)", 1778),
        ("a varchar(20) REFERENCES dbo.P (V)", 1753),
        ("a decimal(9, 3) REFERENCES dbo.P (D)", 1753),
        ("a varchar(10) COLLATE Latin1_General_CS_AS REFERENCES dbo.P (V)", 1757),
        ("a decimal(9, 2) REFERENCES dbo.P (M)", 40517),
        ("a varbinary(8) REFERENCES dbo.P (B)", 40517),
        ("a int NOT NULL REFERENCES dbo.P ON DELETE SET NULL", 1761),
        ("a int NOT NULL REFERENCES dbo.P ON UPDATE SET DEFAULT", 1762),
        ("a int, CONSTRAINT K PRIMARY KEY (a, A)", 1909),
        ("a int, INDEX i (a) INCLUDE (a)", 1909),
        ("a int ROWGUIDCOL", 40517),
        ("a int, INDEX i CLUSTERED COLUMNSTORE", 40517),
        ("a int, INDEX i HASH (a) WITH (BUCKET_COUNT = 8)", 40517),
        ("a int PRIMARY KEY WITH (IGNORE_DUP_KEY = ON)", 40517),
    ],
)
def test_a_table_that_cannot_be(client: Client, columns: str, number: int) -> None:
    assert client.error(f"CREATE TABLE dbo.Bad ({columns})").number == number
    assert client.value("SELECT OBJECT_ID('dbo.Bad')") is None


@pytest.mark.parametrize(
    "columns",
    [
        "a int REFERENCES dbo.P ON DELETE SET NULL",
        "a int NOT NULL DEFAULT 1 REFERENCES dbo.P ON DELETE SET DEFAULT",
        "a varchar(10) COLLATE SQL_Latin1_General_CP1_CI_AS REFERENCES dbo.P (V)",
        "a tinyint IDENTITY(255, 1), b float(53), c decimal(38, 38), d varchar(max), e varbinary(max)",
        "a int PRIMARY KEY WITH (FILLFACTOR = 80, DATA_COMPRESSION = PAGE ON PARTITIONS (1), IGNORE_DUP_KEY = OFF)",
        "a uniqueidentifier ROWGUIDCOL, b int",
    ],
)
def test_a_table_that_can_be(client: Client, columns: str) -> None:
    client.rows(f"CREATE TABLE dbo.Good ({columns}); DROP TABLE dbo.Good")


@pytest.mark.parametrize(
    ("sql", "option"),
    [
        ("CREATE TABLE dbo.Bad (a int) WITH (MEMORY_OPTIMIZED = ON)", "MEMORY_OPTIMIZED"),
        ("CREATE TABLE dbo.Bad (a int) WITH (SYSTEM_VERSIONING = ON)", "SYSTEM_VERSIONING"),
        ("CREATE TABLE dbo.Bad (a int) WITH (DATA_COMPRESSION = ROW, LEDGER = ON)", "LEDGER"),
        ("CREATE INDEX i ON dbo.P (D) WITH (DROP_EXISTING = ON)", "DROP_EXISTING"),
        ("CREATE INDEX i ON dbo.P (D) WITH (FILLFACTOR = 50, COMPRESSION_DELAY = 5)", "COMPRESSION_DELAY"),
    ],
)
def test_options_that_change_more_than_storage_are_named(client: Client, sql: str, option: str) -> None:
    error = client.error(sql)
    assert (error.number, option in error.text) == (40517, True)


def test_a_sysname_is_not_null_unless_it_is_said(client: Client) -> None:
    client.rows("CREATE TABLE dbo.Names (A sysname, B sysname NULL, C nvarchar(128))")
    sql = "SELECT name, is_nullable FROM sys.columns WHERE object_id = OBJECT_ID('dbo.Names') ORDER BY name"
    assert client.rows(sql) == [("A", 0), ("B", 1), ("C", 1)]


def test_sequential_identifiers_grow(client: Client) -> None:
    client.rows("CREATE TABLE dbo.Rows (N int IDENTITY, G uniqueidentifier DEFAULT NEWSEQUENTIALID())")
    for _ in range(20):
        client.rows("INSERT dbo.Rows DEFAULT VALUES")
    found = [row for (row,) in client.rows("SELECT G FROM dbo.Rows ORDER BY N")]
    assert found == sorted(set(found))
    assert client.error("SELECT NEWSEQUENTIALID()").number == 302


def test_indexes_in_the_definition_of_a_table_variable(client: Client) -> None:
    sql = "DECLARE @t TABLE (A int, B int, INDEX IX UNIQUE (A), INDEX IY NONCLUSTERED (B DESC)); INSERT @t VALUES (1, 1), (2, 1)"
    client.rows(sql)
    assert client.error(f"{sql}; INSERT @t VALUES (2, 3)").number == 2601


def test_columns_that_scaffolding_asks_for(client: Client) -> None:
    assert client.rows("SELECT history_table_id, temporal_type FROM sys.tables WHERE name = 'P'") == [(None, 0)]
    client.rows("CREATE VIEW dbo.Scaffolded AS SELECT 1 AS N")
    assert client.rows("SELECT is_date_correlation_view FROM sys.views WHERE name = 'Scaffolded'") == [(0,)]
    assert client.rows("SELECT name FROM sys.sequences") == []


@pytest.mark.parametrize(
    ("change", "number"),
    [
        ("D decimal(9, 3)", 5074),  # in an index
        ("D decimal(9, 2) NOT NULL", 5074),
        ("V varchar(5)", 5074),
        ("V nvarchar(20)", 5074),
        ("V varchar(20) NOT NULL", 5074),
        ("V varchar(20) COLLATE Latin1_General_CS_AS", 5074),
        ("F nvarchar(9) DEFAULT 'x'", 156),
        ("F nvarchar(9) NOT NULL UNIQUE", 156),
        ("F int IDENTITY", 156),
        ("F rowversion", 4927),
        ("R binary(8)", 4928),
    ],
)
def test_a_column_that_cannot_be_altered_so(client: Client, change: str, number: int) -> None:
    client.rows(
        "CREATE TABLE dbo.Altered (D decimal(9, 2), V varchar(10), F nvarchar(9), R rowversion, INDEX ID (D), INDEX IV (V)); "
        "INSERT dbo.Altered (D, V, F) VALUES (1.25, 'abc', N'f')"
    )
    try:
        assert client.error(f"ALTER TABLE dbo.Altered ALTER COLUMN {change}").number == number
        client.rows(
            "ALTER TABLE dbo.Altered ALTER COLUMN V varchar(20); ALTER TABLE dbo.Altered ALTER COLUMN F nvarchar(5) NOT NULL"
        )
        assert client.rows("SELECT CAST(D AS varchar(9)), V, F FROM dbo.Altered") == [("1.25", "abc", "f")]
    finally:
        client.rows("DROP TABLE dbo.Altered")
