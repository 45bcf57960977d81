"""The circuit breaker: in an outage it opens, and the target is asked next to nothing. The first answer about a row closes it. Bad
rows alone never open it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.running_relay import CONFIG, Relay, changed_config

ROWS = range(1, 31)


def breaker(relay: Relay) -> Any:
    return relay.status()["circuit_breaker"]


def closed(relay: Relay) -> bool:
    return breaker(relay) == {"state": "closed", "openings": 0, "open_until": None}


def open_breaker(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*ROWS)
    assert relay.advance(900, until=lambda: breaker(relay)["openings"] >= 5)
    assert breaker(relay)["state"] == "open"


def test_an_outage_costs_the_target_next_to_nothing(relay: Relay) -> None:
    began = relay.time.now()
    open_breaker(relay)
    assert 230 <= (relay.time.now() - began).total_seconds() <= 300  # the built-in attempts: five, a minute apart
    assert len(relay.posts()) <= 5 * 12  # each of them a batch that its failures end
    before = len(relay.posts())
    for order in range(100, 130):  # new changes all along
        relay.insert(order)
        relay.advance(120)
    assert breaker(relay)["openings"] > 3
    # Probes after 1, 2, 4, 8, 15 and 15 minutes; a probe is a batch that its failures end.
    assert 3 <= len(relay.posts()) - before <= 7 * 12
    reason = dict(relay.execute("SELECT RowKey, LastError FROM rowpost.Ledger"))['{"OrderId":129}']
    assert reason == "not tried: the target is known to be down"


def test_the_first_success_closes_it_and_every_waiting_row_is_delivered_at_once(relay: Relay) -> None:
    open_breaker(relay)
    relay.advance(hours=5)  # each row's own next attempt is up to an hour away
    relay.stack.downstream.set_mode("up")
    assert relay.advance(960, until=lambda: all(relay.accepted(order) for order in ROWS)), relay.ledger()
    assert closed(relay)
    assert relay.ledger() == []


def test_a_poison_row_does_not_open_it(relay: Relay) -> None:
    relay.stack.downstream.add_rule(match={"key": {"OrderId": 1}}, status=500)
    relay.insert(1)
    for order in range(2, 20):
        relay.advance(60)
        relay.insert(order)
        assert relay.advance(60, until=lambda order=order: relay.accepted(order) is not None)  # type: ignore[misc]
    assert closed(relay)
    assert len(relay.posts(1)) > 5


def test_an_operator_closes_it(relay: Relay) -> None:
    open_breaker(relay)
    relay.advance(hours=3)
    relay.stack.downstream.set_mode("up")
    host = relay.stack.host
    assert host is not None
    answer = host.request("POST", "/api/relays/dbo.Orders/retry")
    assert answer.json()["rows"] == len(ROWS)
    assert relay.advance(30, until=lambda: all(relay.accepted(order) for order in ROWS))


def test_a_poison_row_that_changes_does_not_open_it(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG.replace('timeout = "5s"', 'timeout = "5s"\nbreaker_failures = 2'))
    relay.reject(1, status=500)
    relay.insert(1)
    for change in range(4):
        failures = len(relay.posts(1))
        relay.execute(f"UPDATE dbo.Orders SET Total = {change + 20} WHERE OrderId = 1")
        assert relay.advance(70, until=lambda failures=failures: len(relay.posts(1)) > failures)  # type: ignore[misc]
    relay.advance(2)
    relay.insert(2)
    assert relay.advance(5, until=lambda: relay.accepted(2) is not None)
    assert closed(relay)


def test_a_dead_letter_that_changes_and_fails_again_does_not_open_it(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"2m"', window='"10m"\nattempts = 1'))
    relay.reject(1, status=500)
    relay.insert(1)
    assert relay.advance(1800, until=lambda: [row[1] for row in relay.ledger()] == ["dead"])
    failures = len(relay.posts(1))
    relay.execute("UPDATE dbo.Orders SET Total = 20 WHERE OrderId = 1")
    assert relay.advance(120, until=lambda: len(relay.posts(1)) > failures)
    relay.advance(2)
    relay.insert(2)
    assert relay.advance(5, until=lambda: relay.accepted(2) is not None)
    assert closed(relay)


@pytest.mark.parametrize("status", [500, 503])
def test_many_rows_that_the_target_fails_on_do_not_keep_their_neighbours_from_being_tried(relay: Relay, status: int) -> None:
    for order in range(1, 21):
        relay.reject(order, status=status)
    relay.insert(*range(1, 41))
    relay.advance(hours=6)
    assert [order for order in range(21, 41) if relay.accepted(order)] == list(range(21, 41))


def test_rows_among_many_that_the_target_always_fails_on_are_delivered(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(window='"160h"'))
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 41))
    relay.advance(hours=8)
    for order in range(1, 31):
        relay.reject(order, status=500)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: all(relay.accepted(order) for order in range(31, 41)))


def test_it_closes_soon_though_old_poison_rows_wait_too(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"6h"', window='"160h"'))
    for order in range(1, 9):
        relay.reject(order, status=500)
        relay.insert(order)
        relay.advance(30)
        relay.insert(1000 + order)  # a success between
        relay.advance(30)
    relay.advance(hours=30)
    assert (closed(relay), relay.status()["detached"]) == (True, 8)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(100, 140))
    relay.advance(hours=8)
    assert not closed(relay)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(16 * 60, until=lambda: all(relay.accepted(order) for order in range(100, 140)))


def test_rows_that_fail_once_more_when_the_target_is_back_do_not_wait_for_a_late_round(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 41))
    relay.advance(hours=7)
    for order in range(1, 41):
        if order % 4:
            relay.reject(order, status=503, times=1)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: closed(relay))
    assert relay.advance(900, until=lambda: all(relay.accepted(order) for order in range(1, 41)))


def test_a_retry_after_of_some_rows_does_not_keep_it_open_for_all(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG.replace("[retry]\n", "[retry]\nattempts = 1\n"))
    for order in range(1, 6):
        relay.reject(order, status=429, retry_after=7200)
    relay.insert(*range(1, 6))
    relay.advance(10)
    relay.insert(6)
    assert relay.advance(16 * 60, until=lambda: relay.accepted(6) is not None)
