"""The events of a resync: when the API is told, what if it cannot be told, and when it must not be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.consumer import orders_at_the_consumer, orders_in_the_table, resync_events
from tests.harness.running_relay import CONFIG, Relay, changed_config

ON_ORDER = CONFIG.replace('table = "dbo.Orders"', 'table = "dbo.Orders"\non_gap = "notify"')  # by an operator alone
DEAD_LETTERS = CONFIG.replace("[retry]", '[retry]\nrejected = "dead_letter"')


@pytest.fixture
def relay(make_relay: Callable[..., Relay]) -> Relay:
    return make_relay(ON_ORDER)


def order(relay: Relay) -> None:
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202


def state(relay: Relay) -> Any:
    return (relay.status()["resync"] or {}).get("state")


def lost_deletion(relay: Relay, *, seen: bool = True) -> None:
    """Order 1 goes, and change tracking does not tell. The watchdog has seen that the tracking began anew: it is another epoch."""
    relay.insert(1, 2, 3)
    relay.advance(300)
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 1")
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    if seen:
        relay.advance(660)


def test_both_events_frame_the_rows_and_name_the_same_version(relay: Relay) -> None:
    lost_deletion(relay)
    before = len(relay.posts())
    order(relay)
    assert relay.advance(300, until=lambda: state(relay) == "completed")
    posts = relay.posts()[before:]
    begun, completed = resync_events(relay)
    assert posts[0] == begun and posts[-1] == completed and len(posts) == 4
    assert begun.body["type"] == "rowpost.resync.begun" and completed.body["type"] == "rowpost.resync.completed"
    assert begun.body["data"] == {
        "table": "dbo.Orders",
        "operation": "resync-begun",
        "resync": relay.status()["resync"]["id"],
        "cause": "resync",
        "epoch": begun.body["data"]["epoch"],
        "version": begun.version,
        "since": begun.version,
    }
    assert completed.body["data"] == begun.body["data"] | {"operation": "resync-completed"}
    assert begun.body["sequence"] == completed.body["sequence"] == f"{begun.body['data']['epoch']:010d}.{begun.version:020d}"
    assert begun.body["subject"] == "dbo.Orders" and begun.event_id != completed.event_id
    assert all(post.version is not None and begun.version is not None and post.version >= begun.version for post in posts)
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
    assert relay.stack.downstream.find("dbo.Orders", {"OrderId": 1}).operation == "delete"  # type: ignore[union-attr]
    assert relay.status()["resync"]["events"] == {"begun": "HTTP 202", "completed": "HTTP 202"}
    assert relay.status()["resync"]["rows_queued"] == 2 and relay.status()["resync"]["rows_left"] == 0


def test_the_plain_format_has_them_too(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(ON_ORDER.replace("[targets.headers]", 'format = "plain"\n[targets.headers]'))
    lost_deletion(relay)
    order(relay)
    assert relay.advance(300, until=lambda: state(relay) == "completed")
    begun, completed = resync_events(relay)
    assert (begun.body["operation"], completed.body["operation"]) == ("resync-begun", "resync-completed")
    assert begun.headers["Rowpost-Version"] == str(begun.body["version"]) == str(completed.body["since"])
    assert begun.headers["Idempotency-Key"] != completed.headers["Idempotency-Key"]
    assert relay.accepted(1) is None and relay.accepted(2) is not None


@pytest.mark.parametrize("phase", ["begun", "completed"])
def test_an_api_that_is_down_is_told_when_it_is_back(relay: Relay, phase: str) -> None:
    lost_deletion(relay)
    relay.stack.downstream.add_rule(match={"operation": f"resync-{phase}"}, status=503)
    order(relay)
    assert relay.advance(hours=1, until=lambda: len(resync_events(relay, phase)) >= 5)
    resync = relay.status()["resync"]
    assert resync["state"] == {"begun": "begun", "completed": "settling"}[phase]
    assert resync["events"][phase] == "HTTP 503"
    assert len({attempt.event_id for attempt in resync_events(relay, phase)}) == 1
    assert len([post for post in relay.posts() if post.outcome == "accepted"]) == (3 if phase == "begun" else 5)
    relay.advance(hours=3)
    assert len(resync_events(relay, phase)) < 60, "it is not called more often than once each `probe`"
    (notice,) = relay.alerts("resync_waits")
    assert "the target does not take its event (HTTP 503)" in notice["last_error"]
    relay.accept_all()
    assert relay.advance(600, until=lambda: state(relay) == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_an_event_that_is_asked_to_come_later_comes_later(relay: Relay) -> None:
    lost_deletion(relay)
    relay.stack.downstream.add_rule(match={"operation": "resync-begun"}, status=429, retry_after=3600, times=1)
    order(relay)
    assert relay.advance(hours=2, until=lambda: state(relay) == "completed")
    first, second = resync_events(relay, "begun")
    assert 3590 < (relay.time.now().fromisoformat(second.at) - relay.time.now().fromisoformat(first.at)).total_seconds() < 3700


def test_while_the_circuit_breaker_is_open_the_events_wait(relay: Relay) -> None:
    lost_deletion(relay)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(10, 30))
    assert relay.advance(900, until=lambda: relay.status()["circuit_breaker"]["openings"] >= 5)
    order(relay)
    until = relay.status()["circuit_breaker"]["open_until"]
    assert relay.advance(600, until=lambda: relay.status()["circuit_breaker"]["state"] != "open")
    assert state(relay) == "begun" and all(attempt.at >= until[:19] for attempt in resync_events(relay))
    relay.accept_all()
    assert relay.advance(hours=1, until=lambda: state(relay) == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


@pytest.mark.parametrize("how", ["refused", "switched off"])
def test_an_api_that_does_not_take_the_events_gets_the_rows_without(make_relay: Callable[..., Relay], how: str) -> None:
    off = how == "switched off"
    relay = make_relay(ON_ORDER.replace("[targets.headers]", "resync_events = false\n[targets.headers]") if off else ON_ORDER)
    lost_deletion(relay)
    relay.stack.downstream.add_rule(match={"operation": "resync-begun"}, status=422)
    before = len(relay.posts())
    order(relay)
    assert relay.advance(300, until=lambda: state(relay) == "completed")
    assert len(resync_events(relay, "begun")) == (0 if off else 1)
    assert resync_events(relay, "completed") == []
    assert {str(post.key) for post in relay.posts()[before:] if post.key} == {"{'OrderId': 2}", "{'OrderId': 3}"}
    said = relay.status()["resync"]["events"]["begun"]
    assert said == ("not sent: resync_events is false" if off else "HTTP 422")
    assert off or "does not take the events of a resync" in relay.host_log()


def test_an_api_that_refuses_the_event_of_the_end_is_not_asked_for_ever(relay: Relay) -> None:
    lost_deletion(relay)
    relay.stack.downstream.add_rule(match={"operation": "resync-completed"}, status=400)
    order(relay)
    assert relay.advance(300, until=lambda: state(relay) == "completed")
    assert relay.status()["resync"]["events"]["completed"] == "HTTP 400"
    assert "refused the event of the end of a resync" in relay.host_log()


def test_rows_that_are_given_up_keep_the_end_from_being_told_and_the_gap_on_record(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(DEAD_LETTERS)
    lost_deletion(relay, seen=False)
    relay.reject(2)
    assert relay.advance(hours=2, until=lambda: state(relay) == "incomplete"), relay.status()
    relay.advance(900)
    assert resync_events(relay, "completed") == []
    assert relay.accepted(1) is not None, "nothing is removed as long as a row that exists may be missing"
    assert relay.status()["gap"] is not None and relay.status()["resync"]["given_up"] == 1
    (notice,) = relay.alerts("resync")
    assert (notice["rows"], notice["relay"]) == (1, "dbo.Orders") and "order a resync again" in notice["text"]
    relay.advance(hours=8)
    assert len(relay.alerts("resync")) == 1 and state(relay) == "incomplete", "one gap is one resync"
    relay.accept_all()
    assert relay.stack.host is not None
    relay.stack.host.request("POST", "/api/relays/dbo.Orders/replay")
    assert relay.advance(900, until=lambda: relay.ledger() == [])
    assert resync_events(relay, "completed") == [] and relay.status()["gap"] is not None
    order(relay)
    assert relay.advance(900, until=lambda: state(relay) == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
    assert relay.status()["gap"] is None


def test_a_row_that_fails_since_long_before_is_waited_for_and_sent_under_the_version_of_the_resync(relay: Relay) -> None:
    relay.insert(1, 2, 3)
    relay.advance(30)
    relay.reject(2, status=500)
    relay.execute("UPDATE dbo.Orders SET Total = 8 WHERE OrderId = 2")
    assert relay.advance(hours=2, until=lambda: any(record[1] == "held" for record in relay.ledger()))
    order(relay)
    relay.advance(120)
    assert state(relay) == "settling" and relay.status()["resync"]["rows_left"] == 1
    relay.advance(hours=1)
    assert resync_events(relay, "completed") == []
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: state(relay) == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_a_row_in_the_hands_of_the_trigger_is_sent_again_under_the_version_of_the_resync(relay: Relay) -> None:
    relay.insert(1, 2, 3)
    relay.advance(30)
    relay.stack.downstream.set_mode("slow", path="/rows", seconds=3)
    relay.execute("UPDATE dbo.Orders SET Total = 8 WHERE OrderId = 2")
    relay.advance(2)
    order(relay)
    relay.advance(20)
    relay.accept_all()
    assert relay.advance(hours=1, until=lambda: state(relay) == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_a_row_that_a_resync_has_raised_is_not_handed_out_again_under_its_older_version(relay: Relay) -> None:
    relay.insert(1, 2, 3)
    relay.advance(30)
    relay.stack.downstream.set_mode("slow", path="/rows", seconds=20)
    relay.execute("UPDATE dbo.Orders SET Total = 8 WHERE OrderId = 2")
    assert relay.advance(60, until=lambda: [row[1] for row in relay.ledger()] == ["retrying"])
    relay.accept_all()
    order(relay)
    release = r"_az_func_AttemptCount\]? = 0, \[?_az_func_LeaseExpirationTime\]? = NULL"
    relay.stack.sql.inject(action="drop_before", pattern=release, application="functions-host", times=None)
    assert relay.advance(300, until=lambda: relay.ledger() == [])  # the raised row is delivered, by the trigger's batch
    raised = relay.posts(2)[-1].version or 0
    relay.stack.sql.clear_faults()
    relay.restart()  # a crash between the settlement and the trigger's release
    assert relay.advance(hours=1, until=lambda: state(relay) == "completed")
    relay.advance(300)
    versions = [post.version or 0 for post in relay.posts(2)]
    assert versions == sorted(versions) and versions[-1] == raised


def test_a_choice_of_columns_and_unwatched_changes_meanwhile_remove_no_row(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG + 'watch = ["Total"]\n')
    relay.insert(*range(1, 700))
    assert relay.advance(900, until=lambda: len(relay.posts()) >= 699)
    relay.advance(400)
    host = relay.stack.host
    assert host is not None
    order(relay)
    assert relay.advance(60, until=lambda: bool(resync_events(relay, "begun")))
    for number in range(1, 20):
        relay.execute(f"UPDATE dbo.Orders SET Secret = N'other' WHERE OrderId IN ({number}, {680 - number})")  # unwatched
        relay.advance(1)
    assert host.request("PUT", "/api/relays/dbo.Orders/columns", json={"columns": ["Total"]}).status_code == 202
    assert relay.advance(900, until=lambda: state(relay) == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)


def test_an_outage_that_is_longer_than_the_window_delays_a_resync_and_no_more(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(window='"2h"', max_delay='"30m"'))
    lost_deletion(relay)
    relay.stack.downstream.set_mode("down", path="/rows")
    order(relay)
    relay.advance(hours=5)  # longer than the window: the API is told of nothing that would be dead by now
    assert state(relay) == "begun"
    relay.accept_all()
    assert relay.advance(hours=1, until=lambda: state(relay) == "completed")
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
