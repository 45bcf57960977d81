"""Requests and bodies in relay.toml: each mistake is one sentence with field and remedy, without a setting's value."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rowpost.config.errors import ConfigError
from rowpost.config.requests import column_mistakes, column_warnings, read_line
from rowpost.config.sections import RelayConfig
from rowpost.target.sample import try_sample
from rowpost.target.shape import Shape
from tests.config.relay_toml import load

SETTINGS = {"SECRET": 'hidden{"x" }', "TOKEN": "hidden {$nothing}", "BROKEN": "hidden\nline", "ROUTE": "hidden route"}


def document(relay: dict[str, Any], target: dict[str, Any] | None = None) -> dict[str, Any]:
    known = {"name": "api", "url": "https://api.example/v2"} | (target or {})
    return {"targets": [known], "relays": [{"table": "dbo.Orders"} | relay]}


def refusal(folder: Path, relay: dict[str, Any], target: dict[str, Any] | None = None) -> str:
    with pytest.raises(ConfigError) as refused:
        load(document(relay, target), folder, SETTINGS)
    text = str(refused.value)
    assert text.startswith("relay.toml: ") and "\n" not in text and "hidden" not in text
    return text.removeprefix("relay.toml: ")


DELETE = {"delete": "DELETE /orders/{Id}"}
MISTAKES: list[tuple[dict[str, Any], str, str]] = [
    # the line
    *(
        ({"upsert": written}, "relays[0].upsert", '"PUT /orders/{OrderId}"')
        for written in (
            "",
            "PUT",
            "/orders",
            "PUT orders",
            "PUT  /orders",
            "put /orders",
            "PUT https://x/orders",
            " PUT /o",
            "PUT\t/o",
        )
    ),
    ({"upsert": "GET /orders"}, "relays[0].upsert", "use one of POST, PUT, PATCH"),
    ({"upsert": "DELETE /orders"}, "relays[0].upsert", "use one of POST, PUT, PATCH"),
    ({"delete": "HEAD /orders"}, "relays[0].delete", "use one of DELETE, POST, PUT, PATCH"),
    ({"resync": "DELETE /orders"}, "relays[0].resync", "use one of POST"),
    ({"resync": "POST /orders/{Id}"}, "relays[0].resync", "remove the placeholder"),
    ({"resync": "POST /resync", "target": "api"}, "relays[0].resync", "resync_events = false"),
    # the path
    ({"upsert": "PUT /orders?id={Id}"}, "relays[0].upsert", "the section `query`"),
    ({"upsert": "PUT /orders#{Id}"}, "relays[0].upsert", "the section `query`"),
    *(
        ({"upsert": f"PUT /a{bad}b/{{Id}}"}, "relays[0].upsert", "percent-encoded")
        for bad in (" ", "ä", '"', "<", "\\", "|", "^", "`", "[", "%", "%2x", "%zz", "{{", "}}")
    ),
    *(
        ({"upsert": f"PUT {path}"}, "relays[0].upsert", "the segment . or ..")
        for path in ("/.", "/..", "/a/../{Id}", "/./{Id}", "/%2e%2E/{Id}", "/a/.%2e")
    ),
    ({"upsert": "PUT /orders/{Id"}, "relays[0].upsert", "write {{ or }}"),
    ({"upsert": "PUT /orders/{}"}, "relays[0].upsert", "name a column"),
    ({"upsert": "PUT /orders/{$nothing}"}, "relays[0].upsert", "it has {$id}"),
    ({"upsert": "PUT /orders/{$row}"}, "relays[0].upsert", "in a body only"),
    ({"upsert": "PUT /orders/{A}-{B}"}, "relays[0].upsert", "put a / or a comma between them"),
    ({"upsert": "PUT /%ROUTE%/{Id}"}, "relays[0].upsert", "percent-encoded"),
    ({"upsert": "PUT /%TOKEN%/{Id}"}, "relays[0].upsert", "percent-encoded"),
    # query and headers
    ({"query": {"": "x"}}, "relays[0].query", "without a name"),
    ({"query": {"id": "{Id"}}, "relays[0].query.id", "write {{ or }}"),
    ({"query": {"id": "{$key}"}}, "relays[0].query.id", "in a body only"),
    ({"headers": {"X-Id": "{A}{B}"}}, "relays[0].headers.X-Id", "between them"),
    ({"headers": {"X Id": "1"}}, "relays[0].headers.X Id", "token as name"),
    ({"headers": {"X-Id": " 1"}}, "relays[0].headers.X-Id", "token as name"),
    ({"headers": {"X-Id": "%BROKEN%"}}, "relays[0].headers.X-Id", "one line of Latin-1"),
    ({"headers": {"X-Id": "売"}}, "relays[0].headers.X-Id", "one line of Latin-1"),
    *(
        ({"headers": {name: "1"}}, f"relays[0].headers.{name}", "sets itself")
        for name in ("Content-Type", "content-encoding", "Host", "Idempotency-Key", "Rowpost-Version", "content-length")
    ),
    ({"headers": {"X-A": "1", "x-a": "2"}}, "relays[0].headers", "differ only in case"),
    # deletions
    ({"delete_success": [404, 500]}, "relays[0].delete_success", "use 404, 410"),
    ({"delete_success": ["404"]}, "relays[0].delete_success[0]", "expected `int`"),
    ({"format": "row"}, "relays[0].delete", 'delete = "DELETE /…"'),
    ({"body": {"a": 1}}, "relays[0].delete_body", "is missing"),
    ({"body": {"a": 1}, "delete": "POST /gone"}, "relays[0].delete_body", "is missing"),
    # bodies
    ({"format": "xml"}, "relays[0].format", "'cloudevents', 'cloudevents-binary', 'plain', 'row'"),
    ({"numbers": "double"}, "relays[0].numbers", "'string', 'exact'"),
    ({"max_event_bytes": 0}, "relays[0].max_event_bytes", ">= 1"),
    ({"body": 7}, "relays[0].body", "expected"),
    ({"body": '{"id": {Id}}', **DELETE}, "relays[0].body", "between quotes"),
    ({"body": "{'id': 1}", **DELETE}, "relays[0].body", "line 1, column 2"),
    ({"body": "[" * 100_000, **DELETE}, "relays[0].body", "too deeply"),
    ({"body": '{"a": NaN}', **DELETE}, "relays[0].body", "finite"),
    ({"body": {"a": {"b": ["x", "{Id"]}}, **DELETE}, "relays[0].body", "a.b[1]: has a brace"),
    ({"body": {"{Id}": 1}, **DELETE}, "relays[0].body", "placeholders stand in values only"),
    ({"body": {"a": "{$nothing}"}, **DELETE}, "relays[0].body", "a: has the placeholder {$nothing}"),
    ({"delete_body": {"a": "{"}}, "relays[0].delete_body", "a: has a brace"),
    ({"body": {"a": 1}, "format": "plain", **DELETE}, "relays[0].format", "beside `body`"),
]


@pytest.mark.parametrize(("relay", "field", "remedy"), MISTAKES, ids=[f"{field}-{i}" for i, (_, field, _) in enumerate(MISTAKES)])
def test_a_mistake_is_told_with_its_field_and_remedy(relay: dict[str, Any], field: str, remedy: str, tmp_path: Path) -> None:
    told = refusal(tmp_path, relay, {"resync_events": False} if "resync_events" in remedy else None)
    assert told.startswith(f"{field}: ") and remedy in told, told


@pytest.mark.parametrize(
    ("value", "told"), [("2026-01-01", "at: a date or a time"), ("08:00:00", "at: a date"), ("inf", "at: a number that JSON")]
)
def test_what_json_does_not_have_is_refused_in_a_template(value: str, told: str, tmp_path: Path) -> None:
    relay = f'[[relays]]\ntable = "a.b"\ndelete = "DELETE /{{Id}}"\n[relays.body]\nat = {value}'
    with pytest.raises(ConfigError, match=rf"relays\[0\].body: {told}"):
        load(f'[[targets]]\nname = "api"\nurl = "https://x"\n{relay}', tmp_path, {})


@pytest.mark.parametrize(
    ("target", "field", "remedy"),
    [
        ({"max_event_bytes": 0}, "targets[0].max_event_bytes", ">= 1"),
        ({"gzip": 0}, "targets[0].gzip", ">= 1"),
        ({"gzip": True}, "targets[0].gzip", "expected `int"),
        ({"gzip": 1, "headers": {"content-Encoding": "br"}}, "targets[0].headers", "remove one of them"),
        ({"numbers": "x"}, "targets[0].numbers", "'string', 'exact'"),
        ({"format": "row"}, "relays[0].delete", "is missing"),
        ({"url": "https://x/100%"}, "relays[0].target", "write it as %25"),
        ({"url": "https://x/?a=%zz"}, "relays[0].target", "write it as %25"),
    ],
)
def test_a_mistake_of_the_target_is_told(target: dict[str, Any], field: str, remedy: str, tmp_path: Path) -> None:
    told = refusal(tmp_path, {"upsert": "PUT /orders/{Id}"}, target)
    assert told.startswith(f"{field}: ") and remedy in told, told


@pytest.mark.parametrize(
    "relay",
    [
        {"upsert": "PUT /", "delete": "POST /gone", "resync": "POST /resync/{$operation}"},
        {"upsert": "PATCH /a%20b;v=1/{Order Id},{B}/", "delete": "DELETE /~a!$&'()*+,;=:@/{A}"},
        {"query": {"api version": "a b ä", "id": "{A},{B}"}, "headers": {"X": "", "Y": "no {A} {{x}}", "Authorization": "%TOKEN%"}},
        {"delete_success": [404, 410]},
        {"format": "row", "delete_body": {"deleted": True}},
        {"body": '"%SECRET%"', **DELETE},
        {"body": {"a": {"b": {"c": {"d": ["{$key}", "{$row}"]}}}}, "delete": "DELETE /{Id}"},
        {"numbers": "exact", "format": "cloudevents-binary", "max_event_bytes": 1},
    ],
)
def test_the_edges_of_what_is_allowed_load(relay: dict[str, Any], tmp_path: Path) -> None:
    load(document(relay), tmp_path, SETTINGS)


def test_a_percent_sign_of_the_target_is_of_no_account_if_nothing_is_added_to_it(tmp_path: Path) -> None:
    load(document({}, {"url": "https://x/100%"}), tmp_path, {})


def test_a_line_is_a_method_and_a_path() -> None:
    line = read_line("PUT /orders/{Order Id}")
    assert (line.method, line.path[0], line.path[1].name) == ("PUT", "/orders/", "Order Id")  # type: ignore[union-attr]


# --- the columns of the table ---


def mistakes(key: list[str] | None = None, **relay: Any) -> list[str]:
    config = RelayConfig(table="dbo.Orders", target="api", **relay)
    return list(column_mistakes(config, key or ["OrderId"], ["OrderId", "Customer"]))


@pytest.mark.parametrize(
    ("relay", "told"),
    [
        ({"upsert": "PUT /{Customer}"}, "upsert: {Customer} is no column of the key, and only the key can stand in a path"),
        ({"upsert": "PUT /{Id}"}, "upsert: {Id} is no column of the table, and only the key"),
        ({"delete": "DELETE /{OrderId}/{Customer}"}, "delete: {Customer} is no column of the key"),
        ({"query": {"c": "{Customer}"}}, "query.c: {Customer} is no column of the key"),
        ({"headers": {"X-C": "{Customer}"}}, "headers.X-C: {Customer} is no column of the key"),
        ({"body": {"a": ["{Secret}"]}}, "body: {Secret} is no column that is sent; the relay sends OrderId, Customer"),
        ({"delete_body": {"a": "{Customer}"}}, "delete_body: {Customer} is no column of the key, and of a deleted row"),
        (
            {"delete": "DELETE /orders"},
            "delete: a DELETE has no body, and the request does not say which row is meant; put {OrderId}",
        ),
    ],
)
def test_a_column_that_cannot_stand_there_is_told_with_the_known_ones(relay: dict[str, Any], told: str) -> None:
    (found,) = mistakes(**relay)
    assert found.startswith(told), found


def test_columns_are_found_in_any_case_as_in_sql_server() -> None:
    assert mistakes(upsert="PUT /{ORDERID}", delete="DELETE /{orderid}", body={"a": "{CUSTOMER}", "b": "{$row}"}) == []


def test_a_delete_names_the_whole_key_somewhere() -> None:
    key = ["OrderId", "Line"]
    assert len(mistakes(key, delete="DELETE /{OrderId}")) == 1
    assert mistakes(key, delete="DELETE /{OrderId}/{Line}") == []
    assert mistakes(key, delete="DELETE /{OrderId}", query={"line": "{Line}"}) == []
    assert mistakes(key, delete="DELETE /{OrderId}", headers={"X-Line": "{Line}"}) == []
    assert mistakes(key, delete="DELETE /{OrderId}", delete_body={"line": "{Line}"}) == []
    assert mistakes(key, delete="POST /{OrderId}") == []


def test_an_address_that_two_rows_share_is_a_warning() -> None:
    def warnings(**relay: Any) -> list[str]:
        return list(column_warnings(RelayConfig(table="dbo.Orders", target="api", **relay), ["OrderId", "Line"]))

    (told,) = warnings(upsert="PUT /{OrderId}")
    assert told.startswith("rows that differ in Line only have the same address")
    for fine in ("PUT /{OrderId}/{Line}", "PUT /orders", "POST /{OrderId}"):
        assert warnings(upsert=fine) == []
    assert warnings() == []


# --- the sample ---


def test_a_sample_shows_a_limit_that_no_event_can_keep() -> None:
    columns = {"OrderId": "int", "Total": "decimal", "At": "datetime2", "Photo": "varbinary", "Any": "sql_variant", "New": "later"}
    assert try_sample(Shape("dbo.Orders"), {"OrderId": "int"}, columns) is None
    told = try_sample(Shape("dbo.Orders", limit=50), {"OrderId": "int"}, columns)
    assert told is not None and told.startswith("max_event_bytes: its event has ") and told.endswith("raise it")
