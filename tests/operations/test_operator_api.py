"""What the HTTP API answers to a request that it cannot grant, and the status of a table that cannot be relayed."""

from __future__ import annotations

from typing import Any

from infra.prepare_database import prepare
from tests.harness.running_relay import Relay, changed_config


def ask(relay: Relay, method: str, path: str, **options: Any) -> tuple[int, dict[str, Any]]:
    answer = relay.stack.host.request(method, path, **options)  # type: ignore[union-attr]
    return answer.status_code, answer.json()


def test_an_unknown_table_is_answered_with_the_known_ones(relay: Relay) -> None:
    status, document = ask(relay, "GET", "/api/relays/dbo.Nothing/columns")
    assert status == 404
    assert "dbo.Orders" in document["detail"]
    assert ask(relay, "GET", "/api/relays/dbo.Orders/rows?limit=x")[0] == 400


def test_a_limit_that_is_not_a_number_is_refused(relay: Relay) -> None:
    answer = relay.stack.host.request("GET", "/api/relays/dbo.Orders/rows?limit=%C2%B2")  # type: ignore[union-attr]
    assert answer.status_code == 400


def test_status_answers_for_every_table_even_when_one_is_broken(make_relay: Any) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\n[[relays]]\ntable = "dbo.Missing"'), start=False)
    relay.stack.start_services()
    relay.execute("CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY)")
    relay.execute("CREATE TABLE dbo.Missing (Id int NOT NULL PRIMARY KEY)")
    prepare(relay.stack.connection, relay.stack.config)
    relay.execute("ALTER TABLE dbo.Missing DISABLE CHANGE_TRACKING")
    relay.execute("DROP TABLE dbo.Missing")
    relay.stack.start_host()
    relay.advance(5)
    orders, missing = ask(relay, "GET", "/api/relays")[1]["relays"]
    assert orders["pending"] == 0
    assert "no such table" in missing["problem"]
