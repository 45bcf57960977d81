"""Detached rows that an operator ordered, while the target is still down: a look of recovery ends, and counts a round once."""

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
    assert relay.stack.host.request("POST", "/api/tables/dbo.Orders/retry").status_code == 202
    relay.insert(*LATER)  # they close the gate again, before all that was ordered is tried
    relay.advance(600)
    assert max(record[3] for record in relay.ledger()) <= before + 5
