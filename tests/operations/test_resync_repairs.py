"""After a gap a consumer that follows the rule of a resync has exactly the table's content, whatever was lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.change_retention import clean_up
from tests.harness.consumer import orders_at_the_consumer, orders_in_the_table, resync_events
from tests.harness.running_relay import CONFIG, PAUSED, Relay

TRACK = "ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)"


def settled(relay: Relay) -> bool:
    last = relay.status()["resync"]
    return last is not None and last["state"] == "completed" and not last["another_waits"] and not relay.ledger()


def repaired(relay: Relay, hours: float = 1) -> None:
    """Wait until the watchdog has seen the gap and a resync has repaired it; then the consumer has the table."""
    assert relay.advance(hours=hours, until=lambda: settled(relay)), relay.status()["resync"]
    relay.advance(5)
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
    assert relay.status()["gap"] is None


def start_with(relay: Relay, count: int = 6) -> None:
    relay.insert(*range(1, count + 1))
    relay.advance(400)
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def reload(relay: Relay, *orders: int, total: str = "99") -> None:
    """As a nightly job does it: without change tracking all goes, and other rows come."""
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.execute("DELETE FROM dbo.Orders")
    if orders:
        relay.insert(*orders, total=total)
    relay.execute(TRACK)


def test_a_nightly_reload_is_repaired_night_after_night(relay: Relay) -> None:
    start_with(relay)
    for night in range(1, 4):  # nothing but the reload changes the table
        reload(relay, night, 6, 10 + night, total=str(night))  # rows that go, rows that come, and rows that change
        relay.advance(400)
        repaired(relay)
        assert len(resync_events(relay, "completed")) == len(relay.alerts("gap")) == night


@pytest.mark.parametrize("reloaded", [False, True], ids=["and left empty", "and filled again"])
def test_a_truncated_table_is_repaired(relay: Relay, reloaded: bool) -> None:
    start_with(relay)
    relay.execute("TRUNCATE TABLE dbo.Orders")
    if reloaded:
        relay.insert(2, 50, total="3")
    relay.advance(400)
    repaired(relay)
    assert len(orders_in_the_table(relay)) == (2 if reloaded else 0)
    begun, completed = resync_events(relay)
    assert begun.version == completed.version


def test_a_reload_in_which_nothing_is_left_is_repaired(relay: Relay) -> None:
    start_with(relay)
    reload(relay)
    relay.advance(400)
    repaired(relay)
    assert orders_at_the_consumer(relay) == {}


def test_an_app_that_was_stopped_for_longer_than_the_retention_is_repaired(relay: Relay) -> None:
    start_with(relay)
    host = relay.stack.host
    assert host is not None
    host.kill()
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId IN (2, 3)")
    relay.execute("UPDATE dbo.Orders SET Total = 5 WHERE OrderId = 4")
    relay.execute("UPDATE dbo.Orders SET OrderId = 60 WHERE OrderId = 5")
    relay.insert(7)
    clean_up(relay)
    host.start()
    relay.advance(400)
    repaired(relay)
    assert sorted(orders_at_the_consumer(relay)) == [1, 4, 6, 7, 60]


def test_changes_that_the_retention_takes_in_an_outage_of_the_trigger_are_repaired(relay: Relay) -> None:
    start_with(relay)
    relay.restart(**{PAUSED: "true"})
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId < 4")
    clean_up(relay)
    relay.advance(700)
    relay.restart(**{PAUSED: "false"})
    relay.advance(400)
    repaired(relay)


def test_rows_that_change_while_the_table_is_sent_are_neither_lost_nor_removed(relay: Relay) -> None:
    start_with(relay, 900)
    reload(relay, *range(1, 901))
    assert relay.advance(900, until=lambda: bool(resync_events(relay, "begun")))
    for step in range(1, 30):
        relay.execute(f"DELETE FROM dbo.Orders WHERE OrderId = {step}")
        relay.execute(f"UPDATE dbo.Orders SET OrderId = {5000 + step} WHERE OrderId = {100 + step}")  # behind the position
        relay.execute(f"UPDATE dbo.Orders SET OrderId = {-step} WHERE OrderId = {800 - step}")
        relay.execute(f"DELETE FROM dbo.Orders WHERE OrderId = {300 + step}")
        relay.insert(300 + step, total="7")  # deleted and inserted again
        relay.execute(f"UPDATE dbo.Orders SET Total = Total + 1 WHERE OrderId = {400 + step}")
        relay.advance(1)
    repaired(relay)


def test_another_reload_while_the_table_is_sent_is_repaired_by_another_resync(relay: Relay) -> None:
    start_with(relay, 900)
    reload(relay, *range(1, 901))
    assert relay.advance(900, until=lambda: bool(resync_events(relay, "begun")))
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.advance(30)
    reload(relay, *range(450, 1350), total="4")
    relay.advance(700)
    assert relay.execute("SELECT COUNT(*) FROM rowpost.Resyncs WHERE State = 'superseded'")[0][0] == 1
    relay.accept_all()
    repaired(relay, hours=4)


def test_several_gaps_are_repaired_by_one_resync(relay: Relay) -> None:
    start_with(relay)
    relay.stack.downstream.set_mode("down", path="/rows")
    for night in range(3):
        reload(relay, night, 20 + night)
        relay.advance(30)
    relay.advance(400)
    relay.accept_all()
    repaired(relay)
    assert len(resync_events(relay, "completed")) == 1


def test_a_relay_that_only_notifies_is_left_as_it_is_and_the_notice_says_so(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG + 'on_gap = "notify"\n')
    start_with(relay)
    reload(relay, 1, 2)
    relay.advance(700)
    assert relay.status()["resync"] is None and resync_events(relay) == []
    (notice,) = relay.alerts("gap")
    assert "on_gap = notify" in notice["text"] and notice["on_gap"] == "notify"
    assert relay.status()["gap"] is not None
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    repaired(relay)
