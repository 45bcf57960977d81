"""The process may end at any instant, the database may go away, a lease may be lost: the rows arrive all the same."""

from __future__ import annotations

import threading

import pytest

from tests.harness.running_relay import LEASES, Relay


def kill_when_posting(relay: Relay) -> threading.Thread:
    """Kill the host with SIGKILL as soon as one more post reaches the API."""
    host, api = relay.stack.host, relay.stack.downstream
    assert host is not None
    seen = api.counters()["requests"]

    def strike() -> None:
        api.wait_for(lambda: api.counters()["requests"] > seen, 60)
        host.kill()

    thread = threading.Thread(target=strike)
    thread.start()
    return thread


@pytest.mark.parametrize("mode", ["up", "down"])
def test_a_host_killed_in_the_middle_of_a_batch_loses_nothing(relay: Relay, mode: str) -> None:
    relay.insert(0)
    relay.advance(5)
    relay.stack.downstream.set_mode(mode, path="/rows")
    killer = kill_when_posting(relay)
    relay.insert(*range(1, 60))
    relay.advance(30)
    killer.join()
    relay.stack.downstream.set_mode("up")
    relay.advance(hours=1)
    relay.stack.host.start()  # type: ignore[union-attr]
    assert relay.advance(hours=1, until=lambda: all(relay.accepted(order) for order in range(60)))
    relay.advance(hours=1)
    assert relay.ledger() == []


def test_recovery_goes_on_after_a_kill_without_any_step_by_the_user(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1, 2, 3)
    relay.advance(hours=2)
    relay.stack.host.kill()  # type: ignore[union-attr]
    relay.advance(hours=2)
    relay.stack.host.start()  # type: ignore[union-attr]
    relay.advance(hours=2)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: all(relay.accepted(order) for order in (1, 2, 3)))
    relay.advance(hours=1)
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm", "recovered"]


def test_the_watchdog_restarts_a_recovery_that_is_gone(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    instance = relay.recovery()
    assert relay.stack.host.request("POST", f"{instance}/terminate?reason=gone").status_code == 202  # type: ignore[union-attr]
    relay.advance(1)
    assert relay.get(instance)["runtimeStatus"] == "Terminated"
    relay.advance(6 * 60)
    assert relay.recovery() != instance, "no id is used twice"
    assert relay.get(relay.recovery())["runtimeStatus"] == "Running"


def test_rows_handed_out_again_and_again_without_an_outcome_are_adopted(relay: Relay) -> None:
    """As after a crash loop: the count rises, nobody settles. The watchdog takes the row, recovery delivers it."""
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(5)
    relay.execute("DELETE FROM rowpost.Ledger")
    relay.execute(f"UPDATE {LEASES} SET _az_func_AttemptCount = 5, _az_func_LeaseExpirationTime = SYSDATETIME()")
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=1, until=lambda: relay.accepted(1) is not None)
    relay.advance(60)
    assert relay.ledger() == []


def test_a_row_whose_lease_is_gone_is_redelivered_from_the_ledger(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(hours=1)
    relay.execute(f"DELETE FROM {LEASES}")
    relay.execute("UPDATE az_func.GlobalState SET LastSyncVersion = CHANGE_TRACKING_CURRENT_VERSION()")
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: relay.accepted(1) is not None)
    relay.advance(60)
    assert relay.ledger() == []


def test_an_orphaned_row_keeps_its_rounds_and_its_window(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    relay.execute(f"DELETE FROM {LEASES}")
    relay.execute("UPDATE az_func.GlobalState SET LastSyncVersion = CHANGE_TRACKING_CURRENT_VERSION()")
    before = len(relay.posts(1))
    relay.advance(hours=5)
    assert 4 <= len(relay.posts(1)) - before <= 6
    relay.advance(hours=7)
    assert [row[1] for row in relay.ledger()] == ["dead"]


def test_a_hold_that_was_overtaken_by_a_renewal_is_restored(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=2)
    posts = len(relay.posts(1))
    held = relay.status()["next_attempt"]
    relay.execute(f"UPDATE {LEASES} SET _az_func_LeaseExpirationTime = SYSDATETIME()")
    relay.advance(60)
    assert len(relay.posts(1)) == posts
    assert relay.status()["next_attempt"] == held
    relay.insert(2)
    relay.advance(hours=2)
    assert relay.accepted(2)
    assert len(relay.posts(1)) > posts


@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
@pytest.mark.parametrize("pattern", ["OPENJSON\\(@keys\\)", "rowpost.Ledger"])
def test_a_connection_lost_at_any_statement_of_the_app_loses_nothing(relay: Relay, action: str, pattern: str) -> None:
    relay.insert(0)
    relay.advance(5)
    relay.reject(3, times=2)
    relay.stack.sql.inject(pattern=pattern, application="rowpost", action=action, times=4)
    relay.insert(1, 2, 3)
    assert relay.advance(hours=1, until=lambda: all(relay.accepted(order) for order in (1, 2, 3)))
    relay.advance(hours=1)
    assert relay.ledger() == []


@pytest.mark.parametrize("number", [1205, 40613, 10928])
def test_an_error_of_the_database_loses_nothing(relay: Relay, number: int) -> None:
    relay.insert(0)
    relay.advance(5)
    relay.reject(3, times=2)
    relay.stack.sql.inject(pattern=None, application="rowpost", action="error", number=number, times=6)
    relay.insert(1, 2, 3)
    assert relay.advance(hours=1, until=lambda: all(relay.accepted(order) for order in (1, 2, 3)))


def test_an_accepted_post_whose_answer_was_lost_is_repeated_with_the_same_key(relay: Relay) -> None:
    relay.stack.downstream.add_rule(match={"key": {"OrderId": 1}}, status=200, accept=True, answer="reset_after_accept", times=1)
    relay.insert(1)
    relay.advance(5 * 60)
    first, *repeats = relay.posts(1)
    assert repeats
    assert {attempt.headers["Idempotency-Key"] for attempt in repeats} == {first.headers["Idempotency-Key"]}
    assert relay.stack.downstream.counters()["stale"] == 0
