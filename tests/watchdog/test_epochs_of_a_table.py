"""Change tracking that begins anew, of one table or of the whole database: a new epoch, once, and every change arrives."""

from __future__ import annotations

import pytest

from tests.harness.epochs import check, epoch
from tests.harness.running_relay import LEASES, ORDERS, PAUSED, Relay

TRACK = "ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)"
OFF = (
    "ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING; ALTER TABLE rowpost.Ticks DISABLE CHANGE_TRACKING; "
    "ALTER DATABASE CURRENT SET CHANGE_TRACKING = OFF"
)
ON = "ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 14 DAYS)"


def deliver(relay: Relay) -> None:
    for order in range(1, 6):
        relay.insert(order)
        relay.advance(2)
    relay.advance(400)


def switch_off_and_on(relay: Relay) -> None:
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.execute("UPDATE dbo.Orders SET Total = 50 WHERE OrderId = 5")
    relay.execute(TRACK)


def truncate(relay: Relay) -> None:
    relay.execute("TRUNCATE TABLE dbo.Orders")


def make_again(relay: Relay) -> None:
    relay.execute("DROP TABLE dbo.Orders")
    relay.execute(ORDERS)
    relay.execute(TRACK)
    relay.restart()


@pytest.mark.parametrize("what", [switch_off_and_on, truncate, make_again])
def test_tracking_that_begins_anew_is_a_new_epoch(relay: Relay, what: object) -> None:
    deliver(relay)
    before = epoch(relay)
    assert callable(what)
    what(relay)
    relay.insert(51)
    relay.advance(1200)
    check(relay, gone=frozenset(range(1, 6)) - {row[0] for row in relay.execute("SELECT OrderId FROM dbo.Orders")})
    assert epoch(relay) > before
    assert [notice["epoch"] for notice in relay.alerts("epoch")] == [epoch(relay)]
    assert "table" in relay.alerts("epoch")[0]["last_error"]
    relay.execute("UPDATE dbo.Orders SET Total = 60 WHERE OrderId = 51")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 5")
    relay.advance(1200)
    check(relay, gone=frozenset(range(1, 6)) if what is not switch_off_and_on else frozenset())
    assert len(relay.alerts("epoch")) == 1


def switch_the_database_off_and_on(relay: Relay) -> None:
    relay.execute(OFF)
    relay.execute(ON)
    relay.execute(TRACK)
    ((version,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    assert version == 0


def test_versions_that_begin_at_nothing_are_handed_out_though_the_cursor_was_beyond(relay: Relay) -> None:
    deliver(relay)
    before = epoch(relay)
    switch_the_database_off_and_on(relay)
    relay.execute("UPDATE dbo.Orders SET Total = 60 WHERE OrderId = 1")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 2")
    relay.advance(400)
    check(relay)
    assert epoch(relay) > before and len(relay.alerts("epoch")) == 1
    relay.execute("UPDATE dbo.Orders SET Total = 70 WHERE OrderId = 1")
    relay.insert(9)
    assert relay.advance(10, until=lambda: relay.accepted(9) is not None)  # by the trigger itself
    relay.advance(400)
    check(relay)
    ((cursor, current),) = relay.execute("SELECT LastSyncVersion, CHANGE_TRACKING_CURRENT_VERSION() FROM az_func.GlobalState")
    ((newest,),) = relay.execute(f"SELECT COALESCE(MAX(_az_func_ChangeVersion), 0) FROM {LEASES}")
    assert cursor <= current and newest <= current


@pytest.mark.parametrize("changes", [1, 30])
def test_the_same_while_the_app_is_stopped_however_far_the_versions_go(relay: Relay, changes: int) -> None:
    deliver(relay)
    before = epoch(relay)
    assert relay.stack.host is not None
    relay.stack.host.kill()
    switch_the_database_off_and_on(relay)
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 2")
    for value in range(changes):  # 30: beyond the cursor of the former life
        relay.execute("UPDATE dbo.Orders SET Total = ? WHERE OrderId = 1", 60 + value)
    relay.stack.host.start()
    relay.advance(700)
    check(relay)
    assert epoch(relay) > before


def test_a_record_of_the_former_numbers_does_not_silence_a_new_change(relay: Relay) -> None:
    deliver(relay)
    relay.reject(1)
    relay.execute("UPDATE dbo.Orders SET Total = 60 WHERE OrderId = 1")
    relay.advance(hours=13)
    assert [row[1] for row in relay.ledger()] == ["dead"]
    switch_the_database_off_and_on(relay)
    relay.accept_all()
    relay.execute("UPDATE dbo.Orders SET Total = 61 WHERE OrderId = 1")
    relay.advance(700)
    check(relay)


def test_tracking_that_is_off_is_told_as_before_and_ends_in_one_epoch(relay: Relay) -> None:
    deliver(relay)
    relay.execute(OFF)
    relay.advance(1200)
    assert [notice["kind"] for notice in relay.alerts()] == ["unable"]
    relay.execute(ON)
    relay.execute(TRACK)
    relay.insert(6)
    relay.advance(1200)
    check(relay)
    assert len(relay.alerts("epoch")) == 1


def test_a_paused_trigger_does_not_keep_an_epoch_from_being_told(relay: Relay) -> None:
    deliver(relay)
    relay.restart(**{PAUSED: "true"})
    switch_off_and_on(relay)
    relay.advance(400)
    assert len(relay.alerts("epoch")) == 1
