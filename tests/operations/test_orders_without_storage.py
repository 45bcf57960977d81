"""An order while the storage of Durable Functions is away: it stands in the database, is in force, and the rest follows."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.running_relay import Relay, changed_config

COLUMNS = "/api/relays/dbo.Orders/columns"
ENTITY = "/runtime/webhooks/durabletask/entities/table_columns/dbo_Orders"
FAULTS = ["error", "drop_before", "hang"]


def ask(relay: Relay, method: str, path: str, **options: Any) -> dict[str, Any]:
    assert relay.stack.host is not None
    begun = time.monotonic()
    answer = relay.stack.host.request(method, path, **options)
    assert time.monotonic() - begun < 5
    assert answer.status_code in (200, 202), answer.text
    document: dict[str, Any] = answer.json()
    return document


@pytest.mark.parametrize("fault", FAULTS)
def test_a_choice_of_columns_is_in_force_and_the_entity_follows(relay: Relay, fault: str) -> None:
    host = relay.stack.host
    assert host is not None
    host.add_durable_fault(fault)
    answer = ask(relay, "PUT", COLUMNS, json={"columns": ["Total"]})
    assert (answer["columns"], answer["effective"]) == (["Total"], ["OrderId", "Total"])
    assert len(answer["later"]) == 1
    relay.insert(1)
    relay.advance(10)
    assert set(relay.accepted(1) or {}) == {"OrderId", "Total"}
    seen = ask(relay, "GET", COLUMNS)
    assert (seen["columns"], seen["effective"]) == (["Total"], ["OrderId", "Total"])
    assert host.request("GET", ENTITY).status_code == 404
    host.clear_durable_faults()
    relay.advance(330)
    assert relay.get(ENTITY)["columns"] == ["Total"]


def test_a_choice_that_is_taken_back_meanwhile_does_not_come_back(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    ask(relay, "PUT", COLUMNS, json={"columns": ["Customer"]})
    relay.advance(1)
    host.add_durable_fault("drop_before")
    ask(relay, "PUT", COLUMNS, json={"columns": ["Total"]})
    assert ask(relay, "DELETE", COLUMNS)["columns"] is None
    assert relay.get(ENTITY)["columns"] == ["Customer"]
    host.clear_durable_faults()
    relay.advance(330)
    assert relay.get(ENTITY)["columns"] is None
    assert ask(relay, "GET", COLUMNS)["columns"] is None


def test_a_choice_whose_answer_was_lost_is_told_once_more(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    host.add_durable_fault("drop_after", times=1)
    assert ask(relay, "PUT", COLUMNS, json={"columns": ["Total"]})["later"]
    relay.advance(330)
    assert relay.get(ENTITY)["columns"] == ["Total"]
    assert relay.execute("SELECT COUNT(*) FROM rowpost.Relays WHERE ChoiceStored = ChosenAt")[0][0] == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_an_order_to_retry_is_carried_out_when_the_storage_is_back(relay: Relay, fault: str) -> None:
    host = relay.stack.host
    assert host is not None
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=3)
    assert relay.status()["detached"] == 1
    relay.accept_all()
    host.add_durable_fault(fault)
    answer = ask(relay, "POST", "/api/relays/dbo.Orders/retry")
    assert answer["rows"] == 1 and len(answer["later"]) == 1
    host.clear_durable_faults()
    assert relay.advance(330, until=lambda: relay.accepted(1) is not None)


@pytest.mark.parametrize("fault", FAULTS)
def test_dead_letters_are_replayed_although_the_storage_stays_away(make_relay: Callable[..., Relay], fault: str) -> None:
    relay = make_relay(changed_config(max_delay='"1h"\nrejected = "dead_letter"'))
    host = relay.stack.host
    assert host is not None
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(3600, until=lambda: [row[1] for row in relay.ledger()] == ["dead"])
    relay.advance(600)
    relay.accept_all()
    host.add_durable_fault(fault)
    answer = ask(relay, "POST", "/api/relays/dbo.Orders/replay")
    assert answer["rows"] == 1 and len(answer["later"]) == 1
    assert relay.advance(900, until=lambda: relay.accepted(1) is not None)


@pytest.mark.parametrize("fault", FAULTS)
def test_the_status_is_told_without_that_of_the_orchestrations(relay: Relay, fault: str) -> None:
    host = relay.stack.host
    assert host is not None
    relay.reject(1)
    relay.insert(1)
    relay.advance(600)
    host.add_durable_fault(fault)
    (status,) = ask(relay, "GET", "/api/relays")["relays"]
    assert status["recovery"]["status"] == "unknown" and status["resync"] is None
    assert status["last_status"] == 422
