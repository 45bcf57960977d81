"""Literals, conversions and functions of the SQL Server emulator, as the documentation gives them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from emulators.tests.tsql.database import Client


@pytest.mark.parametrize(
    ("expressions", "expected"),
    [
        ("$19.50, $-5, -$5, £1.5, €2, $", [Decimal("19.5"), Decimal(-5), Decimal(-5), Decimal("1.5"), Decimal(2), Decimal(0)]),
        ("CAST('-$5' AS money), CAST('€1,234.5' AS money), TRY_CAST('5$' AS money)", [Decimal(-5), Decimal("1234.5"), Decimal(5)]),
        # bytes are UTF-16 units in nvarchar and code page characters in varchar
        ("CAST(0x41004200 AS nvarchar(9)), CAST(0x4142 AS varchar(9)), CAST(0x41 AS nvarchar(9))", ["AB", "AB", "A"]),
        ("CONVERT(nvarchar(9), 0x4100, 1), CONVERT(varchar(9), 0x4100), LEN(N'a' + NCHAR(0))", ["0x4100", "A\0", 2]),
        # dates
        ("CAST('2024-1-2' AS date), CAST('2024/01/02 3:04' AS datetime2(0))", ["2024-01-02", "2024-01-02 03:04:00"]),
        ("CAST('1/2/49' AS date), CAST('1/2/50' AS date), CAST('10 PM' AS time(0))", ["2049-01-02", "1950-01-02", "22:00:00"]),
        (
            "DATETIME2FROMPARTS(2024, 1, 2, 3, 4, 5, 6, 7), TIMEFROMPARTS(1, 2, 3, 4, 5), SMALLDATETIMEFROMPARTS(2024, 1, 2, 3, 4)",
            ["2024-01-02 03:04:05.0000006", "01:02:03.00004", "2024-01-02 03:04:00"],
        ),
        (
            "DATETIMEOFFSETFROMPARTS(2024, 1, 2, 3, 4, 5, 0, -7, -30, 0), DATEFROMPARTS(NULL, 1, 1)",
            ["2024-01-02 03:04:05 -07:30", None],
        ),
        (
            "CAST('2024-01-02T12:00:00' AS datetime) + 1, CAST('2024-01-02' AS datetime) - 0.5",
            ["2024-01-03 12:00:00.000", "2024-01-01 12:00:00.000"],
        ),
        (
            "CAST('20240102' AS datetime) - CAST('20240101' AS datetime), CAST(CAST('1900-01-02T12:00:00' AS datetime) AS float)",
            ["1900-01-02 00:00:00.000", 1.5],
        ),
        ("CAST(CAST('1900-01-02T12:00:00' AS datetime) AS int), CAST(1.5 AS datetime)", [2, "1900-01-02 12:00:00.000"]),
        # strings
        ("STR(123.456, 8, 2), STR(123.45, 2, 2), STR(5), STR(-1.5, 6, 1)", ["  123.46", "**", "         5", "  -1.5"]),
        ("TRIM(LEADING 'x' FROM 'xxax'), TRIM(TRAILING 'x' FROM 'xaxx'), TRIM(BOTH 'x' FROM 'xax')", ["ax", "xa", "a"]),
        ("UPPER(N'straße é'), LEN(UPPER(N'ß')), LOWER(N'ÄÖ')", ["STRAßE É", 1, "äö"]),
        (
            "ISNUMERIC('1,000'), ISNUMERIC('$'), ISNUMERIC('-'), ISNUMERIC('1e5'), ISNUMERIC('1.2.3'), ISNUMERIC('')",
            [1, 1, 1, 1, 0, 0],
        ),
        ("PATINDEX('%b%', 'abc'), PATINDEX('%c', 'abc'), PATINDEX('%[0-9]%', N'😀5'), PATINDEX('b%', 'abc')", [2, 3, 3, 0]),
        # blanks at the end count for LIKE in Unicode only
        ("IIF('a ' LIKE 'a', 1, 0), IIF(N'a ' LIKE N'a', 1, 0), IIF('a' LIKE 'a ', 1, 0)", [1, 0, 0]),
        # NULL in what ALL and ANY go through
        ("IIF(5 > ALL (SELECT CAST(NULL AS int)), 1, 0), IIF(5 > ALL (SELECT 1 WHERE 1 = 0), 1, 0)", [0, 1]),
        (
            "IIF(NOT 5 = ANY (SELECT CAST(NULL AS int)), 1, 0), IIF(5 = ANY (SELECT v FROM (VALUES (NULL), (5)) x (v)), 1, 0)",
            [0, 1],
        ),
        ("JSON_PATH_EXISTS('{\"a\": null}', '$.a'), JSON_PATH_EXISTS('{}', '$.a')", [1, 0]),
    ],
)
def test_expressions(client: Client, expressions: str, expected: list[Any]) -> None:
    assert list(client.rows(f"SELECT {expressions}")[0]) == expected


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("DATEFROMPARTS(2023, 2, 29)", 289),
        ("DATETIME2FROMPARTS(2024, 1, 2, 3, 4, 5, 60, 1)", 289),
        ("CAST('2024-02-30' AS datetime)", 242),
        ("CAST('2024-02-30' AS date)", 241),
        ("CAST('2024-01-02 03:04:05.1234567' AS datetime)", 241),  # it reads three digits
        ("CAST('9999-12-31' AS datetime) + 1", 8115),
        ("CAST('2024-01-02' AS datetime2) + 1", 206),
        ("CAST(1e39 AS real)", 232),
        ("CAST('x' AS money)", 235),
        ("IIF('a' LIKE 'a' ESCAPE 'ab', 1, 0)", 506),
        ("$99999999999999999999", 8115),
        ("nosuch(1)", 195),
    ],
)
def test_errors(client: Client, expression: str, number: int) -> None:
    assert client.error(f"SELECT {expression}").number == number


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ("1, 9, 4", [1, 5, 9]),
        ("3, 1", [3, 2, 1]),
        ("1, 3, -1", []),
        ("0.0, 1.0, 0.25", [Decimal("0.00"), Decimal("0.25"), Decimal("0.50"), Decimal("0.75"), Decimal("1.00")]),
        ("1, 3, 0", 4199),
        ("1, 3.5", 5373),
    ],
)
def test_generate_series(client: Client, arguments: str, expected: list[Any] | int) -> None:
    outcome = client.run(f"SELECT value FROM GENERATE_SERIES({arguments})")
    assert (outcome.numbers or [row[0] for row in outcome.results[0].rows]) == (
        [expected] if isinstance(expected, int) else expected
    )


NUMBERS = "WITH n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 150)"


def test_a_recursive_common_table_before_changes(client: Client) -> None:
    client.rows("CREATE TABLE T (i int PRIMARY KEY, boss int, level int)")
    assert client.error(f"{NUMBERS} INSERT T (i) SELECT i FROM n").number == 530
    client.rows(f"{NUMBERS} INSERT T (i) SELECT i FROM n OPTION (MAXRECURSION 200)")
    assert client.rows("SELECT COUNT(*), SUM(i) FROM T") == [(150, 11325)]
    client.rows("DELETE T WHERE i > 4; UPDATE T SET boss = NULLIF(i - 1, 0)")
    tree = "WITH d AS (SELECT i, 0 AS l FROM T WHERE boss IS NULL UNION ALL SELECT t.i, d.l + 1 FROM T t JOIN d ON t.boss = d.i)"
    client.rows(f"{tree} UPDATE T SET level = d.l FROM T JOIN d ON d.i = T.i")
    assert client.rows("SELECT i, level FROM T ORDER BY i") == [(1, 0), (2, 1), (3, 2), (4, 3)]
    client.rows(f"{tree} DELETE T FROM T JOIN d ON d.i = T.i WHERE d.l > 1")
    client.rows(f"{tree} MERGE T USING d ON T.i = d.i + 10 WHEN NOT MATCHED THEN INSERT (i, level) VALUES (d.i + 10, d.l);")
    assert client.rows("SELECT i, level FROM T ORDER BY i") == [(1, 0), (2, 1), (11, 0), (12, 1)]
    assert (
        client.value(f"DECLARE @s nvarchar(99) = N''; {tree} SELECT @s = @s + STR(i, 2) FROM d ORDER BY i; SELECT @s") == " 1 21112"
    )


def test_top_takes_a_subquery(client: Client) -> None:
    assert client.rows("SELECT TOP (SELECT 2) v FROM (VALUES (3), (1), (2)) x (v) ORDER BY v") == [(1,), (2,)]


@pytest.mark.parametrize(
    ("sql", "number"),
    [
        ("SELECT a FROM T WHERE SUM(a) > 1", 147),
        ("SELECT a FROM T WHERE ROW_NUMBER() OVER (ORDER BY a) = 1", 4108),
        ("SELECT MAX(a) FROM T GROUP BY SUM(a)", 144),
        ("SELECT a FROM T GROUP BY a, RANK() OVER (ORDER BY a)", 4108),
        ("UPDATE T SET a = SUM(a)", 157),
        ("UPDATE T SET a = ROW_NUMBER() OVER (ORDER BY a)", 4108),
        ("DELETE T WHERE COUNT(*) > 1", 147),
        ("SELECT SUM(MAX(a)) FROM T", 130),
        ("SELECT SUM((SELECT 1)) FROM T", 130),
        ("SELECT RANK() OVER (ORDER BY RANK() OVER (ORDER BY a)) FROM T", 4109),
        ("SELECT SUM(a) OVER (ORDER BY a RANGE 1 PRECEDING) FROM T", 4194),
        ("SELECT LAG(a, -1) OVER (ORDER BY a) FROM T", 8730),
        ("SELECT STDEV(a) FROM T", 40517),
    ],
)
def test_where_aggregates_and_windows_may_not_stand(client: Client, sql: str, number: int) -> None:
    client.rows("CREATE TABLE T (a int); INSERT T VALUES (1), (2)")
    assert client.error(sql).number == number
    assert client.rows("SELECT a, SUM(SUM(a)) OVER () FROM T GROUP BY a ORDER BY a") == [(1, 3), (2, 3)]
