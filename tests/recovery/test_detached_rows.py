"""Rows that have failed for long let the trigger's cursor pass: recovery alone goes on with them, and none is lost."""

from __future__ import annotations

from collections.abc import Callable

from tests.harness.running_relay import Relay


def cursor(relay: Relay) -> int:
    ((version,),) = relay.execute("SELECT MIN(LastSyncVersion) FROM az_func.GlobalState")
    return int(version)


def test_rows_that_fail_for_long_let_the_cursor_pass_and_are_not_lost(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(60)
    relay.insert(2)
    version = cursor(relay)
    assert relay.advance(hours=1, until=lambda: relay.status()["detached"] == 1)
    relay.insert(3)
    relay.advance(30)
    assert cursor(relay) > version
    assert relay.status()["pending"] == 0
    ((rounds,),) = relay.execute("SELECT Rounds FROM rowpost.Ledger")
    assert rounds == 6  # after five rounds it is planned for the sixth without a lease
    before = len(relay.posts(1))
    relay.advance(hours=2)
    assert len(relay.posts(1)) > before  # still on its schedule
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.accepted(1) is not None)
    assert relay.advance(60, until=lambda: relay.ledger() == [])


def test_a_detached_row_that_changes_is_tried_at_once(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=2, until=lambda: relay.status()["detached"] == 1)
    relay.accept_all()
    relay.execute("UPDATE dbo.Orders SET Total = 99 WHERE OrderId = 1")
    assert relay.advance(10, until=lambda: (relay.accepted(1) or {}).get("Total") == "99.0000")
    assert relay.ledger() == []


def test_detached_rows_survive_a_kill(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=2, until=lambda: relay.status()["detached"] == 1)
    assert relay.stack.host is not None
    relay.stack.host.kill()
    relay.accept_all()
    relay.advance(hours=3)
    relay.stack.host.start()
    assert relay.advance(600, until=lambda: relay.accepted(1) is not None)


def test_a_gate_that_has_just_closed_makes_no_hot_loop_of_detached_rows(relay: Relay) -> None:
    relay.reject(1, status=500)
    relay.insert(1)
    assert relay.advance(hours=3, until=lambda: relay.status()["detached"] == 1)
    relay.insert(2)
    relay.advance(10)
    ((wait,),) = relay.execute("SELECT DATEDIFF(second, SYSUTCDATETIME(), NextAttempt) FROM rowpost.Ledger")
    relay.advance(wait - 20)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(100, 120))
    relay.advance(5)
    before = relay.host_log().count("[redeliver_relay] Executing")
    relay.advance(120)
    assert relay.host_log().count("[redeliver_relay] Executing") - before <= 10
