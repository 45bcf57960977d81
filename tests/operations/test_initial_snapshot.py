"""A relay with `initial = "snapshot"` sends the rows that were there before it: once in its life, and marked."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.harness.consumer import orders_at_the_consumer, orders_in_the_table, resync_events
from tests.harness.running_relay import CONFIG, INSTANCES, PAUSED, Relay, body_of
from tests.harness.snapshots import SNAPSHOT, completed, marks, orders_before

ADDRESS = "/api/relays/dbo.Orders/resync"
STEPS = ["order_resync", "begin_resync", "move_resync", "resync_first_page", "queue_page", "lease_for_redelivery"]


def snapshots(relay: Relay) -> list[tuple[str, str]]:
    return [tuple(row) for row in relay.execute("SELECT Cause, State FROM rowpost.Resyncs ORDER BY OrderedAt")]


def whole(relay: Relay) -> None:
    """The consumer has the table, each row came with its mark, and the two events were told once."""
    relay.advance(10)
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
    marks(relay)
    assert [len({attempt.event_id for attempt in resync_events(relay, phase)}) for phase in ("begun", "completed")] == [1, 1]


def test_what_was_there_before_is_sent_once_between_two_events_and_is_marked(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT, orders_before(7))
    assert relay.advance(60, until=lambda: completed(relay)), "soon after the trigger has started, though nothing changes"
    whole(relay)
    posts = relay.posts()
    begun, *rows, ended = posts
    snapshot = relay.status()["initial_snapshot"]
    assert re.fullmatch(r"[0-9a-f-]{36}", snapshot)
    for event, phase in ((begun, "begun"), (ended, "completed")):
        assert event.body["type"] == f"rowpost.resync.{phase}"
        assert (event.body["data"]["cause"], event.body["data"]["resync"]) == ("initial", snapshot)
        assert event.headers["Rowpost-Snapshot"] == snapshot
    assert [body_of(row)["type"] for row in rows] == ["rowpost.row.upserted"] * 7
    assert set(marks(relay).values()) == {snapshot}
    relay.execute("UPDATE dbo.Orders SET Total = 11 WHERE OrderId = 3")
    relay.advance(5)
    assert "snapshot" not in relay.posts()[-1].body["data"] and relay.accepted(3)["Total"] == "11.0000"  # type: ignore[index]
    relay.restart()
    relay.advance(700)
    assert snapshots(relay) == [("initial", "completed")] and len(relay.posts()) == 10
    log = relay.host_log()
    assert f"the initial snapshot {snapshot} has begun" in log and f"the initial snapshot {snapshot} is completed" in log


def test_the_snapshot_of_an_empty_table_ends_at_once_with_its_events(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT)
    assert relay.advance(60, until=lambda: completed(relay))
    assert [attempt.operation for attempt in relay.posts()] == ["resync-begun", "resync-completed"]
    shown = relay.status()["resync"]
    assert (shown["rows_queued"], shown["rows_of_table"], shown["share"], shown["pages"]) == (0, 0, 1.0, 0)


def test_changes_are_all_that_is_sent_unless_a_snapshot_is_wanted(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG, orders_before(3))
    relay.insert(10)
    relay.advance(700)
    assert [post.key for post in relay.posts()] == [{"OrderId": 10}]
    assert relay.status()["initial_snapshot"] is None and relay.status()["resync"] is None


def test_a_relay_that_is_there_already_is_sent_whole_once_when_that_is_set(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG, orders_before(3))
    relay.advance(30)
    for _ in range(3):
        relay.config_file.write_text(SNAPSHOT)
        relay.restart()
        assert relay.advance(60, until=lambda: completed(relay))
        relay.config_file.write_text(CONFIG)
        relay.restart()
        relay.advance(320)
    assert snapshots(relay) == [("initial", "completed")]
    whole(relay)


def test_a_snapshot_goes_on_though_the_setting_is_gone_and_an_operator_can_end_it(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT, orders_before(30), start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.stack.start_host()
    assert relay.advance(60, until=lambda: snapshots(relay) == [("initial", "begun")])
    relay.config_file.write_text(CONFIG)
    relay.restart()
    relay.accept_all()
    assert relay.advance(1200, until=lambda: completed(relay))
    whole(relay)


def test_a_snapshot_that_an_operator_has_ended_is_not_ordered_again(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT, orders_before(3), start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.stack.start_host()
    host = relay.stack.host
    assert host is not None
    assert relay.advance(60, until=lambda: snapshots(relay) == [("initial", "begun")])
    assert host.request("DELETE", ADDRESS).status_code == 202
    relay.accept_all()
    relay.advance(700)
    assert snapshots(relay) == [("initial", "cancelled")] and not [post for post in relay.posts() if post.status == 202]
    assert host.request("POST", ADDRESS).status_code == 202
    assert relay.advance(60, until=lambda: completed(relay))
    assert snapshots(relay) == [("initial", "cancelled"), ("resync", "completed")]
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_it_waits_for_the_trigger_and_what_changes_until_then_is_not_lost(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT, orders_before(5), start=False)
    relay.stack.change_settings({PAUSED: "true"})
    relay.start()
    relay.advance(900)
    shown = relay.status()["resync"]
    assert (shown["state"], shown["cause"]) == ("ordered", "initial") and "the trigger has not started yet" in shown["problem"]
    assert relay.posts() == []
    (notice,) = relay.alerts("resync_waits")
    assert "the trigger has not started yet" in notice["last_error"]
    relay.execute("UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 2")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 4")
    relay.restart(**{PAUSED: "false"})
    assert relay.advance(900, until=lambda: completed(relay))
    whole(relay)


def test_what_an_operator_orders_before_is_the_initial_snapshot(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT, orders_before(3), start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    # The watchdog's first look fails before it orders anything.
    relay.stack.sql.inject(action="error", number=40613, pattern="rowpost: order_resync.sql", application="rowpost", times=1)
    relay.stack.start_host()
    relay.advance(20)
    assert snapshots(relay) == []
    host = relay.stack.host
    assert host is not None and host.request("POST", ADDRESS).status_code == 202
    relay.advance(900)
    assert snapshots(relay) == [("initial", "completed")]
    whole(relay)


@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
def test_a_crash_between_the_registration_and_the_order_loses_nothing(make_relay: Callable[..., Relay], action: str) -> None:
    relay = make_relay(SNAPSHOT, orders_before(4), start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.stack.sql.inject(action=action, pattern="rowpost: order_resync.sql", application="rowpost", times=1)
    relay.stack.start_host()
    assert relay.advance(60, until=lambda: relay.stack.sql.faults() == [])
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.stack.host.start()
    assert relay.advance(400, until=lambda: completed(relay))
    assert snapshots(relay) == [("initial", "completed")]
    whole(relay)


@pytest.mark.parametrize(
    "step", ["order_resync", "begin_resync", "move_resync", "resync_first_page", "queue_page", "lease_for_redelivery"]
)
def test_a_host_that_is_killed_at_any_step_goes_on_when_it_is_back(make_relay: Callable[..., Relay], step: str) -> None:
    relay = make_relay(SNAPSHOT, orders_before(700), start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    pattern = f"rowpost: {step}.sql"
    relay.stack.sql.inject(action="delay", seconds=0.5, pattern=pattern, application="rowpost", times=1)
    relay.stack.start_host()
    host = relay.stack.host
    assert host is not None
    assert relay.advance(60, until=lambda: relay.stack.sql.faults() == [])
    host.kill()
    relay.advance(5)
    host.start()
    assert relay.advance(1800, until=lambda: completed(relay)), relay.status()["resync"]
    assert snapshots(relay) == [("initial", "completed")] and relay.status()["resync"]["rows_queued"] == 700
    whole(relay)


def test_a_renamed_relay_keeps_its_memory(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT, orders_before(3))
    assert relay.advance(60, until=lambda: completed(relay))
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.execute("EXEC sp_rename N'dbo.Orders', N'Sales'")
    relay.config_file.write_text(SNAPSHOT.replace("dbo.Orders", "dbo.Sales"))
    relay.stack.host.start()
    relay.advance(700)
    assert snapshots(relay) == [("initial", "completed")]


@pytest.mark.parametrize("on_gap", ["resync", "notify"])
def test_a_new_epoch_in_the_middle_of_it_sends_everything_once_more_and_no_more(
    make_relay: Callable[..., Relay], on_gap: str
) -> None:
    relay = make_relay(f'{SNAPSHOT}on_gap = "{on_gap}"\n', orders_before(20), start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.stack.downstream.add_rule(match={"key": {"OrderId": 7}}, status=503)
    relay.stack.start_host()
    assert relay.advance(900, until=lambda: snapshots(relay) == [("initial", "settling")])
    relay.advance(310)  # the watchdog has seen since when changes are kept
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 4")
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    assert relay.advance(700, until=lambda: snapshots(relay)[0] == ("initial", "superseded"))
    relay.accept_all()
    assert relay.advance(hours=1, until=lambda: len(snapshots(relay)) == 2 and completed(relay)), snapshots(relay)
    relay.advance(900)
    assert snapshots(relay) == [("initial", "superseded"), ("initial", "completed")]
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_two_relays_of_a_table_have_a_snapshot_each_and_only_who_wants_one(make_relay: Callable[..., Relay]) -> None:
    config = CONFIG + 'name = "plain"\n[[relays]]\ntable = "dbo.Orders"\nname = "whole"\ninitial = "snapshot"\n'
    relay = make_relay(config, orders_before(4))
    assert relay.advance(120, until=lambda: relay.get("/api/relays")["relays"][1]["initial_snapshot"] is not None)
    assert relay.advance(120, until=lambda: relay.get("/api/relays")["relays"][1]["resync"]["state"] == "completed")
    assert [tuple(row) for row in relay.execute("SELECT Relay, Cause FROM rowpost.Resyncs")] == [("whole", "initial")]
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_an_orchestration_that_is_gone_is_started_anew(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(SNAPSHOT, orders_before(6), start=False)
    relay.stack.start_services()
    relay.stack.prepare()
    relay.stack.downstream.add_rule(match={"operation": "resync-begun"}, status=503)
    relay.stack.start_host()
    host = relay.stack.host
    assert host is not None
    assert relay.advance(60, until=lambda: bool(resync_events(relay, "begun")))
    instance = f"{INSTANCES}/resync-dbo_Orders-{relay.status()['initial_snapshot']}-s1"
    host.request("POST", f"{instance}/terminate?reason=tried")
    relay.advance(5)
    host.request("DELETE", instance)
    relay.accept_all()
    assert relay.advance(1200, until=lambda: completed(relay))
    whole(relay)
