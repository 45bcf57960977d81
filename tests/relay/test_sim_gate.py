"""One bad row never closes the gate, however often it changes: its neighbours arrive at once."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import CONFIG, Relay


def test_a_poison_row_that_changes_does_not_close_the_gate(make_relay: Callable[..., Relay]) -> None:
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
    assert relay.status()["gate"] is None
