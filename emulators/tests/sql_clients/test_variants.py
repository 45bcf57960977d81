"""sql_variant through pyodbc and Microsoft's driver."""

from __future__ import annotations

import contextlib
import datetime
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import pyodbc
import pytest

from emulators.launch import SqlServer


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pyodbc.Connection]:
    pyodbc.pooling = False
    with SqlServer(tmp_path_factory.mktemp("variants"), "real") as server, contextlib.closing(server.connect()) as opened:
        opened.execute("CREATE TABLE dbo.S (Id int IDENTITY PRIMARY KEY, V sql_variant)")
        yield opened


def read(connection: pyodbc.Connection, value: str) -> Any:
    connection.execute(f"INSERT dbo.S VALUES ({value})")
    with contextlib.closing(connection.cursor()) as cursor:
        return cursor.execute("SELECT TOP (1) V FROM dbo.S ORDER BY Id DESC").fetchval()


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("CAST(1 AS bit)", True),
        ("CAST(1.25 AS decimal(9, 4))", Decimal("1.2500")),
        ("CAST(1.25 AS numeric(20, 2))", Decimal("1.25")),
        ("CAST(1.25 AS money)", Decimal("1.2500")),
        ("CAST(1.25 AS smallmoney)", Decimal("1.2500")),
        ("CAST(1.5 AS float)", 1.5),
        ("CAST(1.5 AS real)", 1.5),
        ("N'ä😀'", "ä😀"),
        ("'abc'", "abc"),
        ("CAST(N'ab' AS nchar(4))", "ab  "),
        ("CAST('2026-01-02 03:04:05.678' AS datetime2(3))", datetime.datetime(2026, 1, 2, 3, 4, 5, 678000)),
        ("CAST('2026-01-02 03:04:05' AS datetime)", datetime.datetime(2026, 1, 2, 3, 4, 5)),
        ("CAST('2026-01-02 03:04' AS smalldatetime)", datetime.datetime(2026, 1, 2, 3, 4)),
        ("CAST('2026-01-02' AS date)", datetime.date(2026, 1, 2)),
        ("0x0102", b"\x01\x02"),
        ("CAST('6F9619FF-8B86-D011-B42D-00C04FC964FF' AS uniqueidentifier)", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
    ],
)
def test_values(connection: pyodbc.Connection, value: str, expected: Any) -> None:
    assert read(connection, value) == expected


@pytest.mark.parametrize("kind", ["tinyint", "smallint", "int", "bigint"])
def test_pyodbc_reads_no_integers_out_of_a_variant(connection: pyodbc.Connection, kind: str) -> None:
    """It takes the C type that the driver names for an SQL type."""
    with pytest.raises(pyodbc.ProgrammingError, match="is not yet supported"):
        read(connection, f"CAST(7 AS {kind})")
    assert connection.execute("SELECT TOP (1) CONVERT(bigint, V) FROM dbo.S ORDER BY Id DESC").fetchval() == 7


def test_pyodbc_takes_null_in_a_variant_for_an_empty_string_and_times_for_bytes(connection: pyodbc.Connection) -> None:
    assert read(connection, "NULL") == ""
    assert connection.execute("SELECT TOP (1) CONVERT(nvarchar(10), V) FROM dbo.S ORDER BY Id DESC").fetchval() is None
    assert read(connection, "CAST('03:04:05' AS time(3))") == b"\x03\0\x04\0\x05" + bytes(7)
    assert len(read(connection, "CAST('2026-01-02 03:04:05 +02:00' AS datetimeoffset(3))")) == 20


def test_properties_and_parameters(connection: pyodbc.Connection) -> None:
    connection.execute("INSERT dbo.S VALUES (?)", "text")
    ask = "SELECT TOP (1) SQL_VARIANT_PROPERTY(V, '{}') FROM dbo.S ORDER BY Id DESC"
    assert connection.execute(ask.format("BaseType")).fetchval() == "nvarchar"
    with pytest.raises(pyodbc.Error, match="40517"):
        connection.execute(ask.format("MaxLength"))
    assert connection.execute("SELECT TOP (1) CONVERT(nvarchar(50), V, 126) FROM dbo.S ORDER BY Id DESC").fetchval() == "text"
