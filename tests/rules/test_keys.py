"""The key of a row: one text and one hash for each key, in the table's order, digit-exact."""

from __future__ import annotations

import base64
import json
from decimal import Decimal
from typing import Any

import pytest
import simplejson
from hypothesis import given, settings

from rowpost.database.table import Table
from rowpost.relay.claim import payload_keys
from rowpost.rules.json_text import JsonValue, to_json
from rowpost.rules.row import ClaimedRow, key_hash, key_text
from tests.harness.rows import DECIMALS, KEYS, column, exact, table


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
    text = to_json(payload_keys(keys, payload))
    assert text == '[{"number":0,"key":{"Amount":12345678901234567890.12}},{"number":1,"key":{"Amount":0.0000001}}]'
    mixed = table((column("Id", "uniqueidentifier", 16), column("Size", "real"), column("Name", "nvarchar", 40)))
    item = {"Id": "6F9619FF-8B86-D011-B42D-00C04FC964FF", "Size": 0.10000000149011612, "Name": "Ä"}
    text = to_json(payload_keys(mixed, json.dumps([{"Operation": 1, "Item": item}])))
    assert text == '[{"number":0,"key":{"Id":"6f9619ff-8b86-d011-b42d-00c04fc964ff","Size":0.1,"Name":"Ä"}}]'


def test_a_key_that_the_payload_lacks_is_null() -> None:
    assert payload_keys(decimal_key("Amount"), '[{"Operation":0,"Item":{"amount":1}}]') == [{"number": 0, "key": {"Amount": None}}]
