"""Outages that are long or large: the gate, detached rows, and digests."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.harness.running_relay import Relay

ROWS = range(1, 31)


def cursor(relay: Relay) -> int:
    ((version,),) = relay.execute("SELECT MIN(LastSyncVersion) FROM az_func.GlobalState")
    return int(version)


def gate(relay: Relay) -> Any:
    return relay.status()["gate"]


def close_gate(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*ROWS)
    assert relay.advance(900, until=lambda: (gate(relay) or {"round": 0})["round"] >= 5)


def test_an_outage_costs_the_target_next_to_nothing(relay: Relay) -> None:
    began = relay.time.now()
    close_gate(relay)
    assert 230 <= (relay.time.now() - began).total_seconds() <= 300  # the built-in attempts: five, a minute apart
    assert len(relay.posts()) <= 5 * 12  # each of them a batch that its circuit breaker ends
    before = len(relay.posts())
    for order in range(100, 130):  # new changes all along
        relay.insert(order)
        relay.advance(120)
    assert gate(relay)["round"] > 3
    # Probes after 1, 2, 4, 8, 15 and 15 minutes; a probe is a batch that its circuit breaker ends.
    assert 3 <= len(relay.posts()) - before <= 7 * 12
    reason = dict(relay.execute("SELECT RowKey, LastError FROM rowpost.Ledger"))['{"OrderId":129}']
    assert reason == "not tried: the target is known to be down"


def test_the_first_success_opens_the_gate_and_every_waiting_row_is_delivered_at_once(relay: Relay) -> None:
    close_gate(relay)
    relay.advance(hours=5)  # each row's own next attempt is up to an hour away
    relay.stack.downstream.set_mode("up")
    assert relay.advance(960, until=lambda: all(relay.accepted(order) for order in ROWS)), relay.ledger()
    assert gate(relay) is None
    assert relay.ledger() == []


def test_a_poison_row_does_not_close_the_gate(relay: Relay) -> None:
    relay.stack.downstream.add_rule(match={"key": {"OrderId": 1}}, status=500)
    relay.insert(1)
    for order in range(2, 20):
        relay.advance(60)
        relay.insert(order)
        assert relay.advance(60, until=lambda order=order: relay.accepted(order) is not None)  # type: ignore[misc]
    assert gate(relay) is None
    assert len(relay.posts(1)) > 5


def test_an_operator_opens_the_gate(relay: Relay) -> None:
    close_gate(relay)
    relay.advance(hours=3)
    relay.stack.downstream.set_mode("up")
    host = relay.stack.host
    assert host is not None
    answer = host.request("POST", "/api/tables/dbo.Orders/retry")
    assert answer.json()["rows"] == len(ROWS)
    assert relay.advance(30, until=lambda: all(relay.accepted(order) for order in ROWS))


def test_rows_that_fail_for_long_let_the_cursor_pass_and_are_not_lost(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(60)
    relay.insert(2)
    version = cursor(relay)
    assert relay.advance(hours=1, until=lambda: relay.status()["detached"] == 1)
    relay.insert(3)
    relay.advance(30)
    assert cursor(relay) > version
    assert relay.status()["pending"] == 0
    ((rounds,),) = relay.execute("SELECT Rounds FROM rowpost.Ledger")
    assert rounds == 6  # after five rounds it is planned for the sixth without a lease
    before = len(relay.posts(1))
    relay.advance(hours=2)
    assert len(relay.posts(1)) > before  # still on its schedule
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.accepted(1) is not None)
    assert relay.advance(60, until=lambda: relay.ledger() == [])


def test_a_detached_row_that_changes_is_tried_at_once(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=2, until=lambda: relay.status()["detached"] == 1)
    relay.accept_all()
    relay.execute("UPDATE dbo.Orders SET Total = 99 WHERE OrderId = 1")
    assert relay.advance(10, until=lambda: (relay.accepted(1) or {}).get("Total") == 99)
    assert relay.ledger() == []


def test_detached_rows_survive_a_kill(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=2, until=lambda: relay.status()["detached"] == 1)
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.accept_all()
    relay.advance(hours=3)
    relay.stack.host.start()
    assert relay.advance(600, until=lambda: relay.accepted(1) is not None)


def test_dead_letters_of_a_long_outage_come_as_a_digest_an_hour(relay: Relay) -> None:
    for order in range(1, 21):
        relay.reject(order)
        relay.insert(order)
        relay.advance(360)  # they fail, and so die, one after the other, in two hours
    relay.advance(hours=14)
    told = relay.alerts("dead_letter")
    assert sum(notice["rows"] for notice in told) == 20
    assert 2 <= len(told) <= 4, [notice["at"] for notice in told]
