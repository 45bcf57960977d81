"""A corrected row that came during an outage of the target was never tried: it does not inherit the delays of its refused state."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import Relay, changed_config

MINUTE = 60


def test_a_corrected_row_arrives_when_the_target_is_back(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"6h"', window='"48h"'))
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=24, until=lambda: any(record[3] >= 9 for record in relay.ledger()))
    relay.advance(MINUTE)
    relay.stack.downstream.set_rules([])
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(2, 22))
    relay.advance(15 * MINUTE)
    relay.execute("UPDATE dbo.Orders SET Total = 77 WHERE OrderId = 1")
    relay.advance(15 * MINUTE)
    relay.accept_all()
    assert relay.advance(30 * MINUTE, until=lambda: all(relay.accepted(order) for order in range(2, 22)))
    assert relay.advance(60 * MINUTE, until=lambda: (relay.accepted(1) or {}).get("Total") == 77)
