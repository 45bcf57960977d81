"""Every cell of the tables in emulators/sql_server/values/chart, tried on the SQL Server emulator.

The tables are those of learn.microsoft.com/sql/t-sql/data-types/data-type-conversion-database-engine. Each pair of types is tried
with columns that hold NULL: the real server decides by the types alone. Where a conversion exists, a value goes through it too.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.sql_server.values.legality import COMPARISONS, CONVERSIONS, UNIONS
from emulators.tests.tsql.database import Client, Server

TYPES = list(dict.fromkeys(source for source, _ in CONVERSIONS))
DECLARED = {"decimal": "decimal(9, 2)", "numeric": "numeric(9, 2)", "binary": "binary(16)", "varbinary": "varbinary(40)"}
DECLARED |= {name: f"{name}(60)" for name in ("char", "varchar", "nchar", "nvarchar")}
NOT_HERE = {  # refused by name, error 40517
    *((source, target) for source in ("date", "time", "datetime2", "datetimeoffset") for target in ("binary", "varbinary")),
    ("binary", "xml"),
    ("varbinary", "xml"),
}
VALUES = {
    "bit": "1",
    **dict.fromkeys(("tinyint", "smallint", "int", "bigint", "decimal", "numeric", "money", "smallmoney", "real", "float"), "2"),
    **dict.fromkeys(("char", "varchar", "nchar", "nvarchar", "text", "ntext"), "'2'"),
    **dict.fromkeys(("binary", "varbinary", "image"), "0x0100000000000002"),
    "uniqueidentifier": "'6F9619FF-8B86-D011-B42D-00C04FC964FF'",
    **dict.fromkeys(("date", "datetime", "smalldatetime", "datetime2", "datetimeoffset"), "'1900-01-03'"),
    "time": "'03:04'",
    "xml": "'<a/>'",
    "sql_variant": "2",
}
TEXTS = {"uniqueidentifier": VALUES["uniqueidentifier"], "time": "'03:04'", "xml": "'<a/>'"}
"""What a string must hold to become the type."""
TEXTS |= dict.fromkeys(("date", "datetime", "smalldatetime", "datetime2", "datetimeoffset"), "'2024-01-02'")
BYTES = {
    "date": "0x78450B",
    "time": "0x070000000000",
    "datetime2": "0x07000000000078450B",
    "datetimeoffset": "0x07000000000078450B0000",
    "decimal": "0x0902000102000000",
    "numeric": "0x0902000102000000",
    "smalldatetime": "0x00000001",
    "datetime": "0x00",
}


def declared(kind: str) -> str:
    return DECLARED.get(kind, kind)


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    server = Server(Path(tmp_path_factory.mktemp("legality")))
    one = server.client()
    columns = ", ".join(f"c_{kind} {declared(kind)}{' NULL' if kind != 'rowversion' else ''}" for kind in TYPES)
    one.rows(f"CREATE TABLE dbo.Nothing ({columns}); CREATE TABLE dbo.Target ({columns})")
    yield one
    server.database.close()


def numbers(client: Client, sql: str) -> list[int]:
    return client.run(sql).numbers


def test_the_tables_have_every_pair() -> None:
    assert len(TYPES) == 30
    assert set(COMPARISONS) == set(UNIONS) == {(a, b) for a in TYPES for b in TYPES}
    assert set(CONVERSIONS) == {(a, b) for a in TYPES for b in TYPES if b != "rowversion"}  # nothing is ever put into a rowversion
    assert set(CONVERSIONS.values()) == {"implicit", "explicit", "none"}


@pytest.mark.parametrize("source", TYPES)
def test_assignment_and_cast_of_every_pair(client: Client, source: str) -> None:
    wrong = []
    for target in TYPES:
        cell = CONVERSIONS.get((source, target))
        if cell is None:
            continue
        missing = [40517] if (source, target) in NOT_HERE else []
        assign = missing or {"implicit": [], "explicit": [257], "none": [206]}[cell]
        if cell != "implicit":
            assign = {"explicit": [257], "none": [206]}[cell]
        cast = [529] if cell == "none" else missing
        checks = {
            f"INSERT dbo.Target (c_{target}) SELECT c_{source} FROM dbo.Nothing": assign,
            f"UPDATE t SET c_{target} = n.c_{source} FROM dbo.Target AS t CROSS JOIN dbo.Nothing AS n": assign,
            f"SELECT CAST(c_{source} AS {declared(target)}) FROM dbo.Nothing": cast,
            f"SELECT TRY_CAST(c_{source} AS {declared(target)}) FROM dbo.Nothing": cast,
        }
        if target not in ("text", "ntext", "image") and source not in ("text", "ntext", "image", "rowversion"):
            checks[f"DECLARE @s {declared(source)}; DECLARE @t {declared(target)} = @s"] = assign
        wrong += [(sql, found, wanted) for sql, wanted in checks.items() if (found := numbers(client, sql)) != wanted]
    assert wrong == []


@pytest.mark.parametrize("source", [kind for kind in TYPES if kind != "rowversion"])
def test_a_value_goes_through_every_conversion(client: Client, source: str) -> None:
    wrong = []
    for target in TYPES:
        if CONVERSIONS.get((source, target), "none") == "none" or (source, target) in NOT_HERE:
            continue
        given = VALUES[source]
        if source in ("char", "varchar", "nchar", "nvarchar", "text", "ntext"):
            given = TEXTS.get(target, given)
        elif source in ("binary", "varbinary", "image"):
            given = BYTES.get(target, given)
        elif source == "sql_variant":
            given = TEXTS.get(target, "'2'" if target != "datetime" else given)
        size = f"binary({len(given) // 2 - 1})" if source == "binary" else declared(source)
        sql = f"SELECT CAST(CAST(CAST({given} AS {size}) AS {declared(target)}) AS sql_variant)"
        if target in ("text", "ntext", "image", "xml"):
            sql = f"SELECT CAST(CAST({given} AS {declared(source)}) AS {declared(target)})"
        outcome = client.run(sql)
        if outcome.numbers or outcome.results[-1].rows == [(None,)]:
            wrong.append((sql, outcome.numbers))
    assert wrong == []


@pytest.mark.parametrize("left", TYPES)
def test_union_and_comparison_of_every_pair(client: Client, left: str) -> None:
    wrong = []
    for right in TYPES:
        if "sql_variant" in (left, right):
            continue  # refused by name
        union, compare = UNIONS[left, right], COMPARISONS[left, right]
        if {(left, right), (right, left)} & NOT_HERE and union == "ok":
            union = "40517"
        checks = {
            f"SELECT CASE WHEN 1 = 1 THEN c_{left} ELSE c_{right} END FROM dbo.Nothing": union,
            f"SELECT COALESCE(c_{left}, c_{right}) FROM dbo.Nothing": union,
            f"SELECT c_{left} FROM dbo.Nothing UNION ALL SELECT c_{right} FROM dbo.Nothing": union,
            f"SELECT 1 FROM dbo.Nothing WHERE c_{left} = c_{right}": compare,
            f"SELECT 1 FROM dbo.Nothing WHERE c_{left} IN (c_{right})": compare,
            f"SELECT 1 FROM dbo.Nothing WHERE c_{left} IN (SELECT c_{right} FROM dbo.Nothing)": compare,
            f"SELECT 1 FROM dbo.Nothing AS a JOIN dbo.Nothing AS b ON a.c_{left} < b.c_{right}": compare,
        }
        for sql, cell in checks.items():
            found = numbers(client, sql)
            if found != ([] if cell == "ok" else [int(cell)]):
                wrong.append((sql, found, cell))
    assert wrong == []


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("DECLARE @d datetime, @i int; SET @i = @d", "Implicit conversion from data type datetime to int is not allowed."),
        (
            "DECLARE @x xml; SELECT 1 WHERE LEN(@x) = 1; DECLARE @s nvarchar(max) = @x",
            "Implicit conversion from data type xml to nvarchar(max)",
        ),
        ("DECLARE @b varbinary(9) = N'a'", "Implicit conversion from data type nvarchar to varbinary is not allowed."),
        ("SELECT 1 WHERE NEWID() = 1", "Operand type clash: uniqueidentifier is incompatible with int"),
        ("SELECT 1 WHERE 1 = CAST('20240101' AS date)", "Operand type clash: date is incompatible with int"),
        ("SELECT CASE WHEN 1 = 1 THEN NEWID() ELSE 1 END", "Operand type clash: uniqueidentifier is incompatible with int"),
        (
            "SELECT 1 WHERE CAST('20240101' AS datetime) = CAST('10:00' AS time)",
            "The data types datetime and time are incompatible in the equal to",
        ),
        ("SELECT 1 WHERE CAST('<a/>' AS xml) = CAST('<a/>' AS xml)", "The XML data type cannot be compared or sorted"),
    ],
)
def test_the_texts_of_the_errors(client: Client, sql: str, text: str) -> None:
    assert client.error(sql).text.startswith(text)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CAST(0x0102030405 AS int)", 33752069),
        ("CAST(0xFF01 AS tinyint)", 1),
        ("CAST(0x0100 AS bit)", 0),
        ("CAST(0x01 AS money)", "0.0001"),
        ("CAST(0x0502000196000000 AS decimal(5, 2))", "1.50"),
        ("CAST(0x05020000E1000000 AS decimal(4, 1))", "-2.3"),
        ("CAST(CAST(1.5 AS decimal(5, 1)) AS varbinary(30))", b"\x05\x01\x00\x01\x0f\x00\x00\x00"),
        ("CAST(CAST(1.5 AS decimal(5, 1)) AS binary(2))", b"\x05\x01"),
        ("CAST($1 AS varbinary(8))", b"\0\0\0\0\0\0\x27\x10"),
        ("CAST(CAST(1 AS float) AS varbinary(4))", b"\0\0\0\0"),
        ("CAST(0x0102 AS datetime)", "1900-01-01 00:00:00.860"),
        ("CAST(CAST('1900-01-02T00:00:01' AS datetime) AS binary(8))", b"\0\0\0\x01\0\0\x01\x2c"),
        ("CAST(CAST('1900-01-02T00:01' AS smalldatetime) AS varbinary(4))", b"\0\x01\0\x01"),
        ("CAST(0x07A00627C0A5173D0B0000 AS datetimeoffset)", "2017-07-26 19:46:29.3386912 +00:00"),
        ("CAST(CAST(1.1 AS real) AS decimal(20, 10))", "1.1000000238"),
        ("CAST(CAST(-$0.5 AS money) AS int)", -1),
        ("CAST(N'a' AS varbinary(4))", b"a\0"),
        ("CONVERT(varchar(30), CAST(0.1 AS real), 126)", "1.0000000e-001"),
        ("CONVERT(varchar(30), CAST(0.1 AS float), 126)", "1.000000000000000e-001"),
        ("CONVERT(varchar(30), $1.5, 126)", "1.5000"),
        ("(SELECT CAST(0.1 AS real) AS r FOR JSON PATH)", '[{"r":1.0000000e-001}]'),
    ],
)
def test_numbers_and_dates_as_bytes(client: Client, expression: str, expected: object) -> None:
    value = client.value(f"SELECT {expression}")
    assert (str(value) if isinstance(expected, str) else value) == expected


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("CAST(1e20 AS int)", 232),
        ("CAST(CAST(300 AS float) AS tinyint)", 232),
        ("CAST(1e20 AS bigint)", 8115),
        ("CAST(70000 AS smallint)", 220),
        ("CAST(CAST(70000 AS bigint) AS smallint)", 8115),
        ("CAST($3000000000 AS int)", 237),
        ("CAST('x' AS smallmoney)", 293),
        ("CAST('x' AS smalldatetime)", 295),
        ("CAST(0x6100 AS smalldatetime)", 210),
        ("CAST(0x01 AS decimal(5, 2))", 8114),
        ("CAST(0x01 AS date)", 241),
    ],
)
def test_numbers_of_failed_conversions(client: Client, expression: str, number: int) -> None:
    assert client.error(f"SELECT {expression}").number == number
    assert client.value(f"SELECT TRY_{expression}") is None


@pytest.mark.parametrize(
    ("expression", "number"),
    [
        ("CONVERT(xml, '<a> </a>', 1)", 40517),
        ("CONVERT(varchar(9), 0x41, 3)", 9809),
        ("CONVERT(varbinary(9), '0x41', 3)", 9809),
        ("CONVERT(varchar(30), CAST(1 AS float), 128)", 40517),
    ],
)
def test_styles_that_there_are_not(client: Client, expression: str, number: int) -> None:
    assert client.error(f"SELECT {expression}").number == number
