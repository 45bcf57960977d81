"""Keys, event ids and event bodies: the same for the same change, different otherwise, digit-exact."""

from __future__ import annotations

import base64
import json
import string
import struct
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
import simplejson
from hypothesis import given, settings
from hypothesis import strategies as st

from rowpost.claim import ClaimedRow, payload_keys
from rowpost.config import TableConfig
from rowpost.envelope import Event, build_event, event_id
from rowpost.ledger import key_hash, key_text, to_json
from rowpost.tables import JsonValue, Table, TableColumn, literal, quote

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)
TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**28), max_value=10**28, places=10)
VALUES = st.one_of(TEXTS, st.integers(-(2**63), 2**63 - 1), DECIMALS, st.booleans(), st.binary(max_size=16))
KEYS = st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=8), VALUES, min_size=1, max_size=4)


def table(key: tuple[TableColumn, ...], *columns: TableColumn) -> Table:
    return Table(TableConfig(name="dbo.Orders"), "dbo.Orders", key, (*key, *columns), None)


def column(name: str, type_name: str, max_length: int = 4, precision: int = 10, scale: int = 0) -> TableColumn:
    return TableColumn(name, type_name, max_length, precision, scale)


def row(version: int = 7, values: dict[str, JsonValue] | None = None, key: dict[str, JsonValue] | None = None) -> ClaimedRow:
    return ClaimedRow(key or {"OrderId": 1}, version, 1, True, values)


def event(claimed: ClaimedRow, columns: list[str] | None = None, form: Any = "cloudevents", now: datetime = NOW) -> Event:
    return build_event("dbo.Orders", claimed, columns, now, "/sql/rowpost", form)


def exact(body: bytes | str) -> Any:
    return simplejson.loads(body, use_decimal=True)


# --- keys ---


@settings(max_examples=200, deadline=None)
@given(key=KEYS)
def test_key_text_is_compact_json_in_the_order_of_the_key(key: dict[str, Any]) -> None:
    text = key_text(key)
    assert text == key_text(dict(key)), "the same key, the same text"
    expected = {name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in key.items()}
    read = exact(text)
    assert list(read) == list(expected) and read == expected
    assert text == simplejson.dumps(read, use_decimal=True, separators=(",", ":"), ensure_ascii=False) or any(
        not character.isascii() or ord(character) < 32 or character in '"\\/\x7f' for character in text
    )


def test_key_text_follows_the_key_not_the_row() -> None:
    orders = table((column("Region", "nvarchar", 40), column("OrderId", "int")))
    key = orders.key_of(["Süd", 5])
    assert key_text(key) == '{"Region":"Süd","OrderId":5}'
    assert key_text({"OrderId": 5, "Region": "Süd"}) != key_text(key), "so it is built from the table's key alone"
    with pytest.raises(ValueError):
        orders.key_of(["Süd"])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (Decimal("1.50"), '{"k":1.50}'),
        (Decimal("12345678901234567890123456789.0123456789"), '{"k":12345678901234567890123456789.0123456789}'),
        (9223372036854775807, '{"k":9223372036854775807}'),
        (True, '{"k":true}'),
        (b"\x00\xff", '{"k":"AP8="}'),
        ("2026-03-01T00:00:00.0000001", '{"k":"2026-03-01T00:00:00.0000001"}'),
        ('"\\/\n\u2028é😀', '{"k":"\\"\\\\/\\n\u2028é😀"}'),
        (" x ", '{"k":" x "}'),
    ],
)
def test_key_text_of_each_kind_of_value(value: JsonValue, text: str) -> None:
    assert key_text({"k": value}) == text


def test_key_hash_is_sha_256_in_hexadecimal() -> None:
    # Ledger records of earlier versions are found by this very text and hash.
    text = key_text({"OrderId": 1, "Region": "Süd"})
    assert text == '{"OrderId":1,"Region":"Süd"}'
    assert key_hash(text) == "33f155fc013ba3013dbc40d4cf2fbecf5a1cc6e3a92319d4568cba520087d47f"


