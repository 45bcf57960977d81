"""Event ids and event bodies: the same for the same change, different otherwise, digit-exact."""

from __future__ import annotations

import base64
import json
import string
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowpost.rules.json_text import JsonValue, to_json
from rowpost.rules.row import ClaimedRow, key_text
from rowpost.target.event import Event, build_event, event_id, sequence
from rowpost.target.shape import Shape
from tests.harness.rows import KEYS, VALUES, exact, row

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


def event(
    claimed: ClaimedRow,
    columns: list[str] | None = None,
    form: Any = "cloudevents",
    now: datetime = NOW,
    epoch: int = 0,
    numbers: Any = "string",
) -> Event:
    shape = Shape("dbo.Orders", "/sql/rowpost", form, numbers)
    return build_event(shape, claimed, epoch, columns, now)


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
        assert each.headers == {"Idempotency-Key": each.id, "Rowpost-Version": "7", "Rowpost-Epoch": "0"}
    assert event(row(version=8)).id != first.id


# --- epochs ---

PLACES = st.tuples(st.just(0) | st.integers(1_600_000_000, 9_999_999_999), st.integers(0, 2**63 - 1))


@settings(max_examples=300, deadline=None)
@given(one=PLACES, other=PLACES)
def test_sequences_compare_as_text_as_epochs_and_versions_do_across_an_upgrade(
    one: tuple[int, int], other: tuple[int, int]
) -> None:
    texts = [sequence(version, epoch) for epoch, version in (one, other)]
    assert (texts[0] < texts[1]) is (one < other)
    assert (texts[0] == texts[1]) is (one == other)


def test_a_relay_without_an_epoch_keeps_the_ids_and_sequences_of_its_events() -> None:
    assert event_id("dbo.Orders", '{"OrderId":1}', 7) == event_id("dbo.Orders", '{"OrderId":1}', 7, 0)
    assert event_id("dbo.Orders", '{"OrderId":1}', 7) == "1c7d357e5b9d9af9288a23ff839df3dd"
    assert json.loads(event(row()).body)["sequence"] == "00000000000000000007"


def test_the_epoch_is_in_the_id_the_sequence_the_data_and_a_header() -> None:
    before, now, later = event(row()), event(row(), epoch=1_772_431_200), event(row(), epoch=1_772_431_201)
    assert len({before.id, now.id, later.id}) == 3
    body = json.loads(now.body)
    assert (body["sequence"], body["data"]["epoch"], body["data"]["version"]) == (
        "1772431200.00000000000000000007",
        1_772_431_200,
        7,
    )
    assert now.headers["Rowpost-Epoch"] == "1772431200"
    assert json.loads(event(row(), form="plain", epoch=5).body)["epoch"] == 5


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
            "epoch": 0,
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
    assert document["data"] == {
        "table": "dbo.Orders",
        "operation": "delete",
        "key": {"OrderId": 1},
        "epoch": 0,
        "version": 7,
        "row": None,
    }


def test_the_plain_form_is_the_bare_change() -> None:
    values: dict[str, JsonValue] = {"OrderId": 1, "Name": None}
    built = event(row(values=values), form="plain")
    assert built.content_type == "application/json"
    assert (
        built.body == b'{"table":"dbo.Orders","operation":"upsert","key":{"OrderId":1},"epoch":0,"version":7,'
        b'"row":{"OrderId":1,"Name":null}}'
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
def test_with_exact_numbers_every_value_arrives_exactly(values: dict[str, Any], form: str) -> None:
    document = exact(event(row(values=values), form=form, numbers="exact").body)
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
    for value in (Decimal(digits), msgspec.Raw(digits.encode())):
        assert f'"Total":"{digits}"}}' in event(row(values={"Total": value})).body.decode()
        assert f'"Total":{digits}}}' in event(row(values={"Total": value}), numbers="exact").body.decode()


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


# --- former keys, and text that is not Unicode ---


@pytest.mark.parametrize("form", ["cloudevents", "plain"])
def test_former_keys_are_deleted_before_the_row_is_sent(form: str) -> None:
    claimed = row(values={"K": "ABC", "V": 1}, key={"K": "ABC"})
    claimed.rename({"K": "abc"}, ({"K": "abc"}, {"K": "Abc"}))
    built = event(claimed, form=form)
    (one, two) = built.before
    assert [data_of(each, form)["key"] for each in (one, two, built)] == [{"K": "abc"}, {"K": "Abc"}, {"K": "ABC"}]
    assert [data_of(each, form)["operation"] for each in (one, two, built)] == ["delete", "delete", "upsert"]
    assert data_of(one, form)["row"] is None and {data_of(each, form)["version"] for each in (one, two, built)} == {7}
    assert len({one.id, two.id, built.id}) == 3 and one.headers["Idempotency-Key"] == one.id
    assert built.id == event(row(values={"K": "ABC", "V": 1}, key={"K": "ABC"})).id, "the id is that of the key which is sent"
    assert claimed.key_text == '{"K":"abc"}', "the ledger knows the row as it was handed out"


def data_of(built: Event, form: str) -> Any:
    document = json.loads(built.body)
    return document if form == "plain" else document["data"]


def test_each_half_of_a_surrogate_pair_is_the_replacement_character() -> None:
    values: dict[str, JsonValue] = {"K": "a\ud83d", "V": "\ude00\ud83d x", "W": Decimal("1.50"), "B": b"\x00", "P": "😀"}
    claimed = row(values=values, key={"K": "a\ud83d"})
    body = event(claimed, form="plain").body.decode()
    assert body.endswith('"row":{"K":"a\ufffd","V":"\ufffd\ufffd x","W":"1.50","B":"AA==","P":"😀"}}')
    assert '"key":{"K":"a\ufffd"}' in body
    assert claimed.key_text == '{"K":"a\\ud83d"}', "SQL Server reads the half back"
    assert json.loads(to_json([{"n": 1, "key": {"K": "a\ud83d"}}])) == [{"n": 1, "key": {"K": "a\ud83d"}}]
