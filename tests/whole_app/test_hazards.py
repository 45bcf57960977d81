"""The hazard variants of the SQL trigger, a to f: with a naive counter reset each loses rows (test_sql_trigger_hazards.py shows
it on the same listener); with Rowpost each row arrives."""

from __future__ import annotations

import threading
from collections.abc import Callable

from devtools.stack import ROOT
from emulators.launch import FunctionsHost
from tests.harness.running_relay import LEASES, Relay, changed_config

MINUTE = 60


def exhaust(relay: Relay) -> None:
    """Let the built-in attempts of what is failing go by: five hand-outs, a minute apart."""
    relay.advance(6 * MINUTE)


def test_a_poison_row_survives_the_success_of_later_rows(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    exhaust(relay)
    for later in range(2, 6):  # each success would sweep a row that had reached five hand-outs
        relay.insert(later)
        relay.advance(2 * MINUTE)
        assert relay.accepted(later)
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.accepted(1) is not None)


def test_b_healthy_neighbours_of_a_poison_row_arrive_at_once_and_once(relay: Relay) -> None:
    relay.reject(5)
    relay.insert(*range(1, 11))
    relay.advance(30)
    assert [order for order in range(1, 11) if relay.accepted(order)] == [1, 2, 3, 4, 6, 7, 8, 9, 10]
    exhaust(relay)
    relay.insert(11)
    relay.advance(hours=1)
    assert all(len(relay.posts(order)) == 1 for order in range(1, 12) if order != 5)
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.accepted(5) is not None)


def test_c_the_last_built_in_attempt_in_flight_is_still_counted_as_unprocessed(relay: Relay) -> None:
    """At the fifth hand-out the trigger stops counting the row, so that another worker's success would sweep it. Rowpost never
    lets the count stand at five while the post is under way."""
    counts: list[int] = []
    relay.reject(1)
    relay.insert(1)
    relay.advance(5)
    watched = threading.Event()

    def watch() -> None:
        connection = relay.stack.sql.connect(application="watcher")
        for attempt in range(2, 6):
            relay.stack.downstream.wait_for(lambda n=attempt: len(relay.posts(1)) >= n, 60)  # type: ignore[misc]
            counts.append(connection.execute(f"SELECT MAX(_az_func_AttemptCount) FROM {LEASES}").fetchone()[0])
        connection.close()
        watched.set()

    relay.stack.downstream.set_mode(
        "slow", seconds=0.5, path="/rows"
    )  # the answer waits in real time, so the look happens while the post is in flight
    threading.Thread(target=watch, daemon=True).start()
    exhaust(relay)
    assert watched.wait(30)
    assert len(counts) == 4
    assert max(counts) < 5
    relay.stack.downstream.set_mode("up")
    relay.insert(2)  # and so no success of another row, by whatever worker, passes it
    relay.advance(10 * MINUTE)
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.accepted(1) is not None)


def test_c_two_workers_deliver_what_fails_on_one_of_them(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    second = FunctionsHost(ROOT, relay.directory, relay.time.spec, relay.stack.settings, name="second_host").start()
    try:
        relay.reject(3)
        relay.insert(1, 2, 3)
        exhaust(relay)
        relay.insert(*range(4, 300))
        relay.advance(5 * MINUTE)
        assert all(relay.accepted(order) for order in range(4, 300))
        relay.accept_all()
        assert relay.advance(hours=2, until=lambda: relay.accepted(3) is not None)
    finally:
        second.stop()


def test_d_an_exhausted_row_that_changes_again_arrives_in_its_newest_state(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    exhaust(relay)
    relay.execute("UPDATE dbo.Orders SET Total = 77 WHERE OrderId = 1")
    relay.insert(2)
    relay.advance(10 * MINUTE)
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.accepted(1) is not None)
    row = relay.accepted(1)
    assert row is not None
    assert row["Total"] == "77.0000"


def test_e_an_exhausted_row_that_is_deleted_arrives_as_a_deletion(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    assert relay.accepted(1)
    relay.reject(1)
    relay.execute("UPDATE dbo.Orders SET Total = 77 WHERE OrderId = 1")
    exhaust(relay)
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 1")
    relay.insert(2)
    relay.advance(10 * MINUTE)
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.accepted(1) is None)


def test_f_rows_that_were_failing_arrive_although_the_cursor_jumped_over_them(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(window='"12h"'))
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1, 2)
    exhaust(relay)
    relay.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 30 MINUTES)")
    relay.advance(hours=4)  # the clean-up passes the versions of the failing rows
    relay.stack.downstream.set_mode("up")
    relay.insert(3)
    assert relay.advance(hours=3, until=lambda: all(relay.accepted(order) for order in (1, 2, 3)))
    relay.advance(hours=1)
    assert relay.ledger() == []
