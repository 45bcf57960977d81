"""Tables and columns in SQL: declared and read without losing a digit, quoted whatever their names."""

from __future__ import annotations

import struct
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowpost.database.columns import TableColumn
from rowpost.database.names import literal, quote
from rowpost.rules.json_text import to_json
from tests.harness.rows import column, table

TYPES: list[tuple[TableColumn, str, str]] = [
    # column, its declaration, the expression that reads it
    (column("c", "int"), "int", "t.[c]"),
    (column("c", "bigint", 8, 19), "bigint", "t.[c]"),
    (column("c", "smallint", 2, 5), "smallint", "t.[c]"),
    (column("c", "tinyint", 1, 3), "tinyint", "t.[c]"),
    (column("c", "bit", 1, 1), "bit", "t.[c]"),
    (column("c", "decimal", 17, 38, 10), "decimal(38, 10)", "t.[c]"),
    (column("c", "numeric", 5, 9, 0), "numeric(9, 0)", "t.[c]"),
    (column("c", "money", 8, 19, 4), "money", "t.[c]"),
    (column("c", "smallmoney", 4, 10, 4), "smallmoney", "t.[c]"),
    (column("c", "float", 8, 53), "float", "t.[c]"),
    (column("c", "real", 4, 24), "real", "t.[c]"),
    (column("c", "char", 10), "char(10)", "t.[c]"),
    (column("c", "varchar", 8000), "varchar(8000)", "t.[c]"),
    (column("c", "varchar", -1), "varchar(max)", "t.[c]"),
    (column("c", "nchar", 10), "nchar(5)", "t.[c]"),
    (column("c", "nvarchar", 40), "nvarchar(20)", "t.[c]"),
    (column("c", "nvarchar", -1), "nvarchar(max)", "t.[c]"),
    (column("c", "binary", 16), "binary(16)", "t.[c]"),
    (column("c", "varbinary", 64), "varbinary(64)", "t.[c]"),
    (column("c", "varbinary", -1), "varbinary(max)", "t.[c]"),
    (column("c", "uniqueidentifier", 16), "uniqueidentifier", "t.[c]"),
    (column("c", "timestamp", 8), "varbinary(8)", "t.[c]"),
    (column("c", "date", 3, 10), "date", "CONVERT(nvarchar(40), t.[c], 126)"),
    (column("c", "datetime", 8, 23, 3), "datetime", "CONVERT(nvarchar(40), t.[c], 126)"),
    (column("c", "smalldatetime", 4, 16), "smalldatetime", "CONVERT(nvarchar(40), t.[c], 126)"),
    (column("c", "datetime2", 8, 27, 7), "datetime2(7)", "CONVERT(nvarchar(40), t.[c], 126)"),
    (column("c", "datetime2", 6, 19, 0), "datetime2(0)", "CONVERT(nvarchar(40), t.[c], 126)"),
    (column("c", "datetimeoffset", 10, 34, 7), "datetimeoffset(7)", "CONVERT(nvarchar(40), t.[c], 126)"),
    (column("c", "time", 5, 16, 3), "time(3)", "CONVERT(nvarchar(40), t.[c], 126)"),
    (column("c", "xml", -1), "xml", "CONVERT(nvarchar(max), t.[c])"),
    (column("c", "text", 16), "text", "CONVERT(nvarchar(max), t.[c])"),
    (column("c", "ntext", 16), "ntext", "CONVERT(nvarchar(max), t.[c])"),
    (column("c", "json", -1), "json", "CONVERT(nvarchar(max), t.[c])"),
    (column("c", "image", 16), "image", "CONVERT(varbinary(max), t.[c])"),
]


@pytest.mark.parametrize(("found", "declaration", "expression"), TYPES, ids=[declaration for _, declaration, _ in TYPES])
def test_each_type_is_declared_and_read_without_losing_a_digit(found: TableColumn, declaration: str, expression: str) -> None:
    assert found.declaration == declaration
    assert found.select("t") == expression
    assert found.from_json("[key.1]", "$") == f"[key.1] {declaration} '$.c'"
    assert found.json_value(None) is None


@pytest.mark.parametrize(
    ("name", "quoted", "path"),
    [
        ("OrderId", "[OrderId]", "'$.OrderId'"),
        ("Order Id", "[Order Id]", "'$.\"Order Id\"'"),
        ("Größe", "[Größe]", "N'$.\"Größe\"'"),
        ("a]b", "[a]]b]", "'$.\"a]b\"'"),
        ("it's", "[it's]", "'$.\"it''s\"'"),
        ('say "x"\\', '[say "x"\\]', '\'$."say \\"x\\"\\\\"\''),
        ("2nd", "[2nd]", "'$.\"2nd\"'"),
        ("a.b", "[a.b]", "'$.\"a.b\"'"),
    ],
)
def test_any_name_of_a_column_is_quoted(name: str, quoted: str, path: str) -> None:
    assert column(name, "int").from_json("[key.1]", "$") == f"[key.1] int {path}"
    assert column(name, "int").select("t") == f"t.{quoted}"


