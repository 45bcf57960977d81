"""sql_variant in the SQL Server emulator."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from emulators.sql_server.values.results import SqlType, Variant
from emulators.tests.tsql.database import Client, Server

PROPERTIES = ("BaseType", "Precision", "Scale", "MaxLength", "Collation")
ASK = ", ".join(f"CAST(SQL_VARIANT_PROPERTY(V, '{name}') AS nvarchar(128))" for name in PROPERTIES)
COLLATION = "SQL_Latin1_General_CP1_CI_AS"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("CAST(7 AS int)", ("int", "10", "0", "4", None)),
        ("CAST(7 AS bigint)", ("bigint", "19", "0", "8", None)),
        ("CAST(1 AS bit)", ("bit", "1", "0", "1", None)),
        ("CAST(1.25 AS decimal(9, 4))", ("decimal", "9", "4", "5", None)),
        ("CAST(1.5 AS float)", ("float", "53", "0", "8", None)),
        ("CAST(N'abc' AS nvarchar(10))", ("nvarchar", "0", "0", "20", COLLATION)),
        ("'abc'", ("varchar", "0", "0", "3", COLLATION)),
        ("CAST('2026-01-02 03:04:05.678' AS datetime2(3))", ("datetime2", "23", "3", "7", None)),
        ("CAST('2026-01-02' AS date)", ("date", "10", "0", "3", None)),
        ("CAST(0x0102 AS varbinary(4))", ("varbinary", "0", "0", "4", None)),
        ("CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier)", ("uniqueidentifier", "0", "0", "16", None)),
        ("NULL", (None, None, None, None, None)),
    ],
)
def test_the_base_type_is_kept(client: Client, value: str, expected: tuple[Any, ...]) -> None:
    client.rows(f"CREATE TABLE dbo.S (V sql_variant); INSERT dbo.S VALUES ({value})")
    assert client.rows(f"SELECT {ASK} FROM dbo.S") == [expected]


def test_conversions_and_variables(client: Client, server: Server) -> None:
    client.rows("CREATE TABLE dbo.S (Id int, V sql_variant); INSERT dbo.S VALUES (1, CAST('2026-03-04T05:06:07' AS datetime))")
    client.rows("INSERT dbo.S VALUES (2, 5.25)")
    server.reopen()
    again = server.client()
    assert again.value("SELECT CONVERT(varchar(30), V, 126) FROM dbo.S WHERE Id = 1") == "2026-03-04T05:06:07"
    assert again.value("SELECT CONVERT(varchar(10), V, 104) FROM dbo.S WHERE Id = 1") == "04.03.2026"
    assert again.value("SELECT CAST(V AS decimal(9, 1)) FROM dbo.S WHERE Id = 2") == Decimal("5.3")
    assert again.value("DECLARE @v sql_variant = CAST(3 AS smallint); SELECT @v") == Variant(SqlType("smallint"), 3)
    assert again.value("SELECT ISNULL(V, 1) FROM dbo.S WHERE Id = 2").value == Decimal("5.25")
    again.rows("UPDATE dbo.S SET V = N'x' WHERE V IS NOT NULL AND Id = 2")
    assert again.value("SELECT V FROM dbo.S WHERE Id = 2") == Variant(SqlType("nvarchar", 1), "x")
    assert again.rows("SELECT system_type_id, max_length, TYPE_NAME(user_type_id) FROM sys.columns WHERE name = 'V'") == [
        (98, 8016, "sql_variant")
    ]


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT LEN(V) FROM dbo.S", 257),
        ("SELECT V + 1 FROM dbo.S", 257),
        ("INSERT dbo.S (N) SELECT V FROM dbo.S", 257),
        ("SELECT 1 FROM dbo.S WHERE V IS DISTINCT FROM 1", 40517),
        ("SELECT 1 FROM dbo.S WHERE V IN (SELECT V FROM dbo.S)", 40517),
        ("SELECT DISTINCT V FROM dbo.S", 40517),
        ("SELECT V FROM dbo.S GROUP BY V", 40517),
        ("SELECT V FROM dbo.S ORDER BY V", 40517),
        ("SELECT V FROM dbo.S ORDER BY 1", 40517),
        ("SELECT MAX(V) FROM dbo.S", 40517),
        ("SELECT V FROM dbo.S UNION SELECT V FROM dbo.S", 40517),
        ("SELECT COALESCE(V, 1) FROM dbo.S", 40517),
        ("SELECT CASE WHEN 1 = 1 THEN V ELSE 2 END FROM dbo.S", 40517),
        ("SELECT V FROM dbo.S FOR JSON PATH", 40517),
        ("SELECT CONCAT(V, 'x') FROM dbo.S", 257),
        ("INSERT dbo.S (V) VALUES (CAST('x' AS varchar(max)))", 206),
        ("INSERT dbo.S (V) VALUES (1), ('x')", 40517),
        ("INSERT dbo.S (V) EXEC (N'SELECT V FROM dbo.S')", 40517),
        ("CREATE INDEX i ON dbo.S (V)", 40517),
        ("ALTER TABLE dbo.S ALTER COLUMN V ADD MASKED WITH (FUNCTION = 'default()')", 40517),
    ],
)
def test_refusals(client: Client, sql: str, number: int) -> None:
    client.rows("CREATE TABLE dbo.S (V sql_variant, N int); INSERT dbo.S VALUES (1, 1)")
    assert client.error(sql).number == number


def test_the_session_context(client: Client) -> None:
    client.rows("EXEC sp_set_session_context N'a', 2; EXEC sp_set_session_context @key = N'B', @value = N'x', @read_only = 1")
    assert client.rows("SELECT SESSION_CONTEXT(N'A'), SESSION_CONTEXT(N'b'), SESSION_CONTEXT(N'c')") == [
        (Variant(SqlType("int"), 2), Variant(SqlType("nvarchar", 1), "x"), None)
    ]
    assert client.value("SELECT CAST(SESSION_CONTEXT(N'a') AS int) + 1") == 3
    assert client.value("SELECT 1 WHERE SESSION_CONTEXT(N'a') = 2") == 1
    assert client.error("EXEC sp_set_session_context N'b', N'y'").number == 15664
    client.session.reset()
    assert client.value("SELECT SESSION_CONTEXT(N'b')") is None


@pytest.mark.parametrize(
    ("smaller", "larger"),
    [
        ("CAST(1 AS int)", "CAST(2 AS bigint)"),
        ("CAST(1.5 AS decimal(5, 2))", "CAST(2 AS tinyint)"),
        ("CAST(1 AS money)", "CAST(1.00001 AS numeric(9, 5))"),
        ("CAST(99 AS int)", "CAST(0.5 AS float)"),  # approximate numbers are the higher family
        ("'99'", "CAST(1 AS int)"),
        ("CAST(9 AS float)", "CAST('2026-01-01' AS date)"),
        ("0xFF", "'a'"),
        ("CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier)", "0x00"),
        ("'ABC'", "N'abd'"),
        ("CAST('2026-01-01' AS date)", "CAST('2026-01-01T00:00:01' AS datetime)"),
        ("CAST('2026-01-01T10:00:00+02:00' AS datetimeoffset(0))", "CAST('2026-01-01T09:00:00+00:00' AS datetimeoffset(3))"),
        ("0x01", "0x02"),
    ],
)
def test_comparisons(client: Client, smaller: str, larger: str) -> None:
    a, b = f"CAST({smaller} AS sql_variant)", f"CAST({larger} AS sql_variant)"
    signs = [
        (f"{a} {sign} {b}", f"{b} {sign} {a}", f"{a} {sign} {larger}", f"{larger} {sign} {a}")
        for sign in ("<", "<=", "=", "<>", ">", ">=")
    ]
    asked = ", ".join(f"CASE WHEN {test} THEN 1 ELSE 0 END" for row in signs for test in row)
    expected = [(1, 0, 1, 0), (1, 0, 1, 0), (0, 0, 0, 0), (1, 1, 1, 1), (0, 1, 0, 1), (0, 1, 0, 1)]
    assert client.rows(f"SELECT {asked}") == [tuple(number for row in expected for number in row)]


@pytest.mark.parametrize(
    ("left", "right"), [("1", "CAST(1.00 AS money)"), ("N'a'", "'A'"), ("CAST(1 AS bit)", "CAST(1 AS bigint)")]
)
def test_equal_values_of_different_types(client: Client, left: str, right: str) -> None:
    given = f"CAST({left} AS sql_variant)"
    assert client.value(f"SELECT 1 WHERE {given} = {right} AND {given} IN (0xFF, {right})") == 1
    assert client.rows(f"SELECT 1 WHERE {given} = NULL OR {given} NOT IN (NULL, 5)") == []


def test_property_functions_give_variants_of_the_documented_types(client: Client) -> None:
    client.rows("CREATE TABLE dbo.S (A int)")
    asked = {
        "SERVERPROPERTY('EngineEdition')": Variant(SqlType("int"), 3),
        "SERVERPROPERTY('IsClustered')": Variant(SqlType("int"), 0),
        "SERVERPROPERTY('EditionID')": Variant(SqlType("bigint"), -2117995310),
        "SERVERPROPERTY('ProductMajorVersion')": Variant(SqlType("nvarchar", 128), "16"),
        "SERVERPROPERTY('InstanceName')": None,
        "SERVERPROPERTY('nothing')": None,
        "DATABASEPROPERTYEX('rowpost', 'Status')": Variant(SqlType("nvarchar", 128), "ONLINE"),
        "DATABASEPROPERTYEX('rowpost', 'IsAutoClose')": Variant(SqlType("int"), 0),
        "OBJECTPROPERTYEX(OBJECT_ID('dbo.S'), 'IsTable')": Variant(SqlType("int"), 1),
        "ISNULL(SERVERPROPERTY('InstanceName'), N'MSSQLSERVER')": Variant(SqlType("nvarchar", 11), "MSSQLSERVER"),
    }
    (row,) = client.rows(f"SELECT {', '.join(asked)}")
    assert row == tuple(asked.values())
    assert [column.type.name for column in client.columns(f"SELECT {', '.join(asked)}")] == ["sql_variant"] * len(asked)
    assert client.value("SELECT CASE SERVERPROPERTY('EngineEdition') WHEN 5 THEN 'cloud' ELSE 'server' END") == "server"
    assert client.value("IF SERVERPROPERTY('EngineEdition') <> 5 SELECT 'server'") == "server"
    assert client.value("SELECT 1 WHERE SERVERPROPERTY('Edition') > N'A' AND SERVERPROPERTY('EngineEdition') IN (2, 3, 4)") == 1
    assert client.error("SELECT SERVERPROPERTY('EngineEdition') + 1").number == 257
