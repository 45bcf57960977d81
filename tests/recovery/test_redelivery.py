"""A direct redelivery that is cut short leaves nothing behind that nobody tries again, and none repeats for ever."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import Relay


def orphan(relay: Relay) -> None:
    """A held row whose lease is gone and which the trigger's cursor has passed; the API is down."""
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(hours=1)
    relay.execute("DELETE FROM az_func.Leases_rowpost_dbo_Orders")
    relay.execute("UPDATE az_func.GlobalState SET LastSyncVersion = CHANGE_TRACKING_CURRENT_VERSION()")


def test_a_lease_of_recovery_whose_answer_was_lost_does_not_hold_the_row_for_ever(relay: Relay) -> None:
    orphan(relay)
    relay.stack.sql.inject(pattern="INSERT INTO @due", application="rowpost", action="drop_after", times=1)
    relay.advance(hours=1)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=3, until=lambda: relay.accepted(1) is not None)
    relay.advance(hours=1)
    assert relay.ledger() == []


def test_a_host_killed_in_the_middle_of_a_redelivery_tries_the_row_again(relay: Relay) -> None:
    orphan(relay)
    host, api = relay.stack.host, relay.stack.downstream
    assert host is not None
    before = len(relay.posts(1))
    relay.stack.sql.inject(pattern="rp_l varchar", application="rowpost", action="drop_before", times=1000)
    relay.advance(hours=1)  # the row is leased and posted, and the settlement never arrives
    assert len(relay.posts(1)) > before
    host.kill()
    relay.stack.sql.clear_faults()
    api.set_mode("up")
    host.start()
    assert relay.advance(hours=3, until=lambda: relay.accepted(1) is not None)


def test_a_key_that_changed_its_case_is_redelivered_once(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(
        tables="CREATE TABLE dbo.Orders (Code nvarchar(10) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)"
    )
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.execute("INSERT INTO dbo.Orders (Code, Total) VALUES (N'abc', 1)")
    relay.advance(hours=1)
    relay.execute("DELETE FROM dbo.Orders WHERE Code = N'abc'")
    relay.execute("INSERT INTO dbo.Orders (Code, Total) VALUES (N'ABC', 2)")
    relay.stack.downstream.set_mode("up")
    before = len(relay.posts())
    try:
        relay.advance(hours=3)
    finally:
        assert len(relay.posts()) - before < 5
    assert relay.ledger() == []


def test_recovery_does_not_spin_in_the_second_before_a_row_is_due(relay: Relay) -> None:
    orphan(relay)
    relay.advance(hours=3)
    assert [row[1] for row in relay.ledger()] == ["held"]
    # Due late in a second; recovery looks early in the same second.
    relay.execute(
        "UPDATE rowpost.Ledger SET NextAttempt = DATEADD(millisecond, 900, DATEADD(second, 100, CAST(CONVERT(nvarchar(19), "
        "SYSUTCDATETIME(), 126) AS datetime2(7))))"
    )
    instance = "/runtime/webhooks/durabletask/instances/recovery-dbo_Orders"
    answer = relay.stack.host.request("POST", f"{instance}/raiseEvent/wake", json={})  # type: ignore[union-attr]
    assert answer.status_code == 202
    before = len(relay.posts(1))
    relay.advance(300)
    assert len(relay.posts(1)) == before + 1
