"""A resync goes on after whatever ends a step, or lets two make it: its position is in the database, and nothing else is asked."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from rowpost.app import App, load_app
from rowpost.operations.resync import Order, next_resync, order_resync, resync_step, take_on
from rowpost.recovery.redeliver import redeliver
from tests.harness.consumer import orders_at_the_consumer, orders_in_the_table, resync_events
from tests.harness.running_relay import CONFIG, Relay

STEPS = ["start_resync", "look_at_resync", "begin_resync", "move_resync", "resync_first_page", "queue_page", "end_resync"]
ADDRESS = "/api/relays/dbo.Orders/resync"


@pytest.fixture
def relay(make_relay: Callable[..., Relay]) -> Relay:
    """A relay whose resyncs are ordered by an operator alone."""
    return make_relay(CONFIG.replace('table = "dbo.Orders"', 'table = "dbo.Orders"\non_gap = "notify"'))


def lost_deletions(relay: Relay, count: int = 700) -> None:
    """Rows, of which some go without a word. The watchdog has seen that their tracking began anew: it is another epoch."""
    for first in range(1, count + 1, 900):
        relay.insert(*range(first, min(first + 900, count + 1)))
    assert relay.advance(hours=1, until=lambda: len({post.event_id for post in relay.posts()}) >= count)
    relay.advance(30)
    relay.execute("ALTER TABLE dbo.Orders DISABLE CHANGE_TRACKING")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId % 10 = 0")
    relay.execute("UPDATE dbo.Orders SET Total = 4 WHERE OrderId % 10 = 1")
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    relay.advance(660)


def order(relay: Relay) -> dict[str, Any]:
    assert relay.stack.host is not None
    answer = relay.stack.host.request("POST", ADDRESS)
    assert answer.status_code == 202
    found: dict[str, Any] = answer.json()
    return found


def completed(relay: Relay) -> bool:
    return (relay.status()["resync"] or {}).get("state") == "completed"


def whole(relay: Relay) -> None:
    relay.advance(10)
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
    assert len({attempt.event_id for attempt in resync_events(relay, "begun")}) == 1
    assert len({attempt.event_id for attempt in resync_events(relay, "completed")}) == 1


@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
@pytest.mark.parametrize("step", STEPS)
def test_a_connection_that_is_lost_at_any_step_costs_a_repetition(relay: Relay, step: str, action: str) -> None:
    lost_deletions(relay, 40)
    relay.stack.sql.inject(action=action, pattern=f"rowpost: {step}.sql", application="rowpost", times=3)
    order(relay)
    assert relay.advance(hours=1, until=lambda: completed(relay)), relay.status()["resync"]
    whole(relay)
    assert relay.status()["resync"]["rows_queued"] == 36


@pytest.mark.parametrize("step", [step for step in STEPS if step != "start_resync"])
def test_a_host_that_is_killed_at_any_step_goes_on_when_it_is_back(relay: Relay, step: str) -> None:
    lost_deletions(relay)
    host = relay.stack.host
    assert host is not None
    relay.stack.sql.inject(action="delay", seconds=0.5, pattern=f"rowpost: {step}.sql", application="rowpost", times=1)
    order(relay)
    relay.advance(3 if step != "end_resync" else 120)
    host.kill()
    relay.advance(5)
    host.start()
    assert relay.advance(hours=2, until=lambda: completed(relay)), relay.status()["resync"]
    whole(relay)
    assert relay.status()["resync"]["rows_queued"] == 630


def test_two_thousand_rows_go_in_pages_and_through_kills(relay: Relay) -> None:
    lost_deletions(relay, 2000)
    host = relay.stack.host
    assert host is not None
    order(relay)
    for _ in range(4):
        relay.advance(12)
        host.kill()
        relay.advance(3)
        host.start()
    most = 0

    def done() -> bool:
        nonlocal most
        most = max(most, len(relay.ledger()))
        return completed(relay)

    assert relay.advance(hours=3, until=done)
    whole(relay)
    assert relay.status()["resync"]["rows_queued"] == 1800 and most <= 1500


def test_an_orchestration_that_is_suspended_is_replaced_by_another_one(relay: Relay) -> None:
    lost_deletions(relay, 40)
    relay.stack.downstream.add_rule(match={"operation": "resync-begun"}, status=503)
    order(relay)
    relay.advance(5)
    host = relay.stack.host
    assert host is not None
    ((resync,),) = relay.execute("SELECT Resync FROM rowpost.Resyncs")
    first = f"/runtime/webhooks/durabletask/instances/resync-dbo_Orders-{resync}-s1"
    assert host.request("POST", f"{first}/suspend?reason=tried").status_code in (200, 202)
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: completed(relay))
    whole(relay)
    assert host.request("POST", f"{first}/resume?reason=tried").status_code in (200, 202)
    assert relay.advance(600, until=lambda: relay.get(first)["runtimeStatus"] == "Completed"), "it finds that it is over"


def test_an_orchestration_that_is_gone_is_started_anew(relay: Relay) -> None:
    lost_deletions(relay, 40)
    relay.stack.downstream.add_rule(match={"operation": "resync-begun"}, status=503)
    order(relay)
    relay.advance(5)
    host = relay.stack.host
    assert host is not None
    ((resync,),) = relay.execute("SELECT Resync FROM rowpost.Resyncs")
    first = f"/runtime/webhooks/durabletask/instances/resync-dbo_Orders-{resync}-s1"
    host.request("POST", f"{first}/terminate?reason=tried")
    relay.advance(5)
    host.request("DELETE", first)
    relay.accept_all()
    assert relay.advance(1200, until=lambda: completed(relay))
    whole(relay)


def test_an_order_stands_though_storage_is_away_and_the_watchdog_starts_it(relay: Relay) -> None:
    lost_deletions(relay, 40)
    (file,) = relay.directory.rglob("durable.sqlite")
    storage = sqlite3.connect(file, isolation_level=None)
    storage.execute("BEGIN IMMEDIATE")
    answer = order(relay)
    assert (answer["resync"], answer["started"]) == ("ordered", False)
    storage.execute("ROLLBACK")
    storage.close()
    assert states(relay) == ["ordered"]
    assert relay.advance(1200, until=lambda: completed(relay))
    whole(relay)


def test_an_order_is_cancelled_though_storage_is_away(relay: Relay) -> None:
    lost_deletions(relay, 40)
    host = relay.stack.host
    assert host is not None
    relay.stack.downstream.add_rule(match={"operation": "resync-begun"}, status=503)
    order(relay)
    relay.advance(5)
    (file,) = relay.directory.rglob("durable.sqlite")
    storage = sqlite3.connect(file, isolation_level=None)
    storage.execute("BEGIN IMMEDIATE")
    assert host.request("DELETE", ADDRESS).json()["resync"] == "cancelled"
    storage.execute("ROLLBACK")
    storage.close()
    relay.accept_all()
    relay.advance(600)
    assert relay.status()["resync"]["state"] == "cancelled"
    assert [post for post in resync_events(relay) if post.status == 202] == []
    assert host.request("DELETE", ADDRESS).status_code == 404


# --- without orchestrations: the steps themselves ---


@pytest.fixture
def app(relay: Relay, monkeypatch: pytest.MonkeyPatch) -> App:
    """The app in this process, beside a database that is ready; its host is gone."""
    lost_deletions(relay)
    assert relay.stack.host is not None
    relay.stack.host.kill()
    monkeypatch.setenv("ODBC_DRIVER", relay.stack.settings["ODBC_DRIVER"])
    return load_app(relay.directory, relay.stack.settings)


def started(app: App) -> Order:
    assert order_resync(app, "dbo.Orders", "tried")
    found = next_resync(app, "dbo.Orders")
    assert found is not None and take_on(app, "dbo.Orders", found)
    return found


def states(relay: Relay) -> list[str]:
    return [state for (state,) in relay.execute("SELECT State FROM rowpost.Resyncs ORDER BY OrderedAt")]


def test_two_workers_at_once_make_each_step_once(relay: Relay, app: App) -> None:
    resync = started(app).resync
    other = load_app(relay.directory, relay.stack.settings)

    def work(worker: App) -> None:
        for _ in range(100):
            if resync_step(worker, "dbo.Orders", resync, 1).over:
                return
            redeliver(worker, "dbo.Orders")

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(work, [app, other])) == [None, None]
    assert states(relay) == ["completed"]
    assert [tuple(row) for row in relay.execute("SELECT Queued, Pages FROM rowpost.Resyncs")] == [(630, 2)]
    assert relay.ledger() == []
    whole(relay)


def test_who_was_replaced_makes_no_step_any_more(relay: Relay, app: App) -> None:
    first = started(app)
    assert not resync_step(app, "dbo.Orders", first.resync, 1).over
    second = next_resync(app, "dbo.Orders")
    assert second is not None and take_on(app, "dbo.Orders", second) and not take_on(app, "dbo.Orders", first)
    assert resync_step(app, "dbo.Orders", first.resync, 1).over
    assert not resync_step(app, "dbo.Orders", first.resync, 2).over
    assert resync_step(app, "dbo.Orders", "another", 1).over


def test_orders_that_mean_the_same_are_one(relay: Relay, app: App) -> None:
    ((version,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    with ThreadPoolExecutor(4) as pool:
        added = list(pool.map(lambda number: order_resync(app, "dbo.Orders", str(number)), range(8)))
    assert sum(added) == 1
    running = next_resync(app, "dbo.Orders")
    assert running is not None and take_on(app, "dbo.Orders", running)
    resync_step(app, "dbo.Orders", running.resync, 1)
    assert not order_resync(app, "dbo.Orders", "by an operator", alone=True)
    assert not order_resync(app, "dbo.Orders", "an older gap", gap=version)
    ((since,),) = relay.execute("SELECT Since FROM rowpost.Resyncs")
    assert order_resync(app, "dbo.Orders", "a gap that is newer", gap=since)
    assert not order_resync(app, "dbo.Orders", "and one more", gap=since + 5)
    assert states(relay) == ["begun", "ordered"]


def test_a_gap_of_a_resync_that_was_cancelled_orders_no_other_one(relay: Relay, app: App) -> None:
    ((version,),) = relay.execute("SELECT CHANGE_TRACKING_CURRENT_VERSION()")
    assert order_resync(app, "dbo.Orders", "a gap", gap=version)
    relay.execute("UPDATE rowpost.Resyncs SET State = 'cancelled'")
    assert not order_resync(app, "dbo.Orders", "the same gap", gap=version)
    assert order_resync(app, "dbo.Orders", "a later gap", gap=version + 1)


def test_a_resync_does_not_begin_before_the_version_of_the_database_moves(relay: Relay, app: App) -> None:
    relay.execute("ALTER TABLE rowpost.Ticks DISABLE CHANGE_TRACKING")
    former = started(app).resync
    resync_step(app, "dbo.Orders", former, 1)
    assert states(relay) == ["begun"], "the first one needs no new version"
    relay.execute("UPDATE rowpost.Resyncs SET State = 'completed'")
    resync = started(app).resync
    assert resync_step(app, "dbo.Orders", resync, 1).pause_seconds > 0
    ((state, problem),) = relay.execute("SELECT State, Problem FROM rowpost.Resyncs WHERE Resync <> ?", former)
    assert state == "ordered" and "run python infra/prepare_database.py" in problem
    relay.stack.tables_sql = None
    relay.stack.prepare()
    resync_step(app, "dbo.Orders", resync, 1)
    assert sorted(states(relay)) == ["begun", "completed"]


def test_a_table_that_the_app_does_not_see_whole_is_not_told_as_complete(relay: Relay, app: App) -> None:
    resync = started(app).resync
    for _ in range(60):
        if not resync_step(app, "dbo.Orders", resync, 1).queued:
            redeliver(app, "dbo.Orders")
        if states(relay) == ["settling"]:
            break
    for _ in range(20):
        redeliver(app, "dbo.Orders")
    relay.execute("CREATE FUNCTION dbo.visible(@id int) RETURNS TABLE WITH SCHEMABINDING AS RETURN SELECT 1 AS one WHERE @id > 100")
    relay.execute("CREATE SECURITY POLICY dbo.hides ADD FILTER PREDICATE dbo.visible(OrderId) ON dbo.Orders WITH (STATE = ON)")
    assert not resync_step(app, "dbo.Orders", resync, 1).over
    assert "can hide rows" in relay.execute("SELECT Problem FROM rowpost.Resyncs")[0][0]
    assert resync_events(relay, "completed") == []
    relay.execute("DROP SECURITY POLICY dbo.hides")
    assert resync_step(app, "dbo.Orders", resync, 1).over and states(relay) == ["completed"]


def test_a_resync_whose_rows_take_long_gives_way_to_a_later_one(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG)
    lost_deletions(relay, 40)
    relay.reject(7, status=500)
    order(relay)
    assert relay.advance(600, until=lambda: relay.status()["resync"]["state"] == "settling")
    relay.advance(310)  # the watchdog has looked
    relay.execute("TRUNCATE TABLE dbo.Orders")
    relay.insert(2, 3)
    assert relay.advance(hours=3, until=lambda: completed(relay)), (relay.status(), relay.ledger(), states(relay))
    assert states(relay) == ["completed", "superseded", "completed"]
    relay.advance(10)
    assert orders_at_the_consumer(relay) == orders_in_the_table(relay)
