"""Values on the wire: each type goes out and comes back the same."""

from __future__ import annotations

import datetime
import math
import struct
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulators.sql_server.tds import temporal
from emulators.sql_server.tds.reader import ByteReader, ProtocolError
from emulators.sql_server.tds.types import read_type_info, write_type_info
from emulators.sql_server.tds.values import encoder, read_value
from emulators.sql_server.values.results import SqlError, SqlType
from emulators.sql_server.values.utf16 import inner
from emulators.sql_server.wire.binding import convert
from emulators.sql_server.wire.declarations import parse_declarations

MAX = SqlType("nvarchar", -1)


def through_the_wire(sql_type: SqlType, value: Any) -> Any:
    reader = ByteReader(write_type_info(sql_type) + encoder(sql_type)(value))
    returned = read_value(reader, read_type_info(reader))
    assert not reader.more
    return returned


INTEGERS = {
    "bit": (0, 1),
    "tinyint": (0, 255),
    "smallint": (-(2**15), 2**15 - 1),
    "int": (-(2**31), 2**31 - 1),
    "bigint": (-(2**63), 2**63 - 1),
}
ALL_TYPES = [
    *(SqlType(name) for name in INTEGERS),
    SqlType("decimal", 0, 38, 10),
    SqlType("numeric", 0, 5, 2),
    SqlType("money"),
    SqlType("smallmoney"),
    SqlType("float"),
    SqlType("real"),
    SqlType("char", 5),
    SqlType("varchar", 5),
    SqlType("varchar", -1),
    SqlType("nchar", 5),
    SqlType("nvarchar", 5),
    MAX,
    SqlType("text", -1),
    SqlType("ntext", -1),
    SqlType("xml"),
    SqlType("binary", 5),
    SqlType("varbinary", 5),
    SqlType("varbinary", -1),
    SqlType("image", -1),
    SqlType("rowversion"),
    SqlType("uniqueidentifier"),
    SqlType("date"),
    *(SqlType(name, 0, 0, scale) for name in ("time", "datetime2", "datetimeoffset") for scale in (0, 3, 7)),
    SqlType("datetime"),
    SqlType("smalldatetime"),
    SqlType("sysname"),
]


@pytest.mark.parametrize("sql_type", ALL_TYPES, ids=str)
def test_null_of_every_type(sql_type: SqlType) -> None:
    assert through_the_wire(sql_type, None) is None


@pytest.mark.parametrize("name", INTEGERS)
@given(data=st.data())
def test_integers(name: str, data: st.DataObject) -> None:
    low, high = INTEGERS[name]
    value = data.draw(st.integers(low, high))
    assert through_the_wire(SqlType(name), value) == value


@pytest.mark.parametrize("name", ["tinyint", "smallint", "int", "bigint"])
def test_integers_that_do_not_fit_are_refused(name: str) -> None:
    low, high = INTEGERS[name]
    for value in (low - 1, high + 1):
        with pytest.raises(SqlError) as raised:
            encoder(SqlType(name))(value)
        assert raised.value.number == 8115


@given(data=st.data(), precision=st.integers(1, 38))
def test_decimals_keep_every_digit(data: st.DataObject, precision: int) -> None:
    scale = data.draw(st.integers(0, precision))
    unscaled = data.draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    value = Decimal(f"{unscaled}e-{scale}")
    returned = through_the_wire(SqlType("decimal", 0, precision, scale), value)
    assert returned == value
    assert -returned.as_tuple().exponent == scale


def test_decimal_that_does_not_fit_is_refused() -> None:
    with pytest.raises(SqlError, match="overflow"):
        encoder(SqlType("decimal", 0, 5, 2))(Decimal("1000"))


@pytest.mark.parametrize(("name", "bits"), [("money", 63), ("smallmoney", 31)])
@given(data=st.data())
def test_money(name: str, bits: int, data: st.DataObject) -> None:
    value = Decimal(data.draw(st.integers(-(2**bits), 2**bits - 1))).scaleb(-4)
    assert through_the_wire(SqlType(name), value) == value


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_floats(value: float) -> None:
    returned = through_the_wire(SqlType("float"), value)
    assert returned == value and math.copysign(1, returned) == math.copysign(1, value)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_reals(value: float) -> None:
    assert through_the_wire(SqlType("real"), value) == value


@given(st.text())
def test_unicode_strings(value: str) -> None:
    given = inner(value)
    assert through_the_wire(MAX, given) == value
    if len(value.encode("utf-16-le")) <= 200:
        assert through_the_wire(SqlType("nvarchar", 100), given) == value
        assert through_the_wire(SqlType("xml"), given) == value.removeprefix("\ufeff")  # a byte order mark is no data


@given(st.text(st.characters(codec="cp1252")))
def test_code_page_strings(value: str) -> None:
    assert through_the_wire(SqlType("varchar", -1), value) == value
    if len(value) <= 50:
        assert through_the_wire(SqlType("varchar", 50), value) == value
        assert through_the_wire(SqlType("char", 50), value) == value.ljust(50)


def test_characters_outside_the_code_page_become_question_marks() -> None:
    assert through_the_wire(SqlType("varchar", 10), "日本€") == "??€"


