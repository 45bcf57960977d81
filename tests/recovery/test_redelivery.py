"""A direct redelivery: one that is cut short leaves nothing behind that nobody tries again, none repeats for ever, and none meets
the trigger's own post of the row."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

from rowpost.config.sections import RelayConfig
from rowpost.database.columns import TableColumn
from rowpost.database.table import Table
from rowpost.recovery.plan import LAPSED_SECONDS
from rowpost.recovery.redeliver import REDELIVER_AT_MOST
from tests.harness.running_relay import LEASES, Relay, changed_config


def orphan(relay: Relay) -> None:
    """A held row whose lease is gone and which the trigger's cursor has passed; the API is down."""
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(hours=1)
    relay.execute(f"DELETE FROM {LEASES}")
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
    relay.stack.sql.inject(pattern="rowpost: settle.sql", application="rowpost", action="drop_before", times=1000)
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
    assert [row[1] for row in relay.ledger()] == ["detached"]
    # Due late in a second; recovery looks early in the same second.
    relay.execute(
        "UPDATE rowpost.Ledger SET NextAttempt = DATEADD(millisecond, 900, DATEADD(second, 100, CAST(CONVERT(nvarchar(19), "
        "SYSUTCDATETIME(), 126) AS datetime2(7))))"
    )
    instance = relay.recovery()
    answer = relay.stack.host.request("POST", f"{instance}/raiseEvent/wake", json={})  # type: ignore[union-attr]
    assert answer.status_code == 202
    before = len(relay.posts(1))
    relay.advance(300)
    assert len(relay.posts(1)) == before + 1


def test_nobody_posts_a_row_whose_redelivery_is_in_flight(relay: Relay) -> None:
    """Not even when the trigger's next advance sweeps the lease of the redelivery: the older state could win."""
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=3, until=lambda: relay.status()["detached"] == 1)
    for order in (2, 3):  # the cursor passes the row
        relay.insert(order)
        relay.advance(10)
    relay.accept_all()
    relay.execute("UPDATE rowpost.Ledger SET NextAttempt = SYSUTCDATETIME()")
    key = TableColumn("OrderId", "int", 4, 10, 0)
    table = Table(RelayConfig(table="dbo.Orders", target="api"), "rowpost-local", (key,), (key,), None)
    take = table.statement("lease_for_redelivery", at_most=REDELIVER_AT_MOST, lapsed_seconds=LAPSED_SECONDS)
    relay.execute(take, 80)  # recovery has leased the row, and its post takes its time
    before = len(relay.posts(1))
    for order in (50, 51):
        relay.insert(order)
        relay.advance(2)
    relay.execute("UPDATE dbo.Orders SET Total = 99 WHERE OrderId = 1")
    relay.advance(5)
    assert len(relay.posts(1)) == before
    assert relay.advance(900, until=lambda: (relay.accepted(1) or {}).get("Total") == "99.0000")


def test_redelivered_rows_keep_the_schedule(relay: Relay) -> None:
    relay.insert(1)
    relay.insert(2)
    relay.advance(60)
    relay.reject(1)
    before = len(relay.posts(1))
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    relay.advance(hours=1)
    instants = [datetime.fromisoformat(attempt.at) for attempt in relay.posts(1)[before:]]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(instants)]
    assert len(gaps) >= 4
    for gap, planned in zip(gaps, (60, 120, 240, 480, 960), strict=False):
        assert planned <= gap <= planned + 65, gaps


def test_two_spellings_of_one_key_that_are_due_together(make_relay: Callable[..., Relay]) -> None:
    tables = "CREATE TABLE dbo.Orders (Code nvarchar(10) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)"
    relay = make_relay(changed_config(window='"2h"'), tables)
    for code in ("abc", "ABC", "zzz"):
        relay.stack.downstream.add_rule(match={"key": {"Code": code}}, status=422)
    relay.execute("INSERT INTO dbo.Orders (Code, Total) VALUES (N'abc', 1), (N'zzz', 1)")
    assert relay.advance(hours=3, until=lambda: relay.status()["dead"] == 2)
    relay.execute("UPDATE dbo.Orders SET Code = N'ABC' WHERE Code = N'abc'")  # the same key to SQL Server, and one record
    relay.advance(hours=4)
    assert relay.status()["dead"] == 2
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202  # by the present spelling
    assert relay.advance(hours=4, until=lambda: relay.status()["dead"] == 3)
    relay.accept_all()
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/replay").json()["rows"] == 3
    assert relay.advance(hours=1, until=lambda: relay.ledger() == [])