@settings(max_examples=100, deadline=None)
@given(one=KEYS, other=KEYS)
def test_key_hashes_differ_when_keys_do(one: dict[str, Any], other: dict[str, Any]) -> None:
    same = key_text(one) == key_text(other)
    assert (key_hash(key_text(one)) == key_hash(key_text(other))) is same
    assert ClaimedRow(one, 1, 0, True, None).key_hash == key_hash(key_text(one))


def decimal_key(*texts: str) -> Table:
    return table(tuple(column(text, "decimal", 17, 38, 10) for text in texts))


def test_a_decimal_in_a_key_never_has_an_exponent() -> None:
    # OPENJSON reads keys back, and T-SQL reads no exponent as a decimal.
    keys = decimal_key("a", "b", "c")
    key = keys.key_of([Decimal("1E-10"), Decimal("0E-10"), Decimal("-0.0000001")])
    assert key_text(key) == '{"a":0.0000000001,"b":0.0000000000,"c":-0.0000001}'


@settings(max_examples=100, deadline=None)
@given(value=DECIMALS)
def test_a_decimal_is_written_with_exactly_its_digits(value: Decimal) -> None:
    for type_name in ("decimal", "numeric", "money", "smallmoney"):
        text = to_json(column("c", type_name).json_value(value))
        assert text == format(value, "f") and exact(text) == value


def test_the_keys_of_a_payload_keep_the_digits_that_are_left() -> None:
    keys = decimal_key("Amount")
    payload = '[{"Operation":0,"Item":{"Amount":12345678901234567890.12,"Other":1}},{"Operation":2,"Item":{"Amount":1E-07}}]'
    assert to_json(payload_keys(keys, payload)) == '[{"rp_i":0,"Amount":12345678901234567890.12},{"rp_i":1,"Amount":0.0000001}]'
    mixed = table((column("Id", "uniqueidentifier", 16), column("Size", "real"), column("Name", "nvarchar", 40)))
    item = {"Id": "6F9619FF-8B86-D011-B42D-00C04FC964FF", "Size": 0.10000000149011612, "Name": "Ä"}
    text = to_json(payload_keys(mixed, json.dumps([{"Operation": 1, "Item": item}])))
    assert text == '[{"rp_i":0,"Id":"6f9619ff-8b86-d011-b42d-00c04fc964ff","Size":0.1,"Name":"Ä"}]'


def test_a_key_that_the_payload_lacks_is_null() -> None:
    assert payload_keys(decimal_key("Amount"), '[{"Operation":0,"Item":{"amount":1}}]') == [{"rp_i": 0, "Amount": None}]


# --- event ids ---

CHANGES = st.tuples(st.sampled_from(["dbo.Orders", "dbo.Order", "sales.Orders"]), KEYS.map(key_text), st.integers(0, 2**63 - 1))


@settings(max_examples=200, deadline=None)
@given(one=CHANGES, other=CHANGES)
def test_event_ids_are_equal_for_the_same_change_only(one: tuple[str, str, int], other: tuple[str, str, int]) -> None:
    assert event_id(*one) == event_id(*one)
    assert (event_id(*one) == event_id(*other)) is (one == other)


@settings(max_examples=100, deadline=None)
@given(change=CHANGES)
def test_event_ids_differ_in_each_single_part(change: tuple[str, str, int]) -> None:
    name, key, version = change
    others = {event_id(name + "x", key, version), event_id(name, key + " ", version), event_id(name, key, version + 1)}
    assert len(others | {event_id(*change)}) == 4


def test_every_retry_of_a_change_carries_the_same_id_in_every_form() -> None:
    first = event(row(values={"OrderId": 1, "Total": Decimal("1.5")}))
    later = event(row(values={"OrderId": 1, "Total": Decimal("1.5")}), now=NOW + timedelta(days=3))
    plain = event(row(values={"OrderId": 1, "Total": Decimal("1.5")}), form="plain")
    narrowed = event(row(values={"OrderId": 1, "Total": Decimal("1.5")}), ["OrderId"])
    assert first.id == later.id == plain.id == narrowed.id
    for each in (first, later, plain, narrowed):
        assert each.headers == {"Idempotency-Key": each.id, "Rowpost-Version": "7"}
    assert event(row(version=8)).id != first.id


