"""What counts as a gap in the changes, and what does not: people are told of each gap, once, and again if it grows."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.change_retention import clean_up, lose
from tests.harness.consumer import orders_at_the_consumer, resync_events
from tests.harness.running_relay import CONFIG, ORDERS, PAUSED, Relay


def deliver_five(relay: Relay) -> None:
    for order in range(1, 6):
        relay.insert(order)
        relay.advance(2)
    relay.advance(400)


def test_changes_made_while_tracking_was_off_are_told(relay: Relay) -> None:
    deliver_five(relay)
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.insert(50)
    relay.advance(400)
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    relay.insert(51)
    relay.advance(900)
    assert relay.accepted(51) and relay.accepted(50)  # all rows are sent again under a new epoch
    assert len(relay.alerts("gap")) == 1


def test_a_truncated_table_is_told(relay: Relay) -> None:
    deliver_five(relay)
    relay.execute("TRUNCATE TABLE dbo.Orders")
    relay.insert(51)
    relay.advance(900)
    assert len(relay.alerts("gap")) == 1


def test_a_table_that_was_made_again_is_told(relay: Relay) -> None:
    deliver_five(relay)
    relay.execute("DROP TABLE dbo.Orders")
    relay.execute(ORDERS)
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.stack.host.start()
    relay.advance(900)
    assert len(relay.alerts("gap")) == 1


def test_the_cursor_of_another_app_is_not_ours(relay: Relay) -> None:
    relay.execute(
        "INSERT INTO az_func.GlobalState (UserFunctionID, UserTableID, LastSyncVersion, LastAccessTime) "
        "VALUES ('0123456789abcdef', OBJECT_ID('dbo.Orders'), 0, GETUTCDATE())"
    )
    deliver_five(relay)
    assert (relay.status()["pending"], relay.status()["oldest_untouched"]) == (0, None)
    clean_up(relay)
    relay.insert(6)
    relay.advance(900)
    assert relay.alerts() == []


def stand_still(relay: Relay) -> None:
    relay.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 1 DAYS)")
    relay.insert(1)
    relay.advance(400)
    relay.restart(**{PAUSED: "true"})
    for order in range(2, 60):
        relay.insert(order)
        relay.advance(3600)


def test_a_trigger_that_stands_still_is_one_incident(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG + 'on_gap = "notify"\n')
    stand_still(relay)
    told = relay.alerts("gap")
    assert 1 <= len(told) <= 3
    assert {notice["versions"][0] for notice in told} == {2}  # the whole range each time


def test_a_trigger_that_stands_still_costs_one_resync_in_the_time_of_the_retention(relay: Relay) -> None:
    stand_still(relay)
    assert 1 <= len(resync_events(relay, "completed")) <= 3
    assert 1 <= len(relay.alerts("gap")) <= 3
    assert len(orders_at_the_consumer(relay)) >= 24


def test_rows_that_were_handed_back_are_not_covered(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(270)
    relay.stack.downstream.set_mode("down", path="/rows")
    for order in range(2, 22):
        relay.insert(order)
    relay.advance(35)  # the watchdog looks
    ((covered,),) = relay.execute("SELECT Covered FROM rowpost.Relays")
    assert covered <= 1 + len(relay.ledger())  # order n has version n, and those that were tried are the first ones


def test_a_held_row_that_the_retention_passes_is_no_gap(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(400)
    relay.reject(2, status=429, retry_after=7200)
    relay.insert(2)
    relay.advance(30)
    relay.insert(3)
    relay.advance(600)
    clean_up(relay)
    relay.insert(4)
    relay.advance(900)
    assert relay.alerts("gap") == []


def test_a_gap_that_grows_on_the_day_on_which_it_was_told_is_told_again(relay: Relay) -> None:
    first, _ = lose(relay)
    assert [notice["versions"][0] for notice in relay.alerts("gap")] == [first + 1]
    host = relay.stack.host
    assert host is not None
    host.kill()
    relay.insert(50)
    ((lost,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    clean_up(relay)
    host.start()
    relay.advance(hours=30)
    told = [notice["versions"] for notice in relay.alerts("gap")]
    assert any(begin <= lost <= end for begin, end in told), told


def test_what_is_forgotten_between_the_first_start_of_the_app_and_that_of_the_trigger_is_told(
    make_relay: Callable[..., Relay],
) -> None:
    relay = make_relay(settings={PAUSED: "true"})
    relay.insert(1)
    relay.advance(60)
    clean_up(relay)
    relay.insert(2)
    relay.restart(**{PAUSED: ""})
    relay.advance(900)
    assert [notice["versions"] for notice in relay.alerts("gap")] == [[1, 1]]
    assert set(orders_at_the_consumer(relay)) == {1, 2}


def test_what_was_forgotten_before_the_first_start_of_the_app_is_nobodys_gap(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.insert(1)
    clean_up(relay)
    relay.insert(2)
    relay.stack.start_host()
    relay.advance(900)
    assert relay.alerts("gap") == []
    assert relay.accepted(2) and relay.accepted(1) is None
