"""Halves of surrogate pairs in nvarchar, through pyodbc and Microsoft's driver."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pyodbc
import pytest

from emulators.launch import SqlServer

FACE = "\U0001f600"
HIGH, LOW = "\ud83d", "\ude00"


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[pyodbc.Connection]:
    pyodbc.pooling = False
    with SqlServer(tmp_path_factory.mktemp("halves"), "real") as server, contextlib.closing(server.connect()) as opened:
        # what the driver got, as UTF-16: pyodbc's own decoder refuses halves
        opened.setdecoding(pyodbc.SQL_WCHAR, encoding="latin-1", ctype=pyodbc.SQL_WCHAR)
        opened.execute("CREATE TABLE dbo.H (Id int PRIMARY KEY, V nvarchar(10), U nvarchar(10) UNIQUE)")
        yield opened


def got(connection: pyodbc.Connection, sql: str, *parameters: Any) -> str:
    raw = connection.execute(sql, *parameters).fetchval()
    return raw.encode("latin-1").decode("utf-16-le", "surrogatepass")


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"LEFT(N'{FACE}', 1)", HIGH),
        (f"RIGHT(N'{FACE}', 1)", LOW),
        (f"SUBSTRING(N'a{FACE}b', 3, 2)", LOW + "b"),
        ("NCHAR(55357)", HIGH),
        ("NCHAR(55357) + NCHAR(56832)", FACE),
        ("CONCAT(N'x', NCHAR(56832))", "x" + LOW),
        (f"REVERSE(N'a{FACE}')", LOW + HIGH + "a"),
        (f"STUFF(N'{FACE}', 1, 1, N'x')", "x" + LOW),
        ("CAST(0x3DD8 AS nvarchar(5))", HIGH),
        (f"CAST(N'{FACE}' AS nvarchar(1))", HIGH),
    ],
)
def test_expressions(connection: pyodbc.Connection, expression: str, expected: str) -> None:
    assert got(connection, f"SELECT {expression}") == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        (f"LEN(N'{FACE}')", 2),
        (f"DATALENGTH(LEFT(N'{FACE}', 1))", 2),
        (f"UNICODE(N'{FACE}')", 55357),
        ("UNICODE(NCHAR(56832))", 56832),
        (f"CHARINDEX(N'b', N'{FACE}b')", 3),
        ("CAST(NCHAR(55357) AS varbinary(4))", b"\x3d\xd8"),
        ("NCHAR(128512)", None),
        (f"CASE WHEN NCHAR(55357) + NCHAR(56832) = N'{FACE}' THEN 1 ELSE 0 END", 1),
        ("CASE WHEN NCHAR(55357) = NCHAR(55358) THEN 1 ELSE 0 END", 0),
        (f"CHARINDEX(N'{FACE}', N'a' + NCHAR(55357) + NCHAR(56832))", 2),
    ],
)
def test_numbers(connection: pyodbc.Connection, expression: str, expected: Any) -> None:
    assert connection.execute(f"SELECT {expression}").fetchval() == expected


def test_stored_and_sent(connection: pyodbc.Connection) -> None:
    connection.execute(
        f"INSERT dbo.H VALUES (1, LEFT(N'{FACE}', 1), NCHAR(55357)), (2, N'x' + NCHAR(56832), NCHAR(55357) + NCHAR(56832))"
    )
    assert got(connection, "SELECT V FROM dbo.H WHERE Id = 1") == HIGH
    assert got(connection, "SELECT V FROM dbo.H WHERE Id = 2") == "x" + LOW
    assert connection.execute("SELECT Id FROM dbo.H WHERE V = NCHAR(55357)").fetchval() == 1
    assert got(connection, "SELECT U FROM dbo.H WHERE Id = 2") == FACE
    with pytest.raises(pyodbc.IntegrityError):
        connection.execute(f"INSERT dbo.H VALUES (3, NULL, N'{FACE}')")
    connection.execute("UPDATE dbo.H SET V = V + NCHAR(56832) WHERE Id = 1")
    assert connection.execute(f"SELECT Id FROM dbo.H WHERE V = N'{FACE}'").fetchval() == 1


@pytest.mark.parametrize("text", ["\U0010f800", "a\U0010ffffb", "\U0010f800\U0010ffff\U0001f600", "\U0010f7ff"])
def test_the_characters_that_stand_for_halves_inside_are_data_too(connection: pyodbc.Connection, text: str) -> None:
    assert got(connection, f"SELECT N'{text}'") == text
    assert got(connection, "SELECT ?", text) == text
    assert got(connection, "SELECT ?", text * 2000) == text * 2000
    assert (
        got(
            connection,
            "SET NOCOUNT ON; DECLARE @t TABLE (v nvarchar(max)); INSERT @t EXEC sp_executesql N'SELECT @p', N'@p nvarchar(20)', ?; "
            "SELECT v FROM @t",
            text,
        )
        == text
    )
    assert (
        got(
            connection,
            "SET NOCOUNT ON; DECLARE @o nvarchar(20); EXEC sp_executesql N'SET @o = @p', N'@p nvarchar(20), "
            "@o nvarchar(20) OUTPUT', ?, @o OUTPUT; SELECT @o",
            text,
        )
        == text
    )
    assert connection.execute(f"SELECT LEN(N'{text}')").fetchval() == len(text.encode("utf-16-le")) // 2
    assert got(connection, f"SELECT LEFT(N'{text}', 1)") == text.encode("utf-16-le")[:2].decode("utf-16-le", "surrogatepass")
    assert connection.execute(f"SELECT CASE WHEN ? = N'{text}' THEN 1 ELSE 0 END", text).fetchval() == 1


def test_halves_in_json_are_refused(connection: pyodbc.Connection) -> None:
    with pytest.raises(pyodbc.Error, match="40517"):
        connection.execute("SELECT JSON_VALUE(N'{\"a\":\"\\ud83d\"}', '$.a')").fetchval()


def test_what_pyodbc_makes_of_a_half(connection: pyodbc.Connection) -> None:
    connection.setdecoding(pyodbc.SQL_WCHAR, encoding="utf-16-le")
    try:
        with pytest.raises(UnicodeDecodeError):
            connection.execute("SELECT NCHAR(55357)").fetchval()
    finally:
        connection.setdecoding(pyodbc.SQL_WCHAR, encoding="latin-1", ctype=pyodbc.SQL_WCHAR)
