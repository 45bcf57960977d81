"""sp_describe_first_result_set: the shape of a result, or why there is none, and nothing is run."""

from __future__ import annotations

import pytest

from emulators.tests.tsql.database import Client

TABLE = "CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY, Name nvarchar(20) NULL, Price decimal(9, 2) NULL);"


def described(client: Client, sql: str) -> list[tuple[object, ...]]:
    """Number, name, nullability, type, length, precision and scale of each column."""
    found = client.rows("EXEC sp_describe_first_result_set @tsql = N'" + sql.replace("'", "''") + "'")
    return [(*row[1:4], *row[5:9]) for row in found]


def test_the_columns_of_the_first_result(client: Client) -> None:
    client.rows(TABLE)
    assert described(client, "SELECT Name, Price FROM dbo.T WHERE Id / 0 = 1") == [
        (1, "Name", 1, "nvarchar(20)", 40, 0, 0),
        (2, "Price", 1, "decimal(9,2)", 5, 9, 2),
    ]
    assert described(client, "DELETE FROM dbo.T") == []


def test_with_parameters(client: Client) -> None:
    text = "EXEC sp_describe_first_result_set N'SELECT @a AS A', N'@a nvarchar(3)'"
    assert client.rows(text)[0][2:6] == ("A", 1, 231, "nvarchar(3)")


@pytest.mark.parametrize(
    ("sql", "number"),
    [("SELECT Nme FROM dbo.T", 207), ("SELECT 1 FROM dbo.T WHERE Id", 4145), ("SELECT (", 102), ("SELECT 1 FROM dbo.U", 208)],
)
def test_it_fails_as_the_statement_would(client: Client, sql: str, number: int) -> None:
    client.rows(TABLE)
    assert client.run(f"EXEC sp_describe_first_result_set N'{sql}'").numbers == [number]