@settings(max_examples=100, deadline=None)
@given(name=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20))
def test_quoted_names_and_literals_end_where_they_should(name: str) -> None:
    assert quote(name)[1:-1].replace("]]", "").count("]") == 0 and quote(name)[1:-1].replace("]]", "]") == name
    assert literal(name)[2:-1].replace("''", "").count("'") == 0 and literal(name)[2:-1].replace("''", "'") == name


def test_the_fragments_of_a_composite_key() -> None:
    orders = table((column("Region", "nvarchar", 40), column("Order]Id", "int")), column("Total", "money"))
    found = orders.fragments
    assert found["table"] == "[dbo].[Orders]" and found["leases"] == "[az_func].[Leases_rowpost_dbo_Orders_e3b0c442]"
    assert found["same_key_l_k"] == "l.[Region] = k.[key.1] AND l.[Order]]Id] = k.[key.2]"
    assert found["same_key_l_c"] == "l.[Region] = c.[Region] AND l.[Order]]Id] = c.[Order]]Id]"
    assert found["key_of_k"] == found["read_key_of_k"] == "k.[key.1], k.[key.2]"
    assert found["key_from_text"] == "[key.1] nvarchar(20) '$.Region', [key.2] int '$.\"Order]Id\"'"
    assert found["key_of_record"] == (
        "(SELECT j.[key.1] AS [key.1], TRY_CONVERT(int, j.[key.2]) AS [key.2] FROM OPENJSON(g.RowKey) "
        "WITH ([key.1] nvarchar(20) '$.Region', [key.2] nvarchar(4000) '$.\"Order]Id\"') j)"
    )
    assert found["key_from_item"] == "[key.1] nvarchar(20) '$.key.Region', [key.2] int '$.key.\"Order]Id\"'"
    assert found["behind_key"] == "t.[Region] >= @key1 AND ((t.[Region] > @key1) OR (t.[Region] = @key1 AND t.[Order]]Id] > @key2))"


@settings(max_examples=300, deadline=None)
@given(value=st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_a_real_is_the_shortest_decimal_of_the_same_float(value: float) -> None:
    short = column("c", "real").json_value(value)
    assert isinstance(short, float)
    assert struct.pack("f", short) == struct.pack("f", value), "the same 32-bit float, sign of zero included"
    assert len(repr(short).lstrip("-")) <= len(repr(value).lstrip("-"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.1, "0.1"), (1 / 3, "0.33333334"), (16777216.0, "16777216.0"), (3.4028235e38, "3.4028235e38")],
)
def test_reals_as_people_write_them(value: float, text: str) -> None:
    (single,) = struct.unpack("f", struct.pack("f", value))
    found = to_json(column("c", "real").json_value(single))
    assert float(found) == float(text) and len(found) <= len(text)


def test_a_float_keeps_its_sixty_four_bits() -> None:
    value = 0.1 + 0.2
    assert column("c", "float", 8, 53).json_value(value) == value
    assert float(to_json(value)) == value


def test_a_uuid_is_lower_case_so_that_a_key_has_one_text() -> None:
    found = column("c", "uniqueidentifier", 16)
    assert found.json_value("6F9619FF-8B86-D011-B42D-00C04FC964FF") == "6f9619ff-8b86-d011-b42d-00c04fc964ff"


@pytest.mark.parametrize("value", [bytearray(b"\x01\x02"), memoryview(b"\x01\x02"), b"\x01\x02"])
@pytest.mark.parametrize("type_name", ["varbinary", "binary", "timestamp", "image"])
def test_binary_values_become_bytes(value: Any, type_name: str) -> None:
    found = column("c", type_name, 8).json_value(value)
    assert found == b"\x01\x02" and type(found) is bytes
    assert to_json(found) == '"AQI="'


def test_other_values_stay_what_they_are() -> None:
    offset = datetime(2026, 1, 1, tzinfo=timezone(timedelta(hours=2))).isoformat()
    for type_name, value in (
        ("nvarchar", "A "),
        ("bit", True),
        ("bigint", 2**62),
        ("datetimeoffset", offset),
    ):
        found = column("c", type_name).json_value(value)
        assert found == value and type(found) is type(value)
