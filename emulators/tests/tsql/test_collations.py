"""Which collation an operation has, and where two of them cannot be brought together: error 468."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("collations")))
    one = server.client()
    one.rows(
        "CREATE TABLE dbo.C (A nvarchar(9) COLLATE Latin1_General_CI_AS, B nvarchar(9), "
        "S nvarchar(9) COLLATE Latin1_General_CS_AS, X nvarchar(9) COLLATE Latin1_General_BIN2); "
        "INSERT dbo.C VALUES (N'a', N'A', N'a', N'a')"
    )
    yield one
    server.database.close()


@pytest.mark.parametrize(
    "expression",
    [
        "SELECT 1 FROM dbo.C WHERE A = B",
        "SELECT 1 FROM dbo.C WHERE A IN (B, N'x')",
        "SELECT 1 FROM dbo.C WHERE A IN (SELECT B FROM dbo.C)",
        "SELECT 1 FROM dbo.C WHERE A LIKE B",
        "SELECT 1 FROM dbo.C WHERE A BETWEEN N'a' AND B",
        "SELECT 1 FROM dbo.C WHERE LOWER(A) = CAST(B AS nvarchar(5))",
        "SELECT 1 FROM dbo.C AS p JOIN dbo.C AS q ON p.A = q.B",
        "SELECT 1 FROM dbo.C WHERE A COLLATE Latin1_General_CI_AS = N'a' COLLATE Latin1_General_CS_AS",
        "SELECT A + B FROM dbo.C",
        "SELECT CONCAT(A, B) FROM dbo.C",
        "SELECT CASE WHEN 1 = 1 THEN A ELSE B END FROM dbo.C",
        "SELECT COALESCE(A, B) FROM dbo.C",
        "SELECT A FROM dbo.C UNION ALL SELECT B FROM dbo.C",
        "SELECT 1 FROM dbo.C JOIN sys.columns AS s ON s.name = A",
        "MERGE dbo.C AS t USING dbo.C AS s ON t.A = s.B WHEN MATCHED THEN DELETE;",
    ],
)
def test_two_columns_of_different_collations(client: Client, expression: str) -> None:
    error = client.error(expression)
    assert (error.number, "Latin1_General_CI_AS" in error.text) == (468, True)


@pytest.mark.parametrize(
    ("condition", "found"),
    [
        ("A = B COLLATE DATABASE_DEFAULT", 1),
        ("A = B COLLATE Latin1_General_CS_AS", 0),
        ("A = N'A'", 1),
        ("S = N'A'", 0),
        ("S = @v", 0),
        ("CONCAT(S, N'') = N'A'", 0),
        ("UPPER(S) = N'A'", 1),
        ("X = N'a  '", 1),
        ("X LIKE N'A%'", 0),
        ("X = N'\uff41'", 0),  # full-width: another number
        ("S = N'\uff41'", 1),
        ("N'\u3042' = N'\u30a2'", 1),  # hiragana and katakana, without _KS
        ("N'\u3042' = N'\u30a2' COLLATE Latin1_General_BIN2", 0),
    ],
)
def test_which_collation_wins(client: Client, condition: str, found: int) -> None:
    assert client.value(f"SELECT COUNT(*) FROM dbo.C WHERE {condition}", v="A") == found


@pytest.mark.parametrize(
    "collation",
    [
        *("Latin1_General_CI_AI", "SQL_Latin1_General_CP1_CI_AI", "Latin1_General_CI_AS_WS", "Latin1_General_CI_AS_KS"),
        *("Turkish_CI_AS", "Danish_Norwegian_CI_AS", "Polish_CS_AS", "Japanese_BIN2", "SQL_Latin1_General_CP850_CI_AS"),
    ],
)
def test_a_collation_that_compares_otherwise_is_named(client: Client, collation: str) -> None:
    for sql in (f"CREATE TABLE dbo.Bad (A nvarchar(9) COLLATE {collation})", f"SELECT N'a' COLLATE {collation}"):
        error = client.error(sql)
        assert (error.number, collation in error.text) == (40517, True)


@pytest.mark.parametrize(
    "expression",
    ["REPLACE(S, N'A', N'x')", "CHARINDEX(N'A', S)", "PATINDEX(N'%A%', S)", "TRANSLATE(S, N'A', N'x')"],
)
def test_functions_that_look_for_text_do_not_regard_case(client: Client, expression: str) -> None:
    error = client.error(f"SELECT {expression} FROM dbo.C")
    assert (error.number, expression.partition("(")[0] in error.text) == (40517, True)