@given(st.binary(max_size=10_000))
def test_binary(value: bytes) -> None:
    assert through_the_wire(SqlType("varbinary", -1), value) == value
    if len(value) <= 8:
        assert through_the_wire(SqlType("varbinary", 8), value) == value
        assert through_the_wire(SqlType("binary", 8), value) == value.ljust(8, b"\0")


@pytest.mark.parametrize("name", ["nvarchar", "varchar", "varbinary", "nchar"])
def test_values_longer_than_their_column_are_never_cut(name: str) -> None:
    with pytest.raises(ValueError, match="a value of 4"):
        encoder(SqlType(name, 3))(b"abcd" if name == "varbinary" else "abcd")


@given(st.uuids())
def test_uniqueidentifiers(value: uuid.UUID) -> None:
    assert through_the_wire(SqlType("uniqueidentifier"), str(value).upper()) == str(value).upper()


@given(st.dates())
def test_dates(value: datetime.date) -> None:
    assert through_the_wire(SqlType("date"), value.isoformat()) == value.isoformat()


ticks = st.integers(0, temporal.TICKS_PER_DAY - 1)


@given(st.dates(), ticks, st.integers(0, 7))
def test_times_and_datetime2(date: datetime.date, tick: int, scale: int) -> None:
    unit = 10 ** (7 - scale)
    time = temporal.time_text(tick // unit * unit, scale)
    assert len(time) == (8 if scale == 0 else 9 + scale)
    assert through_the_wire(SqlType("time", 0, 0, scale), time) == time
    text = f"{date.isoformat()} {time}"
    assert through_the_wire(SqlType("datetime2", 0, 0, scale), text) == text


@given(st.dates(datetime.date(1, 1, 2), datetime.date(9999, 12, 30)), ticks, st.integers(0, 7), st.integers(-14 * 60, 14 * 60))
def test_datetimeoffsets_keep_their_offset(date: datetime.date, tick: int, scale: int, offset: int) -> None:
    unit = 10 ** (7 - scale)
    sign = "-" if offset < 0 else "+"
    zone = f"{sign}{abs(offset) // 60:02}:{abs(offset) % 60:02}"
    text = f"{date.isoformat()} {temporal.time_text(tick // unit * unit, scale)} {zone}"
    assert through_the_wire(SqlType("datetimeoffset", 0, 0, scale), text) == text


@given(st.dates(datetime.date(1753, 1, 1)), st.integers(0, 86_400 * 300 - 1))
def test_datetimes_tick_300_times_a_second(date: datetime.date, thirds: int) -> None:
    milliseconds = (thirds * 1000 + 150) // 300
    text = f"{date.isoformat()} {temporal.time_text(milliseconds * 10_000, 3)}"
    assert text[-1] in "037"
    assert through_the_wire(SqlType("datetime"), text) == text


@given(st.dates(datetime.date(1900, 1, 1), datetime.date(2079, 6, 5)), st.integers(0, 1439))
def test_smalldatetimes(date: datetime.date, minutes: int) -> None:
    text = f"{date.isoformat()} {minutes // 60:02}:{minutes % 60:02}:00"
    assert through_the_wire(SqlType("smalldatetime"), text) == text


def test_variant_carries_its_base_type() -> None:
    body = encoder(SqlType("sql_variant"))("ab")
    assert struct.unpack_from("<IB", body) == (len(body) - 4, 0xE7)
    assert body.endswith("ab".encode("utf-16-le"))
    assert encoder(SqlType("sql_variant"))(None) == bytes(4)
    assert encoder(SqlType("sql_variant"))(5)[4] == 0x38


@given(st.binary(max_size=60))
def test_broken_requests_raise_nothing_but_protocol_and_sql_errors(data: bytes) -> None:
    reader = ByteReader(data)
    try:
        wire_type = read_type_info(reader)
        read_value(reader, wire_type)
    except (ProtocolError, SqlError):
        pass


@given(st.sampled_from(ALL_TYPES))
def test_type_declarations_come_back(sql_type: SqlType) -> None:
    wire_type = read_type_info(ByteReader(write_type_info(sql_type)))
    assert write_type_info(wire_type.sql_type) == write_type_info(sql_type)


# -- declarations and conversion


def test_declarations() -> None:
    text = (
        "@P1 nvarchar(max),@p2 decimal(38, 10) OUTPUT, @n AS int = -5,@d datetime2(3), @e datetime2 , @s sys.sysname, @t ntext, "
        "@f float(24), @x varchar, @q nvarchar(10) = N'a,''b', @c character varying(7), @r [uniqueidentifier] out"
    )
    found = {declaration.name: declaration for declaration in parse_declarations(text)}
    assert {name: declaration.type for name, declaration in found.items()} == {
        "p1": MAX,
        "p2": SqlType("decimal", 0, 38, 10),
        "n": SqlType("int"),
        "d": SqlType("datetime2", 0, 0, 3),
        "e": SqlType("datetime2", 0, 0, 7),
        "s": SqlType("nvarchar", 128),
        "t": SqlType("ntext", -1),
        "f": SqlType("real", 0, 24),
        "x": SqlType("varchar", 1),
        "q": SqlType("nvarchar", 10),
        "c": SqlType("varchar", 7),
        "r": SqlType("uniqueidentifier"),
    }
    assert [name for name, declaration in found.items() if declaration.output] == ["p2", "r"]
    assert found["n"].default == "-5" and found["q"].default == "N'a,''b'"


@pytest.mark.parametrize("text", ["@a", "a int", "@a int,", "@a int @b int", "@a decimal(x)"])
def test_bad_declarations(text: str) -> None:
    if text == "@a int,":
        assert len(parse_declarations(text)) == 1
        return
    with pytest.raises(SqlError) as raised:
        parse_declarations(text)
    assert raised.value.number == 102


def test_table_valued_parameters_are_refused_by_name() -> None:
    with pytest.raises(SqlError, match="table-valued parameters are not supported"):
        parse_declarations("@rows dbo.List READONLY")


LARGEST = Decimal("9" * 38)
SENT = {
    "decimal": SqlType("decimal", 0, 38, 10),
    "datetime2": SqlType("datetime2", 0, 0, 7),
    "datetimeoffset": SqlType("datetimeoffset", 0, 0, 7),
}
CONVERSIONS = [
    (5, "tinyint", SqlType("bigint"), 5),
    (300, "int", SqlType("bit"), 1),
    ("12", "nvarchar", SqlType("int"), 12),
    (7, "int", SqlType("decimal", 0, 5, 2), Decimal("7.00")),
    (Decimal("1.005"), "decimal", SqlType("decimal", 0, 5, 2), Decimal("1.01")),
    (0.1, "float", SqlType("decimal", 0, 38, 20), Decimal("0.10000000000000000555")),
    (
        Decimal("99999999999999999999999999999999999999"),
        "decimal",
        SqlType("decimal", 0, 38, 0),
        Decimal("99999999999999999999999999999999999999"),
    ),
    (Decimal("1.5"), "decimal", SqlType("float", 0, 53), 1.5),
    ("abcdef", "ntext", SqlType("nvarchar", 3), "abc"),
    ("abcdef", "ntext", MAX, "abcdef"),
    (Decimal("1E+3"), "decimal", MAX, "1000.0000000000"),
    (b"abc", "image", SqlType("varbinary", 2), b"ab"),
    ("2024-02-03 04:05:06.9999999", "datetime2", SqlType("datetime2", 0, 0, 3), "2024-02-03 04:05:07.000"),
    ("2024-12-31 23:59:59.9999999", "datetime2", SqlType("datetime"), "2025-01-01 00:00:00.000"),
    ("2024-02-03 04:05:06.0060000", "datetime2", SqlType("datetime"), "2024-02-03 04:05:06.007"),
    ("2024-02-03 04:05:31", "datetime2", SqlType("smalldatetime"), "2024-02-03 04:06:00"),
    ("2024-02-03", "date", SqlType("datetime2", 0, 0, 1), "2024-02-03 00:00:00.0"),
    ("2024-02-03T04:05:06Z", "nvarchar", SqlType("datetimeoffset", 0, 0, 0), "2024-02-03 04:05:06 +00:00"),
    ("2024-02-03 23:30:00 -02:00", "datetimeoffset", SqlType("datetime2", 0, 0, 0), "2024-02-03 23:30:00"),
    ("2024-02-03 23:30:00 -02:00", "datetimeoffset", SqlType("date"), "2024-02-03"),
    ("2024-02-03 04:05:06.70", "datetime2", SqlType("time", 0, 0, 0), "04:05:07"),
    ("{ab6f7c7a-0000-4000-8000-00000000000a}", "nvarchar", SqlType("uniqueidentifier"), "AB6F7C7A-0000-4000-8000-00000000000A"),
]


@pytest.mark.parametrize(("value", "sent", "declared", "expected"), CONVERSIONS, ids=str)
def test_conversion_to_the_declared_type(value: Any, sent: str, declared: SqlType, expected: Any) -> None:
    converted = convert(value, SENT.get(sent, SqlType(sent, -1)), declared)
    assert converted == expected and type(converted) is type(expected)
    assert convert(None, SqlType(sent), declared) is None


@pytest.mark.parametrize(
    ("value", "sent", "declared", "number"),
    [
        ("abc", "nvarchar", SqlType("int"), 8114),
        ("abc", "nvarchar", SqlType("decimal", 0, 5, 2), 8114),
        ("abc", "nvarchar", SqlType("datetime2", 0, 0, 7), 8114),
        ("abc", "nvarchar", SqlType("uniqueidentifier"), 8114),
        (256, "int", SqlType("tinyint"), 8114),
        (Decimal("1000"), "decimal", SqlType("decimal", 0, 5, 2), 8114),
        (b"ab", "varbinary", SqlType("float", 0, 53), 8114),
    ],
)
def test_impossible_conversions(value: Any, sent: str, declared: SqlType, number: int) -> None:
    with pytest.raises(SqlError) as raised:
        convert(value, SENT.get(sent, SqlType(sent, -1)), declared)
    assert raised.value.number == number
