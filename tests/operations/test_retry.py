"""The order to retry now: every row that waits is tried at once, also while the target is still down; each round counts once."""

from __future__ import annotations

from tests.harness.running_relay import Relay

ROWS, LATER = range(1, 201), range(1001, 1021)


def test_retry_now_while_the_target_is_still_down_counts_each_round_once(relay: Relay) -> None:
    relay.insert(*ROWS)
    relay.advance(20)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.execute("UPDATE dbo.Orders SET Total = 2")
    assert relay.advance(hours=4, until=lambda: relay.status()["detached"] == len(ROWS))
    before = max(record[3] for record in relay.ledger())
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/retry").status_code == 202
    relay.insert(*LATER)  # they open the circuit breaker again, before all that was ordered is tried
    relay.advance(600)
    assert max(record[3] for record in relay.ledger()) <= before + 5


def test_retry_now_makes_held_rows_due(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=3)
    relay.accept_all()
    answer = relay.stack.host.request("POST", "/api/relays/dbo.Orders/retry")  # type: ignore[union-attr]
    assert answer.json()["rows"] == 1
    relay.advance(30)
    assert relay.accepted(1)


def test_retry_now_reaches_rows_that_wait_for_a_retry_after(relay: Relay) -> None:
    relay.reject(1, status=429, retry_after=20000, times=1)
    relay.insert(1)
    relay.advance(60)
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/retry").json()["rows"] == 1
    assert relay.advance(60, until=lambda: relay.accepted(1) is not None)