# --- bodies ---


def test_a_cloud_event_has_the_required_attributes_and_types() -> None:
    claimed = row(values={"OrderId": 1, "Name": "Zoë"})
    built = event(claimed)
    assert built.content_type == "application/cloudevents+json"
    assert json.loads(built.body) == {
        "specversion": "1.0",
        "id": built.id,
        "source": "/sql/rowpost",
        "type": "rowpost.row.upserted",
        "subject": f"dbo.Orders/{claimed.key_hash[:16]}",
        "time": "2026-03-01T12:30:15.123Z",
        "sequence": "00000000000000000007",
        "datacontenttype": "application/json",
        "data": {
            "table": "dbo.Orders",
            "operation": "upsert",
            "key": {"OrderId": 1},
            "version": 7,
            "row": {"OrderId": 1, "Name": "Zoë"},
        },
    }
    attributes = {name: value for name, value in json.loads(built.body).items() if name != "data"}
    assert all(isinstance(value, str) and value for value in attributes.values())
    assert all(name.isascii() and name.isalnum() and name.islower() for name in attributes), "CloudEvents 1.0, 3.1"


@pytest.mark.parametrize("now", [NOW, NOW.replace(tzinfo=None)])
def test_the_time_of_an_event_is_utc_and_says_so(now: datetime) -> None:
    assert json.loads(event(row(), now=now).body)["time"] == "2026-03-01T12:30:15.123Z"


def test_sequences_sort_as_their_versions_do() -> None:
    versions = [0, 9, 10, 99, 10**10, 2**63 - 1]
    texts = [json.loads(event(row(version=version)).body)["sequence"] for version in versions]
    assert texts == sorted(texts) and len({len(text) for text in texts}) == 1


@pytest.mark.parametrize("columns", [None, ["Name"]])
def test_a_deleted_row_travels_as_its_key_and_null(columns: list[str] | None) -> None:
    document = json.loads(event(row(values=None), columns).body)
    assert document["type"] == "rowpost.row.deleted"
    assert document["data"] == {"table": "dbo.Orders", "operation": "delete", "key": {"OrderId": 1}, "version": 7, "row": None}


def test_the_plain_form_is_the_bare_change() -> None:
    values: dict[str, JsonValue] = {"OrderId": 1, "Name": None}
    built = event(row(values=values), form="plain")
    assert built.content_type == "application/json"
    assert (
        built.body == b'{"table":"dbo.Orders","operation":"upsert","key":{"OrderId":1},"version":7,"row":{"OrderId":1,"Name":null}}'
    )
    assert json.loads(built.body) == json.loads(event(row(values=values)).body)["data"]


def test_the_client_narrows_the_columns_but_the_key_stays() -> None:
    values: dict[str, JsonValue] = {"OrderId": 1, "Name": "n", "Total": 2, "Secret": "s"}
    claimed = row(values=values)
    for choice in (["total"], ["TOTAL", "OrderId"], ["Total", "NoLongerThere"]):
        assert json.loads(event(claimed, choice).body)["data"]["row"] == {"OrderId": 1, "Total": 2}
    assert json.loads(event(claimed, ["Secret", "Name"]).body)["data"]["row"] == {"OrderId": 1, "Name": "n", "Secret": "s"}
    assert json.loads(event(claimed, None).body)["data"]["row"] == values
    assert claimed.values == values, "and the claimed row stays as it is"


@settings(max_examples=100, deadline=None)
@given(
    values=st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=6), VALUES, max_size=6),
    form=st.sampled_from(["cloudevents", "plain"]),
)
def test_every_value_arrives_exactly(values: dict[str, Any], form: str) -> None:
    document = exact(event(row(values=values), form=form).body)
    data = document if form == "plain" else document["data"]
    assert data["row"] == {
        name: base64.b64encode(value).decode() if isinstance(value, bytes) else value for name, value in values.items()
    }
    for name, value in values.items():
        assert type(data["row"][name]) in (
            (str,) if isinstance(value, bytes) else (type(value), int) if isinstance(value, Decimal) else (type(value),)
        )


