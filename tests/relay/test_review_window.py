"""The end of the window gives up what was tried, not a newer change that nobody has tried."""

from __future__ import annotations

from tests.harness.running_relay import Relay


def test_a_newer_change_that_waits_for_its_first_try_outlives_the_window_of_the_older_one(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    relay.execute("UPDATE dbo.Orders SET Total = 77 WHERE OrderId = 1")
    # Handed out, and given back by a batch whose time budget had ended: never tried.
    relay.execute(
        "UPDATE az_func.Leases_rowpost_dbo_Orders SET _az_func_ChangeVersion = CHANGE_TRACKING_CURRENT_VERSION(), "
        "_az_func_AttemptCount = 0, _az_func_LeaseExpirationTime = DATEADD(second, 30, SYSDATETIME())"
    )
    relay.execute("UPDATE rowpost.Ledger SET FirstFailure = DATEADD(hour, -13, SYSUTCDATETIME()), NextAttempt = SYSUTCDATETIME()")
    relay.accept_all()
    instance = "/runtime/webhooks/durabletask/instances/recovery-dbo_Orders"
    assert relay.stack.host.request("POST", f"{instance}/raiseEvent/wake", json={}).status_code == 202  # type: ignore[union-attr]
    relay.advance(hours=1)
    row = relay.accepted(1)
    assert row is not None
    assert row["Total"] == 77
