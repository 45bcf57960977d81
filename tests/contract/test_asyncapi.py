"""The AsyncAPI document: the parser of AsyncAPI takes it, its schemas are those of the events, and nothing in it is secret."""

from __future__ import annotations

import json
import subprocess
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import simplejson

from devtools import npm_tools
from rowpost.config.sections import RelayConfig, TargetConfig
from rowpost.contract.asyncapi import Described, asyncapi_document
from rowpost.database.columns import TableColumn
from rowpost.target.event import build_event
from rowpost.target.shape import shape_of
from tests.harness.rows import column, exact, row, table

CHECKER = Path(__file__).parent / "check_asyncapi.js"
ORDERS = table((column("OrderId", "int"), column("at %", "datetime2", 8, 27, 7)), TableColumn("Total", "decimal", 9, 10, 2))
EVENTS = TargetConfig(name="api", url="https://user:pass@api.example:8443/v2/rows?code=secret")
ERP = TargetConfig(name="the erp.1", url="http://erp.example", headers={"X-Key": "secret"})
RELAYS: list[tuple[TargetConfig, dict[str, Any]]] = [
    (EVENTS, {}),
    (EVENTS, {"name": "again", "numbers": "exact"}),
    (EVENTS, {"name": "binary", "format": "cloudevents-binary"}),
    (
        ERP,
        {
            "name": "rest",
            "format": "row",
            "upsert": "PUT /orders/{OrderId},{at %}/{$version}",
            "delete": "DELETE /orders/{OrderId},{at %}/{$version}",
            "query": {"key": "secret", "order": "{OrderId}"},
        },
    ),
    (
        ERP,
        {
            "name": "templates",
            "body": {"n": 1.5, "list": ["{Total}", "secret", None, "{$row}"], "none": [], "text": "secret {OrderId}"},
            "delete_body": {"key": "{$key}"},
            "resync": "POST /resync",
        },
    ),
]


def described(target: TargetConfig, more: dict[str, Any]) -> Described:
    relay = RelayConfig(table="dbo.Orders", target=target.name, **more)
    return Described(replace(ORDERS, relay=relay), shape_of(relay, target), target)


DOCUMENT = asyncapi_document(described(*each) for each in RELAYS)
TEXT = simplejson.dumps(DOCUMENT, use_decimal=True)


@pytest.mark.npm
def test_the_parser_of_asyncapi_takes_it() -> None:
    command = ["node", str(CHECKER), str(npm_tools.installed())]
    done = subprocess.run(command, input=TEXT, capture_output=True, text=True, timeout=100, check=True)
    found = json.loads(done.stdout)
    assert found["problems"] == []
    assert all(action == "send" for _, action in found["operations"]) and len(found["operations"]) == 7
    broken = TEXT.replace('"action": "send"', '"action": "shout"')
    done = subprocess.run(command, input=broken, capture_output=True, text=True, timeout=100, check=True)
    assert json.loads(done.stdout)["problems"], "the parser looks at all of it"


def test_nothing_in_it_is_secret() -> None:
    assert "secret" not in TEXT and "pass" not in TEXT


def test_where_requests_go() -> None:
    assert DOCUMENT["servers"]["api"] == {"host": "api.example:8443", "protocol": "https", "description": "The target api"}
    addresses = {each["address"]: each for each in DOCUMENT["channels"].values()}
    assert set(addresses) == {"/v2/rows", "/orders/{OrderId},{at_20__25_}/{rowpost-version}", "/", "/resync"}
    assert addresses["/orders/{OrderId},{at_20__25_}/{rowpost-version}"]["parameters"]["at_20__25_"] == {
        "description": "the column at % of the key"
    }
    methods = {name: each["bindings"]["http"]["method"] for name, each in DOCUMENT["operations"].items()}
    assert sorted(methods.values()) == ["DELETE", "POST", "POST", "POST", "POST", "POST", "PUT"]


@pytest.mark.parametrize("number", range(len(RELAYS)))
def test_the_schemas_are_those_of_the_events(number: int) -> None:
    """As draft 7, which is what AsyncAPI's own schemas are."""
    relay = described(*RELAYS[number])
    slug = relay.table.relay.slug
    schema = {"$ref": f"#/components/schemas/{slug}.event", "components": DOCUMENT["components"]}
    validator = jsonschema.Draft7Validator(schema)
    values: dict[str, Any] = {"OrderId": 1, "at %": "2026-03-01T12:30:00", "Total": Decimal("10.50")}
    key = {name: values[name] for name in ("OrderId", "at %")}
    now = datetime(2026, 3, 2, tzinfo=UTC)
    body = exact(build_event(relay.shape, row(7, values, key), 0, None, now).body)
    assert list(validator.iter_errors(body)) == []
    wrong = exact(build_event(relay.shape, row(7, {**values, "Total": "x"}, key), 0, None, now).body)
    assert not validator.is_valid(wrong)


def test_what_has_no_body_has_no_payload() -> None:
    message = DOCUMENT["components"]["messages"][f"{described(*RELAYS[3]).table.relay.slug}.delete"]
    assert "payload" not in message and "contentType" not in message
