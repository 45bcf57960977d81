"""A paused relay posts nothing and loses nothing, however long the pause is; resumed, it delivers the newest state of each row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.change_retention import clean_up
from tests.harness.running_relay import CONFIG, LEASES, Relay, changed_config

ADDRESS = "/api/relays/dbo.Orders"


def say(relay: Relay, what: str, **options: Any) -> dict[str, Any]:
    assert relay.stack.host is not None
    answer = relay.stack.host.request("POST", f"{ADDRESS}/{what}", **options)
    assert answer.status_code in (200, 202), answer.text
    document: dict[str, Any] = answer.json()
    return document


def states(relay: Relay) -> dict[str, str]:
    return {row[0]: row[1] for row in relay.ledger()}


def test_nothing_is_posted_while_it_is_paused_and_everything_arrives_after_that(relay: Relay) -> None:
    relay.insert(1, 2, 3)
    relay.advance(20)
    say(relay, "pause")
    before = len(relay.posts())
    relay.insert(4)
    relay.execute("UPDATE dbo.Orders SET Total = 2 WHERE OrderId = 2")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 3")
    relay.advance(hours=1)
    relay.execute("UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 2")
    relay.advance(hours=1)
    assert len(relay.posts()) == before
    assert set(states(relay).values()) == {"detached"} and len(relay.ledger()) == 3
    status = relay.status()
    assert status["waiting"] == status["detached"] == 3 and status["paused"]["since"].startswith("2026-03-02T06")
    say(relay, "resume")
    assert relay.advance(60, until=lambda: not relay.ledger())
    assert relay.accepted(2) == {"OrderId": 2, "Customer": "customer 2", "Total": "3.0000", "Secret": "hidden 2"}
    assert relay.accepted(4) is not None
    assert relay.stack.downstream.find("dbo.Orders", {"OrderId": 3}).operation == "delete"  # type: ignore[union-attr]
    assert relay.status()["paused"] is None
    assert not relay.alerts()


def test_the_cursor_of_the_trigger_goes_on_and_no_lease_is_held(relay: Relay) -> None:
    say(relay, "pause")
    relay.insert(*range(1, 51))
    relay.advance(60)
    relay.insert(*range(51, 101))
    relay.advance(120)
    assert relay.status()["detached"] == 100
    assert relay.execute(f"SELECT COUNT(*) FROM {LEASES} WHERE _az_func_LeaseExpirationTime IS NOT NULL")[0][0] == 0
    cursor, current = relay.execute("SELECT LastSyncVersion, CHANGE_TRACKING_CURRENT_VERSION() FROM az_func.GlobalState")[0]
    assert cursor == current


def test_a_pause_may_last_longer_than_the_window_and_the_change_retention(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(window='"1h"', max_delay='"10m"'))
    relay.insert(1, 2)
    relay.advance(20)
    relay.reject(2)
    say(relay, "pause")
    relay.execute("UPDATE dbo.Orders SET Total = 7")
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 1")
    relay.advance(600)
    clean_up(relay)
    relay.advance(hours=2)
    assert set(states(relay).values()) == {"detached"} and not relay.alerts()
    say(relay, "resume")
    assert relay.advance(60, until=lambda: relay.accepted(1) is None)
    relay.advance(3300)
    assert [row[0] for row in relay.ledger()] == ['{"OrderId":2}'] and states(relay)['{"OrderId":2}'] != "dead", "a new window"
    assert relay.advance(900, until=lambda: set(states(relay).values()) == {"dead"})


def test_rows_that_were_failing_wait_too_and_are_due_at_once_after_that(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=1, until=lambda: states(relay) == {'{"OrderId":1}': "held"})
    say(relay, "pause")
    relay.accept_all()
    before, attempts = len(relay.posts()), relay.ledger()[0][2]
    relay.advance(hours=1)
    assert len(relay.posts()) == before and relay.ledger()[0][2] == attempts
    say(relay, "resume")
    assert relay.advance(15, until=lambda: relay.accepted(1) is not None)


def test_no_alarm_for_the_time_of_the_pause(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG.replace("after_rounds = 3", 'after_rounds = 30\nafter = "1h"'))
    say(relay, "pause")
    relay.insert(1)
    relay.advance(hours=3)
    relay.reject(1)
    say(relay, "resume")
    relay.advance(3000)
    assert not relay.alerts("alarm")
    assert relay.advance(hours=1, until=lambda: bool(relay.alerts("alarm")))


def test_an_order_to_pause_or_resume_may_be_repeated(relay: Relay) -> None:
    first = say(relay, "pause", json={"reason": "maintenance"})
    relay.advance(100)
    assert say(relay, "pause") == first
    assert relay.status()["paused"] == {"since": relay.status()["paused"]["since"], "by": "anonymous", "reason": "maintenance"}
    assert say(relay, "resume")["paused"] is False
    again = say(relay, "resume")
    assert again["paused"] is False and again["rows"] == 0
    told = relay.execute("SELECT Action, Result FROM rowpost.Audit ORDER BY Id")
    assert [tuple(row) for row in told] == [
        ("pause", "done"),
        ("pause", "nothing to do"),
        ("resume", "done"),
        ("resume", "nothing to do"),
    ]


def test_people_are_told_once_a_day_of_a_pause_that_lasts(relay: Relay) -> None:
    say(relay, "pause")
    relay.insert(1)
    relay.advance(600)
    assert not relay.alerts()
    relay.execute("UPDATE rowpost.Relays SET PausedAt = DATEADD(day, -1, PausedAt)")
    relay.advance(660)
    (notice,) = relay.alerts()
    assert (notice["kind"], notice["rows"]) == ("paused", 1)
    say(relay, "resume")
    relay.advance(660)
    assert len(relay.alerts()) == 1


@pytest.mark.parametrize("fault", ["error", "drop_before"])
def test_a_lost_wake_up_is_made_good_by_the_watchdog(relay: Relay, fault: str) -> None:
    host = relay.stack.host
    assert host is not None
    say(relay, "pause")
    relay.insert(1)
    relay.advance(hours=1)
    host.add_durable_fault(fault)
    assert say(relay, "resume")["later"]
    host.clear_durable_faults()
    assert relay.advance(330, until=lambda: relay.accepted(1) is not None)


@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
@pytest.mark.parametrize("statement", ["pause", "resume"])
def test_a_lost_connection_costs_a_repetition(relay: Relay, statement: str, action: str) -> None:
    if statement == "resume":
        say(relay, "pause")
        relay.insert(1)
        relay.advance(10)
    relay.stack.sql.inject(action=action, pattern=f"rowpost: {statement}.sql", application="rowpost", times=2)
    assert say(relay, statement)["paused"] is (statement == "pause")
    assert relay.execute("SELECT COUNT(*) FROM rowpost.Audit WHERE Action = ?", statement)[0][0] == 1


def test_a_host_that_dies_between_the_claim_and_the_ledger_loses_no_row(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    say(relay, "pause")
    relay.stack.sql.inject(action="delay", seconds=0.5, pattern="rowpost: settle.sql", application="rowpost", times=1)
    relay.insert(1, 2)
    relay.advance(3)
    host.kill()
    relay.stack.start_host()
    assert relay.advance(200, until=lambda: len(relay.ledger()) == 2)
    assert not relay.posts()
    say(relay, "resume")
    assert relay.advance(30, until=lambda: relay.accepted(1) is not None and relay.accepted(2) is not None)


def test_a_resync_that_is_ordered_meanwhile_waits_for_the_end(relay: Relay) -> None:
    relay.insert(1, 2)
    relay.advance(20)
    say(relay, "pause")
    say(relay, "resync")
    before = len(relay.stack.downstream.attempts())
    relay.advance(hours=2)
    assert len(relay.stack.downstream.attempts()) == before
    assert relay.status()["resync"]["state"] == "ordered" and not relay.alerts()
    say(relay, "resume")
    assert relay.advance(700, until=lambda: relay.status()["resync"]["state"] == "completed")


def test_recovery_does_not_look_again_and_again_meanwhile(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(max_delay='"5m"'))
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    say(relay, "pause")
    relay.advance(700)
    for _ in range(2):
        ((minutes,),) = relay.execute("SELECT DATEDIFF(minute, SYSUTCDATETIME(), RecoveryDue) FROM rowpost.Relays")
        assert minutes >= 45, "it sleeps for an hour"
        relay.advance(hours=1)


def test_what_is_not_sent_is_not_sent_after_a_pause_either(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG.replace('table = "dbo.Orders"', 'table = "dbo.Orders"\nwatch = ["Total"]\nwhere = "Total < 100"'))
    relay.insert(1)
    relay.advance(400)
    before = len(relay.posts())
    say(relay, "pause")
    relay.execute("UPDATE dbo.Orders SET Secret = N'other' WHERE OrderId = 1")
    relay.insert(2, total="500")
    relay.advance(60)
    assert relay.ledger() == []
    say(relay, "resume")
    relay.advance(400)
    assert len(relay.posts()) == before
