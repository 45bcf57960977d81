"""What the SQL Server emulator once did without a word, and otherwise than the documentation says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.sql_server.values.results import Parameter, SqlType
from emulators.sql_server.values.utf16 import merged, units
from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("silent")))
    one = server.client()
    one.rows("CREATE TABLE dbo.T (Id int PRIMARY KEY); INSERT dbo.T VALUES (1), (2)")
    yield one
    server.database.close()


def test_select_into_takes_the_rows_of_the_whole_set_operation(client: Client) -> None:
    assert client.rows("SELECT Id INTO dbo.Union1 FROM dbo.T UNION ALL SELECT 2 EXCEPT SELECT 1; SELECT Id FROM dbo.Union1") == [
        (2,)
    ]
    assert client.rows("WITH c AS (SELECT 7 AS N) SELECT N INTO #u FROM c UNION SELECT 8; SELECT N FROM #u ORDER BY N") == [
        (7,),
        (8,),
    ]
    assert client.error("SELECT 1 AS a UNION SELECT 2 AS a INTO dbo.Union2").number == 196
    for sql in ("SELECT * FROM (SELECT 1 AS a INTO dbo.Union3) q", "INSERT dbo.T SELECT 5 AS Id INTO dbo.Union4", "VALUES (1)"):
        assert client.error(sql).number == 156
    assert client.value("SELECT COUNT(*) FROM sys.tables WHERE name LIKE 'Union[234]'") == 0


def test_a_new_column_with_values_fills_the_rows_that_are_there(client: Client) -> None:
    client.rows("CREATE TABLE dbo.V (Id int); INSERT dbo.V VALUES (1)")
    client.rows(
        "ALTER TABLE dbo.V ADD A int NULL DEFAULT 3 WITH VALUES, B int NULL CONSTRAINT DF_VB DEFAULT 4, C int NOT NULL DEFAULT 5"
    )
    client.rows("ALTER TABLE dbo.V ADD D int NULL CONSTRAINT DF_VD DEFAULT 6 WITH VALUES")
    client.rows("INSERT dbo.V (Id) VALUES (2)")
    assert client.rows("SELECT * FROM dbo.V ORDER BY Id") == [(1, 3, None, 5, 6), (2, 3, 4, 5, 6)]


def test_merge_top_limits_the_rows_that_it_changes(client: Client) -> None:
    client.rows("CREATE TABLE dbo.M (Id int PRIMARY KEY, N int); INSERT dbo.M VALUES (1, 0), (2, 0)")
    merge = (
        "MERGE TOP ({}) dbo.M AS t USING (VALUES (1), (2), (3), (4)) AS s (Id) ON t.Id = s.Id WHEN MATCHED AND t.N = 9 THEN DELETE "
        "WHEN NOT MATCHED THEN INSERT (Id, N) VALUES (s.Id, 1);"
    )
    outcome = client.run(merge.format(1))
    assert outcome.counts == [("MERGE", 1)]
    assert client.value("SELECT COUNT(*) FROM dbo.M") == 3
    assert client.run(merge.format("5")).counts == [("MERGE", 1)]
    assert client.error(merge.replace("({})", "(1) PERCENT")).number == 40517
    assert client.error("INSERT TOP (1) dbo.M VALUES (8, 8), (9, 9)").number == 40517


def test_a_long_result_of_for_json_arrives_in_rows(client: Client) -> None:
    sql = "SELECT value AS v, N'a/b😀' AS s FROM GENERATE_SERIES(1, 400) FOR JSON PATH"
    rows = client.rows(sql)
    assert {units(text) for (text,) in rows[:-1]} == {2033}  # a pair may be cut in two
    document = json.loads(merged("".join(text for (text,) in rows)))
    assert document == [{"v": number, "s": "a/b😀"} for number in range(1, 401)]
    assert client.value(f"DECLARE @j nvarchar(max) = ({sql}); SELECT LEN(@j)") == sum(units(text) for (text,) in rows)
    assert client.value("SELECT 'a/b' AS [x/y] FOR JSON PATH") == r'[{"x\/y":"a\/b"}]'


def test_conflicts_in_for_json(client: Client) -> None:
    for columns in (
        "1 AS a, 2 AS a",
        "1 AS a, 2 AS [a.b]",
        "1 AS [a.b], 2 AS a",
        "1 AS [a.b], 2 AS c, 3 AS [a.d]",
        "1 AS [a.b.c], 2 AS [a.b]",
    ):
        assert client.error(f"SELECT {columns} FOR JSON PATH").number == 13601
    assert (
        client.value("SELECT 1 AS [a.b.c], 2 AS [a.b.d], 3 AS [a.e], 4 AS f FOR JSON PATH")
        == '[{"a":{"b":{"c":1,"d":2},"e":3},"f":4}]'
    )
    assert client.error("SELECT 1 AS a FOR JSON PATH, ROOT, WITHOUT_ARRAY_WRAPPER").number == 13620


def test_a_datetime_has_thirds_from_level_130_on(client: Client) -> None:
    client.rows("ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 120")
    sql = (
        "DECLARE @d datetime = '2021-11-09T13:52:29.187', @e datetime2 = '2021-11-09T13:52:29.1866667'; "
        "SELECT IIF(@e > @d, 1, 0), IIF(@e > CAST(@d AS datetime2), 1, 0), CAST(@d AS time), DATEPART(ms, @d), DATEPART(ns, @d), "
        "IIF(@d = CAST('2021-11-09T13:52:29.187' AS datetime2(3)), 1, 0), IIF(@d = CAST(@d AS datetimeoffset), 1, 0)"
    )
    assert client.rows(sql) == [(0, 0, "13:52:29.1870000", 187, 187000000, 1, 1)]
    client.rows("ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 160")
    assert client.rows(sql) == [(1, 0, "13:52:29.1866667", 186, 186666666, 0, 0)]
    assert client.value("SELECT CAST(CAST('2024-01-01T00:00:00.003' AS datetime) AS datetime2(5))") == "2024-01-01 00:00:00.00333"
    assert client.value("SELECT IIF(CAST('20240101' AS datetime) IN (CAST('20240101' AS datetime2)), 1, 0)") == 1


short_bytes = st.lists(st.sampled_from([0, 1, 255]), max_size=4).map(bytes)


@settings(max_examples=150, deadline=None)
@given(short_bytes, short_bytes)
def test_zeros_at_the_end_of_a_binary_do_not_count(client: Client, a: bytes, b: bytes) -> None:
    x, y = a.rstrip(b"\0"), b.rstrip(b"\0")
    values: dict[str, Any] = {name: Parameter(value, SqlType("varbinary", 8)) for name, value in (("a", a), ("b", b))}
    tests = (
        "@a = @b",
        "@a <> @b",
        "@a < @b",
        "@a <= @b",
        "@a > @b",
        "@a >= @b",
        "@a IN (0x77, @b)",
        "@a IN (SELECT @b)",
        "@a BETWEEN @b AND @b",
        "@a IS NOT DISTINCT FROM @b",
        "CAST(@a AS binary(4)) = @b",
        "@b = CAST(@a AS varbinary(max))",
    )
    row = client.rows("SELECT " + ", ".join(f"IIF({test}, 1, 0)" for test in tests), **values)[0]
    equal = x == y
    assert row == tuple(int(v) for v in (equal, not equal, x < y, x <= y, x > y, x >= y, *[equal] * 6))


@pytest.mark.parametrize(
    ("expression", "length"),
    [
        ("REPLICATE('ab', 6000)", 8000),
        ("REPLICATE(N'ab', 6000)", 8000),
        ("REPLICATE('a', 8000) + 'bcd'", 8000),
        ("REPLICATE('a', 8000) + CAST('b' AS varchar(max))", 8001),
        ("REPLICATE(CAST('ab' AS varchar(max)), 6000)", 12000),
        ("CONCAT(REPLICATE('a', 8000), 'b')", 8000),
        ("CONCAT_WS('-', REPLICATE(N'a', 4000), N'b')", 8000),
        ("REPLACE(REPLICATE('a', 8000), 'a', 'bb')", 8000),
        ("SPACE(9000)", 8000),
        ("CAST(0x01 AS binary(8000)) + 0x02", 8000),
    ],
)
def test_only_the_types_with_max_are_longer_than_8000_bytes(client: Client, expression: str, length: int) -> None:
    assert client.value(f"SELECT DATALENGTH({expression})") == length


def test_results_that_do_not_fit_are_errors(client: Client) -> None:
    assert client.error("SELECT STRING_AGG(REPLICATE('a', 5000), ',') FROM dbo.T").number == 9829
    assert client.value("SELECT LEN(STRING_AGG(CAST(REPLICATE('a', 5000) AS varchar(max)), ',')) FROM dbo.T") == 10001
    assert client.error("SELECT STUFF(REPLICATE('a', 8000), 1, 0, 'b')").number == 40517
    assert client.error("SELECT AVG(N) FROM (VALUES (2147483647), (1)) AS v (N)").number == 8115
    assert client.value("SELECT AVG(CAST(N AS bigint)) FROM (VALUES (2147483647), (1)) AS v (N)") == 1073741824


def test_name_of_an_offset(client: Client) -> None:
    assert client.rows("SELECT DATENAME(tz, '2007-10-30 12:15:32 +05:10'), DATEPART(tz, '2007-10-30 12:15:32 +05:10')") == [
        ("+05:10", 310)
    ]
    assert client.value("SELECT DATENAME(tzoffset, CAST('2024-01-01 00:00 -02:30' AS datetimeoffset))") == "-02:30"


def test_a_sign_binds_less_than_multiplication(client: Client) -> None:
    row = client.rows("SELECT 100 / -10 / 2, 8 / - 2 * 4, 100 / - 20 % 7, -6 + 2, -6 & 3, 100 / (-10) / 2, ~2 * 3, ~ - 2 * 3")[0]
    assert row == (-20, -1, -16, -4, 2, -5, -9, 5)


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("CAST(1 AS bit) + CAST(1 AS bit)", 402),
        ("CAST(1 AS bit) * CAST(1 AS bit)", 8117),
        ("CAST(1 AS bit) - '1'", 402),
        ("1e0 % 2", 402),
        ("1e0 % 2e0", 8117),
        ("ISNULL(1, CAST('20240101' AS datetime))", 257),
        ("ISNULL(0x01, N'a')", 257),
    ],
)
def test_operators_that_types_do_not_have(client: Client, expression: str, number: int) -> None:
    assert client.error(f"SELECT {expression}").number == number