@pytest.mark.parametrize(
    "digits", ["0.10", "100.00", "12345678901234567890.1234567890", "-0.01", "99999999999999999999999999999999999999"]
)
def test_decimals_keep_each_digit_of_the_text(digits: str) -> None:
    assert f'"Total":{digits}}}' in event(row(values={"Total": Decimal(digits)})).body.decode()


def test_binary_values_are_base64_text() -> None:
    assert b'"Photo":"AAEC/w=="' in event(row(values={"Photo": bytes([0, 1, 2, 255])})).body


def test_text_is_utf_8_and_stays_as_it_is() -> None:
    text = "é 売上 😀 \u2028 \x00 </script>"
    body = event(row(values={"Name": text})).body
    assert "売上 😀".encode() in body
    assert json.loads(body)["data"]["row"]["Name"] == text


def test_json_has_no_value_that_is_not_json() -> None:
    with pytest.raises(TypeError):
        to_json({"x": object()})


# --- columns ---

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
    (column("c", "sql_variant", 8016), "sql_variant", "CONVERT(nvarchar(max), t.[c])"),
    (column("c", "image", 16), "image", "CONVERT(varbinary(max), t.[c])"),
]


@pytest.mark.parametrize(("found", "declaration", "expression"), TYPES, ids=[declaration for _, declaration, _ in TYPES])
def test_each_type_is_declared_and_read_without_losing_a_digit(found: TableColumn, declaration: str, expression: str) -> None:
    assert found.declaration == declaration
    assert found.select("t") == expression
    assert found.openjson == f"[c] {declaration} N'$.c'"
    assert found.json_value(None) is None


@pytest.mark.parametrize(
    ("name", "quoted", "path"),
    [
        ("OrderId", "[OrderId]", "N'$.OrderId'"),
        ("Order Id", "[Order Id]", "N'$.\"Order Id\"'"),
        ("Größe", "[Größe]", "N'$.\"Größe\"'"),
        ("a]b", "[a]]b]", "N'$.\"a]b\"'"),
        ("it's", "[it's]", "N'$.\"it''s\"'"),
        ('say "x"\\', '[say "x"\\]', 'N\'$."say \\"x\\"\\\\"\''),
        ("2nd", "[2nd]", "N'$.\"2nd\"'"),
        ("a.b", "[a.b]", "N'$.\"a.b\"'"),
    ],
)
def test_any_name_of_a_column_is_quoted(name: str, quoted: str, path: str) -> None:
    assert column(name, "int").openjson == f"{quoted} int {path}"
    assert column(name, "int").select("t") == f"t.{quoted}"


@settings(max_examples=100, deadline=None)
@given(name=st.text(st.characters(exclude_categories=("Cs", "Cc")), min_size=1, max_size=20))
def test_quoted_names_and_literals_end_where_they_should(name: str) -> None:
    assert quote(name)[1:-1].replace("]]", "").count("]") == 0 and quote(name)[1:-1].replace("]]", "]") == name
    assert literal(name)[2:-1].replace("''", "").count("'") == 0 and literal(name)[2:-1].replace("''", "'") == name


def test_the_fragments_of_a_composite_key() -> None:
    orders = table((column("Region", "nvarchar", 40), column("Order]Id", "int")), column("Total", "money"))
    assert orders.sql == "[dbo].[Orders]" and orders.lease_sql == "[az_func].[Leases_rowpost_dbo_Orders]"
    assert orders.on("l", "k") == "l.[Region] = k.[Region] AND l.[Order]]Id] = k.[Order]]Id]"
    assert orders.key_list("k") == orders.key_select("k") == "k.[Region], k.[Order]]Id]"
    assert (
        orders.key_with("i int '$.i'") == "WITH ([Region] nvarchar(20) N'$.Region', [Order]]Id] int N'$.\"Order]Id\"', i int '$.i')"
    )
    expected = "CHANGETABLE(VERSION [dbo].[Orders], ([Region], [Order]]Id]), (k.[Region], k.[Order]]Id]))"
    assert orders.version_apply == expected


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
