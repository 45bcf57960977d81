"""What docs/payload.md says is what the app sends: each type of the table, and each example."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import requests

from emulators.downstream.attempt import Attempt
from emulators.http_server import to_json
from rowpost.database.columns import RELAYED_TYPES
from tests.harness.running_relay import CONFIG, Relay, body_of

PAGE = (Path(__file__).resolve().parents[2] / "docs/payload.md").read_text(encoding="utf-8")
LINES = [
    [cell.strip().strip("`") for cell in line.strip("|").split(" | ")]
    for line in PAGE.partition("<!-- types -->")[2].partition("\n\n")[0].strip().splitlines()[2:]
]
NOT_IN_THE_TABLE = {"timestamp", "json"}  # the server writes the one, and knows the other since 2025
ANY = "…"

COLUMNS = ", ".join(f"C{number} {line[0]} NULL" for number, line in enumerate(LINES))
TYPES = f"CREATE TABLE dbo.Types (Id int NOT NULL CONSTRAINT PK_Types PRIMARY KEY, {COLUMNS}, Mark rowversion)"
TWO_RELAYS = CONFIG.replace(
    '[[relays]]\ntable = "dbo.Orders"\n',
    '[[relays]]\ntable = "dbo.Types"\n\n[[relays]]\ntable = "dbo.Types"\nname = "exact"\nnumbers = "exact"\nformat = "plain"\n',
)


def sent(attempts: list[Attempt], *, exact: bool) -> dict[str, Any]:
    bodies = [body_of(attempt) for attempt in attempts]
    row = next(body if exact else body["data"] for body in bodies if ("data" not in body) is exact)["row"]
    return {name: to_json(value) for name, value in row.items()}


def test_each_type_of_the_page_is_sent_as_it_says(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(TWO_RELAYS, TYPES)
    names = ", ".join(f"C{number}" for number, _ in enumerate(LINES))
    relay.execute(f"INSERT dbo.Types (Id, {names}) VALUES (1, {', '.join(line[1] for line in LINES)})")
    relay.advance(60, until=lambda: len(relay.posts()) >= 2)
    for place, exact in ((2, False), (3, True)):
        found = sent(relay.posts(), exact=exact)
        wrong = {
            f"{line[0]} {line[1]}": found[f"C{number}"] for number, line in enumerate(LINES) if found[f"C{number}"] != line[place]
        }
        assert wrong == {}
        assert re.fullmatch('"[A-Za-z0-9+/]{11}="', found["Mark"])
    relay.contract.check()


def test_the_page_has_each_type() -> None:
    assert {line[0].partition("(")[0] for line in LINES} == RELAYED_TYPES - NOT_IN_THE_TABLE


def same(sent: Any, shown: Any) -> bool:
    """Whether both are the same, but for what the page leaves out."""
    if isinstance(sent, dict) and isinstance(shown, dict):
        return sent.keys() == shown.keys() and all(same(sent[name], shown[name]) for name in sent)
    return shown == ANY or (type(sent) is type(shown) and sent == shown)


def test_the_examples_of_the_page_are_sent(relay: Relay) -> None:
    upsert, delete, _ = (json.loads(text) for text in re.findall(r"(?ms)^```json\n(.*?)^```$", PAGE))
    relay.execute("INSERT dbo.Orders VALUES (7, N'Ada/Ltd', 10.5, NULL)")
    relay.advance(60, until=lambda: len(relay.posts()) == 1)
    relay.execute("DELETE dbo.Orders")
    relay.advance(60, until=lambda: len(relay.posts()) == 2)
    for attempt, shown in zip(relay.posts(), (upsert, delete), strict=True):
        assert same(body_of(attempt), shown), attempt.body
        assert attempt.headers["Content-Type"] == "application/cloudevents+json"


def test_the_app_tells_the_schema_that_its_events_have(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(60, until=lambda: len(relay.posts()) == 1)
    body = body_of(relay.posts()[0])
    assert relay.stack.host is not None
    answer = relay.stack.host.request("GET", "/api/relays/dbo.Orders/schema")
    assert answer.status_code == 200 and answer.headers["Content-Type"].startswith("application/schema+json")
    validator = jsonschema.Draft202012Validator(answer.json(), format_checker=jsonschema.FormatChecker())
    assert list(validator.iter_errors(body)) == []
    assert not validator.is_valid({**body, "data": {**body["data"], "row": {**body["data"]["row"], "Total": 1}}})
    row = answer.json()["$defs"]["row"]
    assert row["required"] == ["OrderId", "Customer", "Total", "Secret"] and row["properties"]["Customer"]["type"] == "string"
    relay.stack.host.request("PUT", "/api/relays/dbo.Orders/columns", json={"columns": ["Total"]}).raise_for_status()
    assert relay.get("/api/relays/dbo.Orders/schema")["$defs"]["row"]["required"] == ["OrderId", "Total"]
    asyncapi = relay.get("/api/asyncapi")
    assert asyncapi["asyncapi"] == "3.0.0" and [each["address"] for each in asyncapi["channels"].values()] == ["/rows"]
    assert asyncapi["components"]["schemas"]["dbo_Orders.row"]["required"] == ["OrderId", "Total"]


def test_a_request_that_is_not_as_the_schema_says_fails_its_test(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(60, until=lambda: len(relay.posts()) == 1)
    relay.contract.check()
    attempt = relay.posts()[0]
    body = body_of(attempt)
    body["data"]["row"]["Total"] = 10.5
    relay.stack.downstream.reset()
    url = f"{relay.stack.downstream.url}/rows"
    requests.post(url, to_json(body), headers={**attempt.headers}, timeout=10)
    with pytest.raises(AssertionError, match=r"1 of 1 requests are not as the schema says: .*data/row/Total: 10.5 is not of types"):
        relay.contract.check()
    relay.stack.downstream.reset()


def test_a_schema_that_cannot_be_told(relay: Relay) -> None:
    def status(path: str) -> tuple[int, str]:
        assert relay.stack.host is not None
        try:
            answer = relay.stack.host.request("GET", path)
        except requests.RequestException as error:
            raise AssertionError(path) from error
        return answer.status_code, answer.json()["detail"]

    code, error = status("/api/relays/dbo.Nothing/schema")
    assert code == 404 and "dbo.Orders" in error
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.execute("DROP TABLE dbo.Orders")
    relay.restart()
    for path in ("/api/relays/dbo.Orders/schema", "/api/asyncapi"):
        code, error = status(path)
        assert code == 409 and "no such table" in error
