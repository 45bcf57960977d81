"""The schema of a relay: every event that the app can make is valid, and what is wrong with one is found."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devtools.contracts import Contract
from emulators.downstream.attempt import Attempt
from rowpost.config.sections import RelayConfig, TargetConfig
from rowpost.contract.schema import relay_schema
from rowpost.contract.values import key_schema, value_schema
from rowpost.database.columns import TableColumn
from rowpost.database.table import Table
from rowpost.rules.json_text import JsonValue
from rowpost.target.event import Event, build_event, build_resync_event
from rowpost.target.shape import Shape, shape_of
from tests.harness.rows import column, exact, row, table

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
KEY = column("OrderId", "int")
TOTAL = TableColumn("Total", "decimal", 9, 10, 2)
NOTE = TableColumn("Note", "nvarchar", 80, 0, 0, nullable=False)
ORDERS = table((KEY,), TOTAL, NOTE)
TARGET = TargetConfig(name="api", url="https://api.example/rows")
GUID = "00000000-0000-0000-0000-00000000000a"
DELETE_PATH = "DELETE /{OrderId}"
RELAYS = {
    "cloudevents": {},
    "cloudevents-binary": {"format": "cloudevents-binary"},
    "plain": {"format": "plain"},
    "row": {"format": "row", "delete": DELETE_PATH},
    "row with delete_body": {"format": "row", "delete_body": '{"gone": "{$key}", "why": null}'},
    "template": {
        "body": {
            "id": "{OrderId}",
            "n": 1.5,
            "label": "no {OrderId} (50 %)",
            "all": ["{$row}", "{$time}", "{$version}", True],
            "constant": "a.b",
            "nested": {"total": "{Total}", "none": []},
        },
        "delete": DELETE_PATH,
        "resync": "POST /resync",
    },
    "exact": {"numbers": "exact"},
}


def shape(name: str) -> Shape:
    return shape_of(RelayConfig(table="dbo.Orders", target="api", **RELAYS[name]), TARGET)  # type: ignore[arg-type]


def attempt(event: Event) -> Attempt:
    """As the API records it: the two parts of binary mode are put together there."""
    body = exact(event.body) if event.body else None
    if "ce-id" in event.headers:
        body = {"data": body}
    headers = {**event.headers, "Content-Type": event.content_type}
    return Attempt(1, 1, "", event.call.method, "/", headers, None, None, None, None, None, 200, "accepted", body)


def upsert(form: Shape, **values: JsonValue) -> Event:
    known: dict[str, JsonValue] = {"OrderId": 1, "Total": Decimal("10.50"), "Note": "n", **values}
    return build_event(form, row(7, known, {"OrderId": known["OrderId"]}), 0, None, NOW)


@pytest.mark.parametrize("name", RELAYS)
def test_what_the_app_makes_is_valid(name: str) -> None:
    form = shape(name)
    contract = Contract(ORDERS, form)
    events = [upsert(form), upsert(form, Total=None, OrderId=-5), upsert(form, Total=Decimal("-0.01"))]
    events += [build_event(form, row(2**60, None), epoch, None, NOW) for epoch in (0, 3)]
    if form.resync is not None:
        events += [build_resync_event(form, "x", phase, (1, 9), NOW) for phase in ("begun", "completed")]  # type: ignore[arg-type]
    assert [contract.problem(attempt(event)) for event in events] == [None] * len(events)


@pytest.mark.parametrize("name", RELAYS)
@pytest.mark.parametrize("values", [{"Total": "10.5"}, {"Total": 10}, {"Note": None}, {"OrderId": "1"}, {"OrderId": 2**31}])
def test_a_wrong_value_is_found(name: str, values: dict[str, Any]) -> None:
    form = shape(name)
    if name == "exact" and values == {"Total": 10}:
        return  # the number of a decimal without a fraction
    assert Contract(ORDERS, form).problem(attempt(upsert(form, **values)))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"data": None}, "data"),
        ({"id": "x"}, "id"),
        ({"type": "rowpost.row.deleted"}, ""),
        ({"source": "other"}, "source"),
        ({"time": "2026-03-02T06:00:00Z"}, "time"),
        ({"sequence": "7"}, "sequence"),
        ({"more": 1}, "more"),
    ],
)
def test_a_wrong_attribute_is_found(change: dict[str, Any], said: str) -> None:
    form = shape("cloudevents")
    event = attempt(upsert(form))
    problem = Contract(ORDERS, form).problem(replace(event, body={**event.body, **change}))
    assert problem is not None and said in problem


def data_of(**change: Any) -> str | None:
    form = shape("plain")
    event = attempt(upsert(form))
    return Contract(ORDERS, form).problem(replace(event, body={**event.body, **change}))


def test_the_members_of_a_change() -> None:
    assert data_of(changed=["Total"], snapshot="id") is None
    assert data_of(changed=["Nothing"]) and data_of(changed=["Total", "Total"]) and data_of(snapshot=1)
    assert data_of(version="9007199254740993") is None and data_of(version="7") and data_of(version=-1)
    assert data_of(operation="delete") and data_of(row={}) and data_of(row=None) and data_of(key={"OrderId": None})


def test_headers_are_part_of_it() -> None:
    form = shape("cloudevents")
    event = attempt(upsert(form))
    problem = Contract(ORDERS, form).problem(replace(event, headers={**event.headers, "Rowpost-Version": "x"}))
    assert problem is not None and problem.startswith("headers: rowpost-version")


def test_an_open_schema_takes_what_will_be_added() -> None:
    schema = relay_schema(ORDERS, shape("cloudevents"))
    event = json.loads(upsert(shape("cloudevents")).body)
    event["data"]["row"]["New"] = 1
    event["data"]["more"] = event["more"] = 1
    jsonschema.Draft202012Validator.check_schema(schema)
    assert jsonschema.Draft202012Validator(schema).is_valid(event)
    assert Contract(ORDERS, shape("cloudevents")).problem(replace(attempt(upsert(shape("cloudevents"))), body=event))


def test_a_choice_of_columns_narrows_the_row() -> None:
    schema = relay_schema(ORDERS, shape("row"), ["total"])
    assert list(schema["$defs"]["row"]["properties"]) == ["OrderId", "Total"]
    chosen = relay_schema(ORDERS, shape("template"), ["Note"], closed=True)
    assert chosen["$defs"]["upsert"]["properties"]["nested"]["properties"]["total"] == {"type": "null"}


def test_a_template_tells_no_text_of_its_own() -> None:
    """It may be a secret: the value of an app setting."""
    assert "a.b" not in json.dumps(relay_schema(ORDERS, shape("template")), default=str)
    assert "a.b" in json.dumps(relay_schema(ORDERS, shape("template"), closed=True), default=str)


def test_what_has_no_body_has_no_schema() -> None:
    schema = relay_schema(ORDERS, shape("row"))
    assert [each["$ref"].rpartition("/")[2] for each in schema["anyOf"]] == ["upsert"]


@given(
    precision=st.integers(1, 38),
    data=st.data(),
    numbers=st.sampled_from(["string", "exact"]),
)
def test_decimals_of_any_size(precision: int, data: st.DataObject, numbers: Any) -> None:
    scale = data.draw(st.integers(0, precision))
    unscaled = data.draw(st.integers(-(10**precision) + 1, 10**precision - 1))
    value = Decimal((int(unscaled < 0), tuple(map(int, str(abs(unscaled)))), -scale))
    schema = relay_schema(_one(TableColumn("V", "decimal", 17, precision, scale)), Shape("dbo.Orders", numbers=numbers))
    body = build_event(Shape("dbo.Orders", numbers=numbers), row(7, {"OrderId": 1, "V": value}), 0, None, NOW).body
    assert not list(jsonschema.Draft202012Validator(schema).iter_errors(exact(body)))
    assert not list(jsonschema.Draft202012Validator(schema).iter_errors(json.loads(body))), "and by who reads doubles"


def _one(value: TableColumn) -> Table:
    return table((KEY,), value)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (column("V", "tinyint"), [0, 255], [-1, 256, "1", 1.5]),
        (column("V", "bigint", 8), [2**53 - 1, "9007199254740992", "-9223372036854775808"], [2**53, "1", "09007199254740992"]),
        (column("V", "bit"), [True], [1, "true"]),
        (column("V", "money"), ["-922337203685477.5808", "0.0000"], [1, "1.0", "01.0000"]),
        (column("V", "float"), [1e300, 0.5, 1], ["1"]),
        (column("V", "nvarchar", 4), ["ab", ""], ["abc", 1]),
        (column("V", "varchar", -1), ["x" * 9999], [1]),
        (column("V", "varbinary", 4), ["", "AP/7", "AP/7AA=="], ["AP/7AP/7AP/7", "AP", "A-_="]),
        (column("V", "binary", 4), ["AP/7AA=="], ["AP/7", ""]),
        (column("V", "timestamp", 8), ["AAAAAAAAB9E="], ["AAAA"]),
        (column("V", "uniqueidentifier", 16), [GUID], [GUID.upper(), "x"]),
        (column("V", "date", 3), ["2026-02-28", "0001-01-01"], ["2026-13-01", "2026-02-28T00:00:00"]),
        (column("V", "datetime", 8, 23, 3), ["2026-02-28T23:59:59", "2026-02-28T23:59:59.997"], ["2026-02-28T23:59:59.9"]),
        (column("V", "datetime", 8, 23, 3), [], ["2026-02-28 23:59:59"]),
        (column("V", "datetime2", 8, 27, 7), ["2026-02-28T23:59:59.0000001"], ["2026-02-28T23:59:59.1", "2026-02-28T24:00:00"]),
        (column("V", "datetime2", 6, 19, 0), ["2026-02-28T23:59:59"], ["2026-02-28T23:59:59.1"]),
        (column("V", "smalldatetime", 4), ["2026-02-28T23:59:00"], ["2026-02-28T23:59:59"]),
        (column("V", "datetimeoffset", 10, 34, 7), ["2026-02-28T23:59:59.0000001+05:30"], ["2026-02-28T23:59:59Z"]),
        (column("V", "time", 5, 16, 7), ["23:59:59.0000001", "00:00:00"], ["23:59", "24:00:00"]),
        (column("V", "sql_variant", 8016), ["x", 1, True, None, 0.5], [{}, []]),
        (column("V", "xml", -1), ["<a/>"], [1]),
    ],
    ids=lambda value: value.declaration if isinstance(value, TableColumn) else "",
)  # fmt: skip
def test_values_of_a_type(kind: TableColumn, good: list[Any], bad: list[Any]) -> None:
    checker = jsonschema.FormatChecker()
    validator = jsonschema.Draft202012Validator(value_schema(kind, "string"), format_checker=checker)
    assert [value for value in [*good, None] if not validator.is_valid(value)] == []
    assert [value for value in bad if validator.is_valid(value)] == []
    of_key = jsonschema.Draft202012Validator(key_schema(kind, "string"), format_checker=checker)
    assert kind.type == "sql_variant" or not of_key.is_valid(None)


def test_an_instant_in_a_key_is_in_utc() -> None:
    validator = jsonschema.Draft202012Validator(key_schema(column("V", "datetimeoffset", 10, 34, 7), "string"))
    assert validator.is_valid("2026-02-28T23:59:59+00:00") and not validator.is_valid("2026-02-28T23:59:59+05:30")
