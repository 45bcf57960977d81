"""Types in the SQL Server emulator: exact decimals, dates, strings, conversion and arithmetic."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.sql_server.values.datatypes import decode_decimal, encode_decimal
from emulators.sql_server.values.results import Parameter, SqlType
from emulators.tests.tsql.database import Client, Server


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("types")), utc_offset_minutes=120)
    yield server.client()
    server.database.close()


decimals = st.decimals(allow_nan=False, allow_infinity=False, places=10, min_value=-4 * 10**27, max_value=4 * 10**27)


@given(decimals, decimals)
def test_decimals_sort_as_text(a: Decimal, b: Decimal) -> None:
    assert decode_decimal(encode_decimal(a)) == a
    assert (encode_decimal(a) < encode_decimal(b)) == (a < b)
    assert (encode_decimal(a) == encode_decimal(b)) == (a == b)


@settings(max_examples=60, deadline=None)
@given(decimals, decimals)
def test_decimal_arithmetic_is_exact(client: Client, a: Decimal, b: Decimal) -> None:
    kind = SqlType("decimal", 0, 38, 10)
    row = client.rows("SELECT @a + @b, CASE WHEN @a < @b THEN 1 ELSE 0 END, @a - @a", a=Parameter(a, kind), b=Parameter(b, kind))[0]
    assert row == (Context(prec=60).add(a, b), int(a < b), 0)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        # numbers
        ("7 / 2", 3),
        ("-7 / 2", -3),
        ("-7 % 3", -1),
        ("7 / 2.0", Decimal("3.500000")),
        ("2.0 / 3", Decimal("0.666666")),
        ("1.10 + 2.205", Decimal("3.305")),
        ("1.5 * 1.25", Decimal("1.875")),
        ("0.1 + 0.2", Decimal("0.3")),
        ("1e0 / 3", 1 / 3),
        ("5 & 3", 1),
        ("5 | 3", 7),
        ("5 ^ 3", 6),
        ("~5", -6),
        ("- 5 + 2 * 3", 1),
        ("CAST(2.5 AS int)", 2),
        ("CAST(-2.5 AS int)", -2),
        ("CAST(2.345 AS decimal(5,2))", Decimal("2.35")),
        ("CAST(12345678901234567890123456789012345678 AS decimal(38,0))", Decimal("12345678901234567890123456789012345678")),
        ("CAST('1,234.5' AS money)", Decimal("1234.5000")),
        ("CAST(1.23456 AS money)", Decimal("1.2346")),
        ("ROUND(2.345, 2)", Decimal("2.350")),
        ("ROUND(-1250, -2)", -1300),
        ("FLOOR(-1.5)", Decimal("-2")),
        ("CEILING(1.2)", Decimal("2")),
        ("ABS(-3)", 3),
        ("SIGN(-2.5)", Decimal("-1.0")),
        ("POWER(2, 10)", 1024),
        ("SQRT(16)", 4.0),
        ("CAST(1 AS bit) + 0", 1),
        ("CAST('true' AS bit)", 1),
        ("CAST(5 AS bit)", 1),
        ("CAST(0.1 AS real)", 0.10000000149011612),
        # strings
        ("'a' + N'b'", "ab"),
        ("CONCAT('a', NULL, 1, 2.50)", "a12.50"),
        ("CONCAT_WS('-', 'a', NULL, 'b')", "a-b"),
        ("LEN('ab  ')", 2),
        ("DATALENGTH(N'ab')", 4),
        ("DATALENGTH('ab')", 2),
        ("UPPER('aż')", "AZ"),
        ("UPPER(N'aż')", "AŻ"),
        ("LTRIM(RTRIM('  x  '))", "x"),
        ("TRIM('  x ')", "x"),
        ("SUBSTRING('abcdef', 2, 3)", "bcd"),
        ("SUBSTRING('abc', 0, 2)", "a"),
        ("LEFT('abc', 2) + RIGHT('abc', 1)", "abc"),
        ("REPLACE('aXbx', 'x', '-')", "a-b-"),
        ("CHARINDEX('B', 'abc')", 2),
        ("PATINDEX('%c%', 'abc')", 3),
        ("REPLICATE('ab', 3)", "ababab"),
        ("STUFF('abcdef', 2, 3, 'X')", "aXef"),
        ("REVERSE('abc')", "cba"),
        ("QUOTENAME('a]b')", "[a]]b]"),
        ("NCHAR(380)", "ż"),
        ("ASCII('A')", 65),
        ("CAST(N'żł' AS varchar(5))", "zl"),
        ("CAST(N'漢' AS varchar(5))", "?"),
        ("CAST('abc' AS char(5))", "abc  "),
        ("CAST('abcdef' AS varchar(3))", "abc"),
        ("'a' COLLATE Latin1_General_CS_AS", "a"),
        ("CASE WHEN 'a ' = 'A' THEN 1 ELSE 0 END", 1),
        ("CASE WHEN 'a' = 'A' COLLATE Latin1_General_CS_AS THEN 1 ELSE 0 END", 0),
        ("CASE WHEN 'a_c' LIKE 'a!_c' ESCAPE '!' THEN 1 ELSE 0 END", 1),
        ("CASE WHEN 'abc' LIKE 'a[^b]c' THEN 1 ELSE 0 END", 0),
        ("PARSENAME('a.b.c', 2)", "b"),
        ("TRANSLATE('abc', 'ac', 'xy')", "xby"),
        # binaries
        ("0x0102 + 0x03", b"\x01\x02\x03"),
        ("CAST(256 AS varbinary(4))", b"\x00\x00\x01\x00"),
        ("CONVERT(varbinary(3), 'abc')", b"abc"),
        ("CONVERT(varchar(10), 0xAB01, 1)", "0xAB01"),
        ("CONVERT(varchar(10), 0xAB01, 2)", "AB01"),
        ("CONVERT(varbinary(4), '0xab01', 1)", b"\xab\x01"),
        ("CONVERT(char(64), HASHBYTES('SHA2_256', N'a'), 2)", "FFE9AAEAA2A2D5048174DF0B80599EF0197EC024C4B051BC9860CFF58EF7F9F3"),
        ("CAST(0x6F9619FF8B86D011B42D00C04FC964FF AS uniqueidentifier)", "FF19966F-868B-11D0-B42D-00C04FC964FF"),
        ("CAST('6f9619ff-8b86-d011-b42d-00c04fc964ff' AS uniqueidentifier)", "6F9619FF-8B86-D011-B42D-00C04FC964FF"),
        # dates
        ("CAST('2024-02-29T23:59:59.1234567' AS datetime2(3))", "2024-02-29 23:59:59.123"),
        ("CAST('20240229' AS date)", "2024-02-29"),
        ("CAST('2024-01-01 12:00:00.005' AS datetime)", "2024-01-01 12:00:00.007"),
        ("CAST('2024-01-01 12:00:29.999' AS smalldatetime)", "2024-01-01 12:00:00"),
        ("CAST('13:45' AS time(0))", "13:45:00"),
        ("CAST('2024-01-01T10:00:00+02:00' AS datetimeoffset(0))", "2024-01-01 10:00:00 +02:00"),
        ("DATEADD(month, 1, CAST('2024-01-31' AS date))", "2024-02-29"),
        ("DATEADD(ms, 1500, CAST('2024-01-01' AS datetime2(7)))", "2024-01-01 00:00:01.5000000"),
        ("DATEADD(second, -1, CAST('2024-01-01' AS datetime2(0)))", "2023-12-31 23:59:59"),
        ("DATEADD(year, 1, CAST('2024-02-29' AS datetime2(0)))", "2025-02-28 00:00:00"),
        ("DATEDIFF(day, '2024-01-01 23:59', '2024-01-02 00:01')", 1),
        ("DATEDIFF(year, '2023-12-31', '2024-01-01')", 1),
        ("DATEDIFF(week, '2024-01-06', '2024-01-07')", 1),
        ("DATEDIFF(millisecond, CAST('2024-01-01 00:00:00.9995' AS datetime2), CAST('2024-01-01 00:00:01.0001' AS datetime2))", 1),
        ("DATEDIFF_BIG(microsecond, '2000-01-01', '2024-01-01')", 757382400000000),
        ("DATEPART(weekday, '2024-01-07')", 1),
        ("DATENAME(month, '2024-03-01')", "March"),
        ("EOMONTH('2024-02-10')", "2024-02-29"),
        ("DATEFROMPARTS(2024, 2, 3)", "2024-02-03"),
        ("DATETRUNC(month, CAST('2024-02-10' AS date))", "2024-02-01"),
        ("CASE WHEN CAST('2024-01-01' AS date) = CAST('2024-01-01 00:00' AS datetime2) THEN 1 ELSE 0 END", 1),
        (
            "CASE WHEN CAST('2024-01-01T10:00+02:00' AS datetimeoffset) = CAST('2024-01-01T08:00Z' AS "
            "datetimeoffset) THEN 1 ELSE 0 END",
            1,
        ),
        ("CONVERT(nvarchar(40), CAST('2024-01-02 03:04:05.1200000' AS datetime2(7)), 126)", "2024-01-02T03:04:05.1200000"),
        ("CONVERT(nvarchar(40), CAST('2024-01-02 03:04:05' AS datetime2(7)), 126)", "2024-01-02T03:04:05"),
        ("CONVERT(nvarchar(40), CAST('2024-01-02 03:04:05.12' AS datetime2(7)), 121)", "2024-01-02 03:04:05.1200000"),
        ("CONVERT(nvarchar(40), CAST('2024-01-02 03:04:05.12' AS datetime), 120)", "2024-01-02 03:04:05"),
        ("CONVERT(varchar(8), CAST('2024-01-02' AS date), 112)", "20240102"),
        ("CAST(CAST('2024-01-02 15:04:00' AS datetime) AS varchar(30))", "Jan  2 2024  3:04PM"),
        ("CONVERT(varchar(40), CAST('2024-01-02T03:04:05.5+02:00' AS datetimeoffset(1)), 127)", "2024-01-02T01:04:05.5Z"),
        ("CAST(CAST('2024-01-02' AS datetime2(0)) AS nvarchar(30))", "2024-01-02 00:00:00"),
        # conversions that may fail
        ("TRY_CAST('x' AS int)", None),
        ("TRY_CONVERT(date, '2024-02-30')", None),
        ("TRY_CAST('12' AS int)", 12),
        ("ISNUMERIC('1e5')", 1),
        ("ISDATE('2024-13-01')", 0),
        ("ISNULL(CAST(NULL AS varchar(2)), 'abc')", "ab"),
        ("GREATEST(1, 3, 2)", 3),
        ("CHOOSE(2, 'a', 'b')", "b"),
        # the clock: 12:00:00.123456 UTC, the server two hours ahead
        ("SYSDATETIME()", "2026-03-01 14:00:00.1234560"),
        ("SYSUTCDATETIME()", "2026-03-01 12:00:00.1234560"),
        ("GETDATE()", "2026-03-01 14:00:00.123"),
        ("GETUTCDATE()", "2026-03-01 12:00:00.123"),
        ("SYSDATETIMEOFFSET()", "2026-03-01 14:00:00.1234560 +02:00"),
        ("SYSDATETIMEOFFSET() AT TIME ZONE 'UTC'", "2026-03-01 12:00:00.1234560 +00:00"),
    ],
)
def test_expression(client: Client, expression: str, expected: Any) -> None:
    value = client.value(f"SELECT {expression}")
    assert value == expected
    assert type(value) is type(expected)
    # the same through a table, so that nothing was merely folded at compile time
    assert client.value(f"SELECT x FROM (SELECT {expression} AS x FROM (VALUES (1)) v(a)) q WHERE 1 = 1") == expected


@pytest.mark.parametrize(
    ("expression", "number", "text"),
    [
        ("1 / 0", 8134, "Divide by zero error encountered."),
        ("1.5 / 0", 8134, None),
        ("2147483647 + 1", 8115, "Arithmetic overflow error converting expression to data type int."),
        ("CAST(9223372036854775807 AS bigint) + 1", 8115, None),
        ("CAST(300 AS tinyint)", 220, "Arithmetic overflow error for data type tinyint, value = 300."),
        ("CAST(1000 AS decimal(3,1))", 8115, "Arithmetic overflow error converting int to data type numeric."),
        ("CAST('abc' AS int)", 245, "Conversion failed when converting the varchar value 'abc' to data type int."),
        ("CAST('99999999999' AS int)", 248, "The conversion of the varchar value '99999999999' overflowed an int column."),
        ("CAST('abc' AS bigint)", 8114, "Error converting data type varchar to bigint."),
        ("CAST('abc' AS decimal(5,2))", 8114, "Error converting data type varchar to numeric."),
        ("CAST('2024-02-30' AS date)", 241, "Conversion failed when converting date and/or time from character string."),
        ("CAST('xyz' AS uniqueidentifier)", 8169, "Conversion failed when converting from a character string to uniqueidentifier."),
        ("CAST('1500-01-01' AS datetime)", 242, None),
        ("CAST(1 AS date)", 529, "Explicit conversion from data type int to date is not allowed."),
        ("CASE WHEN CAST('2024-01-01' AS date) = 5 THEN 1 END", 206, None),
        ("LEFT('abc', -1)", 536, None),
        ("SUBSTRING('abc', 1, -1)", 537, None),
        ("DATEADD(year, 9000, '2024-01-01')", 517, None),
        ("DATEDIFF(millisecond, '2000-01-01', '2024-01-01')", 535, None),
        ("'a' * 2", 245, None),
        ("SUM('a')", 8117, None),
        ("LEN('a', 'b')", 174, None),
        ("DATEADD(fortnight, 1, GETDATE())", 155, None),
    ],
)
def test_errors(client: Client, expression: str, number: int, text: str | None) -> None:
    for sql in (f"SELECT {expression}", f"SELECT {expression} FROM (VALUES (1)) v(a)"):
        error = client.error(sql)
        assert error.number == number
        assert text is None or error.text == text


def test_every_type_in_a_table(client: Client) -> None:
    client.rows(
        """CREATE TABLE dbo.Types (A bit, B tinyint, C smallint, D int, E bigint, F decimal(38,10), G money, H float,
           I real, J char(4), K varchar(10),
           L nvarchar(max), M binary(4), N varbinary(max), O uniqueidentifier, P date, Q time(3),
           R datetime, S smalldatetime, T datetime2(5),
           U datetimeoffset(2), V smallmoney, W nchar(3), X xml, Y sysname, Z numeric(5))"""
    )
    client.rows(
        """INSERT dbo.Types VALUES (1, 255, -32768, -2147483648, 9223372036854775807, 1234567890123456789012345678.0123456789,
           -1.5, 1.5e300, 0.5, 'ab', 'x ',
           N'ż🐘', 0x01, 0x, '6f9619ff-8b86-d011-b42d-00c04fc964ff', '0001-01-01', '23:59:59.9996',
           '2024-01-01T10:00:00.123', '2024-01-01 10:00:31',
           '9999-12-31T23:59:59.99999', '2024-01-01T10:00:00.129+05:30', 2, N'ż', N'<a/>', N'n', 99999)"""
    )
    assert client.rows("SELECT * FROM dbo.Types") == [
        (
            1,
            255,
            -32768,
            -2147483648,
            9223372036854775807,
            Decimal("1234567890123456789012345678.0123456789"),
            Decimal("-1.5000"),
            1.5e300,
            0.5,
            "ab  ",
            "x ",
            "ż🐘",
            b"\x01\0\0\0",
            b"",
            "6F9619FF-8B86-D011-B42D-00C04FC964FF",
            "0001-01-01",
            "00:00:00.000",
            "2024-01-01 10:00:00.123",
            "2024-01-01 10:01:00",
            "9999-12-31 23:59:59.99999",
            "2024-01-01 10:00:00.13 +05:30",
            Decimal("2.0000"),
            "ż  ",
            "<a/>",
            "n",
            Decimal("99999"),
        )
    ]
    described = [
        (column.type.name, column.type.length, column.type.precision, column.type.scale)
        for column in client.columns("SELECT * FROM dbo.Types")
    ]
    assert described[5] == ("decimal", 0, 38, 10)
    assert described[9:12] == [("char", 4, 0, 0), ("varchar", 10, 0, 0), ("nvarchar", -1, 0, 0)]
    assert described[19] == ("datetime2", 0, 0, 5)


def test_sorting_and_comparison_of_decimals_and_dates(client: Client) -> None:
    client.rows(
        "CREATE TABLE dbo.Sorted (D decimal(38,5) PRIMARY KEY, T datetime2(3)); INSERT dbo.Sorted VALUES "
        "(-10.5, '2024-01-01'), (2, '2023-01-01'), (10, '2024-01-01 00:00:00.001'), (0, NULL), (-3, "
        "'1999-01-01')"
    )
    assert [str(row[0]) for row in client.rows("SELECT D FROM dbo.Sorted ORDER BY D")] == [
        "-10.50000",
        "-3.00000",
        "0.00000",
        "2.00000",
        "10.00000",
    ]
    assert client.rows("SELECT COUNT(*), SUM(D), MAX(T) FROM dbo.Sorted WHERE D BETWEEN -3 AND 2.5 OR T > '2024-01-01'") == [
        (4, Decimal("9.00000"), "2024-01-01 00:00:00.001")
    ]
    assert client.value("SELECT D FROM dbo.Sorted WHERE D = 10.0") == 10


@pytest.mark.parametrize("text", ["Zażółć", "quote ' and \" and ]", "nul \0 inside", "🐘", ""])
def test_parameters_and_literals_keep_their_text(client: Client, text: str) -> None:
    literal = text.replace("'", "''")
    assert client.rows(f"SELECT @p, N'{literal}'", p=text) == [(text, text)]


def test_string_parameters_of_any_length_share_one_plan(client: Client) -> None:
    statement = client.session.owner.parse("SELECT @p + 'x'")[0]
    for length in range(1, 20):
        assert client.value("SELECT @p + 'x'", p="y" * length) == "y" * length + "x"
    assert len(statement.plans) == 1


def test_lengths_count_utf16_units(client: Client) -> None:
    assert client.rows(
        "SELECT N'ä😀' AS v, LEN(N'a😀'), DATALENGTH(N'😀'), LEFT(N'😀b', 2), RIGHT(N'a😀', 2), SUBSTRING(N'a😀b', 2, 2)"
    ) == [("ä😀", 3, 4, "😀", "😀", "😀")]
    assert client.columns("SELECT N'ä😀' AS v")[0].type == SqlType("nvarchar", 3)
    assert client.rows(
        "SELECT CHARINDEX(N'b', N'😀b'), STUFF(N'😀b', 3, 1, N'x'), CAST(N'😀😀' AS nvarchar(3)), CAST(N'😀' AS nchar(3))"
    ) == [(3, "😀x", "😀\U0010f83d", "😀 ")]  # half a pair
    client.rows("CREATE TABLE dbo.Units (V nvarchar(2)); INSERT dbo.Units VALUES (N'😀')")
    assert client.error("INSERT dbo.Units VALUES (N'a😀')").number == 2628


def test_old_large_objects_are_refused_where_the_real_server_refuses_them(client: Client) -> None:
    given = Parameter("[1]", SqlType("ntext", -1))
    assert client.error("SELECT * FROM OPENJSON(@p)", p=given).number == 8116
    assert client.error("SELECT LEN(@p)", p=given).number == 8116
    assert client.error("SELECT 1 WHERE @p = N'x'", p=given).number == 402
    assert client.rows(
        "DECLARE @m nvarchar(max) = @p; SELECT value, CAST(@p AS nvarchar(10)) FROM OPENJSON(@m) WHERE @p LIKE N'%1%'", p=given
    ) == [("1", "[1]")]
