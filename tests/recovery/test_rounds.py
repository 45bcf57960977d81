"""After the built-in attempts: rounds with growing delays, notices, dead letters, and what an operator can do."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from itertools import pairwise

from tests.harness.running_relay import Relay, changed_config


def minutes_between(relay: Relay, order: int) -> list[int]:
    instants = [datetime.fromisoformat(attempt.at) for attempt in relay.posts(order)]
    return [round((later - earlier) / timedelta(minutes=1)) for earlier, later in pairwise(instants)]


def test_rounds_follow_five_attempts_a_minute_apart_with_growing_delays(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=5)
    gaps = minutes_between(relay, 1)
    assert gaps[:4] == [1, 1, 1, 1]
    assert gaps[4:] == [1, 2, 4, 8, 16, 32, 60, 60, 60][: len(gaps) - 4]
    assert len(gaps) >= 11


def test_a_fixed_strategy_keeps_its_delay(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"1h"\nstrategy = "fixed"\nfirst_delay = "10m"\nattempts = 2'))
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    assert minutes_between(relay, 1) == [1, 10, 10, 10, 10, 10]


def test_one_alarm_after_the_configured_rounds_and_one_recovered_notice(relay: Relay) -> None:
    relay.stack.downstream.add_rule(match={"path": "/rows"}, status=503)
    relay.insert(*range(1, 21))
    relay.advance(7 * 60)  # five attempts and two rounds
    assert relay.alerts() == []
    relay.advance(hours=6)
    (alarm,) = relay.alerts()
    assert (alarm["kind"], alarm["relay"], alarm["rows"], alarm["round"]) == ("alarm", "dbo.Orders", 20, 3)
    assert alarm["last_error"]
    relay.accept_all()
    relay.advance(hours=2)
    assert all(relay.accepted(order) for order in range(1, 21))
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm", "recovered"]
    assert relay.ledger() == []
    assert relay.status()["recovery"]["status"] == "Completed"


def test_no_notice_when_the_outage_ends_before_the_alarm(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(6 * 60)
    relay.stack.downstream.set_mode("up")
    relay.advance(hours=1)
    assert relay.accepted(1)
    assert relay.alerts() == []


def test_a_row_that_fails_for_the_whole_window_becomes_a_dead_letter_and_can_be_replayed(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1, 2)
    relay.advance(hours=13)
    assert [row[1] for row in relay.ledger()] == ["dead"]
    posts = len(relay.posts(1))
    relay.advance(hours=5)
    assert len(relay.posts(1)) == posts
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm", "dead_letter", "recovered"]
    (letter,) = relay.get("/api/relays/dbo.Orders/rows?state=dead")["rows"]
    assert (letter["key"], letter["last_status"], letter["operation"]) == ({"OrderId": 1}, 422, "upsert")
    assert "customer" not in str(letter)
    relay.accept_all()
    answer = relay.stack.host.request("POST", "/api/relays/dbo.Orders/replay")  # type: ignore[union-attr]
    assert (answer.status_code, answer.json()["rows"]) == (202, 1)
    relay.advance(hours=1)
    assert relay.accepted(1)
    assert relay.ledger() == []


def test_the_cursor_passes_a_dead_row_and_a_later_change_of_it_gets_a_new_chance(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=13)
    relay.insert(2)
    relay.insert(3)
    relay.advance(60)
    ((cursor,),) = relay.execute("SELECT MAX(LastSyncVersion) FROM az_func.GlobalState")
    assert cursor >= 2
    relay.accept_all()
    relay.execute("UPDATE dbo.Orders SET Total = 5 WHERE OrderId = 1")
    relay.advance(60)
    row = relay.accepted(1)
    assert row is not None
    assert row["Total"] == "5.0000"
    assert relay.ledger() == []


def test_rejected_rows_can_go_to_the_dead_letters_after_the_built_in_attempts(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"1h"\nrejected = "dead_letter"'))
    relay.reject(1)
    relay.insert(1, 2)
    relay.advance(10 * 60)
    assert [(row[1], row[2]) for row in relay.ledger()] == [("dead", 5)]
    assert len(relay.posts(1)) == 5
    assert [notice["kind"] for notice in relay.alerts()] == ["dead_letter"]


def test_retry_after_extends_the_wait(relay: Relay) -> None:
    relay.stack.downstream.add_rule(match={"key": {"OrderId": 1}}, status=429, retry_after=1800, times=1)
    relay.insert(1)
    relay.advance(hours=1)
    assert minutes_between(relay, 1) == [30]
    assert relay.accepted(1)


def test_recovery_keeps_its_history_short_and_ends_with_nothing_open(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=11)
    status = relay.get(f"{relay.recovery()}?showHistory=true")
    assert status["runtimeStatus"] == "Running"
    assert len(status["historyEvents"]) < 12
    assert status["customStatus"]["round"] >= 10
    relay.accept_all()
    relay.advance(hours=2)
    assert relay.get(relay.recovery())["runtimeStatus"] == "Completed"


def test_status_tells_what_waits_and_why(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1, 2)
    relay.advance(10)
    status = relay.status()
    assert (status["retrying"], status["held"], status["dead"], status["last_status"]) == (1, 0, 0, 422)
    relay.advance(hours=2)
    status = relay.status()
    assert (status["waiting"], status["pending"], status["retrying"], status["detached"], status["dead"]) == (1, 0, 0, 1, 0)
    assert status["round"] >= 5
    assert status["next_attempt"] > relay.time.now().isoformat()[:19]
    assert status["last_error"] == "HTTP 422"
    assert status["recovery"] == {"instance": relay.recovery().rpartition("/")[2], "status": "Running"}


def test_finished_orchestrations_are_removed_after_the_configured_time(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(schedule='"0 0 * * * *"\nhistory = "2d"\nhistory_schedule = "0 0 3 * * *"'))
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(1)
    relay.advance(hours=4)
    relay.stack.downstream.set_mode("up")
    relay.advance(hours=3)
    assert len(relay.get("/runtime/webhooks/durabletask/instances")) >= 2
    relay.advance(hours=24 * 4)
    left = [each["name"] for each in relay.get("/runtime/webhooks/durabletask/instances")]
    assert [name for name in left if not name.startswith("@")] == []  # an entity has no end
