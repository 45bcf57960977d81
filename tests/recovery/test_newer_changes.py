"""A newer change that nobody has tried yet inherits neither the delays nor the end of the window of the older one."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import LEASES, Relay, changed_config

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
    assert relay.advance(60 * MINUTE, until=lambda: (relay.accepted(1) or {}).get("Total") == "77.0000")


def test_a_newer_change_that_waits_for_its_first_try_outlives_the_window_of_the_older_one(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    relay.execute("UPDATE dbo.Orders SET Total = 77 WHERE OrderId = 1")
    # Handed out, and given back by a batch whose time budget had ended: never tried.
    relay.execute(
        f"UPDATE {LEASES} SET _az_func_ChangeVersion = CHANGE_TRACKING_CURRENT_VERSION(), "
        "_az_func_AttemptCount = 0, _az_func_LeaseExpirationTime = DATEADD(second, 30, SYSDATETIME())"
    )
    relay.execute("UPDATE rowpost.Ledger SET FirstFailure = DATEADD(hour, -13, SYSUTCDATETIME()), NextAttempt = SYSUTCDATETIME()")
    relay.accept_all()
    instance = relay.recovery()
    assert relay.stack.host.request("POST", f"{instance}/raiseEvent/wake", json={}).status_code == 202  # type: ignore[union-attr]
    relay.advance(hours=1)
    row = relay.accepted(1)
    assert row is not None
    assert row["Total"] == "77.0000"
