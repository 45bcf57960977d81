"""Types of parameters that were not declared, deduced from where they stand."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from emulators.sql_server.values.results import Column, SqlError, SqlType
from emulators.sql_server.wire.undeclared_parameters import describe_undeclared_parameters

TABLES = {
    "dbo.Orders": {
        "Id": SqlType("int"),
        "Region": SqlType("nvarchar", 20),
        "Total": SqlType("decimal", 0, 10, 2),
        "At": SqlType("datetime2", 0, 0, 3),
        "Photo": SqlType("varbinary", -1),
    },
    "[dbo].[Line items]": {"Order Id": SqlType("bigint"), "Note": SqlType("varchar", 50)},
}


class Describer:
    """Knows the columns of two tables."""

    def describe(self, sql: str, parameters: Mapping[str, SqlType]) -> list[Column]:
        table = sql.removeprefix("SELECT * FROM ")
        if table not in TABLES:
            raise SqlError(208, f"Invalid object name '{table}'.")
        return [Column(name, sql_type) for name, sql_type in TABLES[table].items()]


def deduced(sql: str, declarations: str | None = None) -> list[str]:
    result = describe_undeclared_parameters(Describer(), sql, declarations)  # type: ignore[arg-type]
    names = [column.name for column in result.columns]
    rows = [dict(zip(names, row, strict=True)) for row in result.rows]
    assert [row["parameter_ordinal"] for row in rows] == list(range(1, len(rows) + 1))
    return [row["suggested_system_type_name"] for row in rows]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT INTO dbo.Orders (Total, At) VALUES (@P1, @P2)", ["decimal(10,2)", "datetime2(3)"]),
        ("INSERT dbo.Orders VALUES (1, @P1, @P2, SYSDATETIME(), @P3)", ["nvarchar(20)", "decimal(10,2)", "varbinary(max)"]),
        ("INSERT INTO dbo.Orders (Id, Region) VALUES (@P1, @P2), (@P3, @P4)", ["int", "nvarchar(20)"] * 2),
        ("INSERT INTO [dbo].[Line items] ([Order Id], Note) VALUES (@P1, @P2)", ["bigint", "varchar(50)"]),
        ("UPDATE dbo.Orders SET Total = @P1, Photo=@P2 WHERE Id = @P3", ["decimal(10,2)", "varbinary(max)", "int"]),
        ("SELECT * FROM dbo.Orders WHERE @P1 < Total AND Region LIKE @P2", ["decimal(10,2)", "nvarchar(20)"]),
        ("SELECT * FROM dbo.Orders o WHERE o.At BETWEEN @P1 AND @P2 AND o.Id NOT IN (1, @P3)", ["datetime2(3)"] * 2 + ["int"]),
        (
            "SELECT 1 FROM dbo.Orders AS o JOIN [dbo].[Line items] l ON l.[Order Id] = o.Id WHERE l.Note <> @P1 AND o.Region = @P2",
            ["varchar(50)", "nvarchar(20)"],
        ),
        ("DELETE o FROM dbo.Orders o WHERE o.Id = @P1", ["int"]),
        ("SELECT TOP (@P1) * FROM dbo.Orders ORDER BY Id OFFSET @P2 ROWS", ["bigint", "bigint"]),
        (
            "SELECT CAST(@P1 AS decimal(5, 1)), CONVERT(nvarchar(40), @P2, 126), @P3 + 1.25",
            ["decimal(5,1)", "nvarchar(40)", "decimal(3,2)"],
        ),
        ("SELECT ISNULL(@P1, o.Region) FROM dbo.Orders o", ["nvarchar(20)"]),
        ("SELECT * FROM OPENJSON(@P1) j WHERE j.[key] = N'abc'", ["nvarchar(max)"]),
        ("UPDATE dbo.Orders SET Id = @P1 WHERE Id = @P1", ["int"]),
        ("SELECT 1", []),
        (
            "MERGE dbo.Orders t USING (SELECT 1 AS Id) s ON t.Id = s.Id WHEN MATCHED THEN UPDATE SET Total = @P1 "
            "WHEN NOT MATCHED THEN INSERT (Id, At) VALUES (s.Id, @P2);",
            ["decimal(10,2)", "datetime2(3)"],
        ),
    ],
)
def test_deduced_types(sql: str, expected: list[str]) -> None:
    assert deduced(sql) == expected


def test_declared_parameters_are_left_out() -> None:
    assert deduced("SELECT * FROM dbo.Orders WHERE Id = @a AND Region = @b", "@a int") == ["nvarchar(20)"]


@pytest.mark.parametrize(
    "sql", ["SELECT @P1", "INSERT INTO dbo.Nowhere (a) VALUES (@P1)", "EXEC something @P1", "SELECT @P1 + @P2"]
)
def test_what_cannot_be_deduced_is_an_error(sql: str) -> None:
    with pytest.raises(SqlError) as raised:
        deduced(sql)
    assert raised.value.number == 11502 and "'@P1'" in raised.value.text


def test_sizes_of_the_suggested_types() -> None:
    sql = "UPDATE dbo.Orders SET Region = @P1, Total = @P2, At = @P3, Photo = @P4"
    result = describe_undeclared_parameters(Describer(), sql, None)  # type: ignore[arg-type]
    facts = [(row[2], row[4], row[5], row[6], row[-2], row[-1]) for row in result.rows]
    assert facts == [
        (231, 40, 0, 0, 0xE7, 40),
        (106, 9, 10, 2, 0x6A, 9),
        (42, 7, 23, 3, 0x2A, 7),
        (165, -1, 0, 0, 0xA5, 65_535),
    ]
