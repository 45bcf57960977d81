"""A trigger that ended without a word: its changes arrive all the same, people are told, and a restart brings it back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.running_relay import CONFIG, LISTENER_LINES, PAUSED, Relay, body_of, changed_config

MINUTE = 60


@pytest.fixture
def relay(make_relay: Callable[..., Relay]) -> Relay:
    return make_relay(settings=LISTENER_LINES)


def end_the_trigger(relay: Relay) -> None:
    """Start the host anew, with a database that refuses the connections of the trigger's two loops."""
    host = relay.stack.host
    assert host is not None
    host.kill()
    relay.stack.sql.inject(action="refuse_login", number=40613, application="functions-host", skip=1, times=2)
    host.start()
    relay.advance(5)
    assert "The change consumption loop ends" in relay.host_log()
    assert relay.stack.sql.faults() == []


def test_changes_arrive_by_recovery_and_people_are_told_once(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    end_the_trigger(relay)
    relay.insert(2, 3)
    relay.execute("UPDATE dbo.Orders SET Total = 99 WHERE OrderId = 1")
    assert relay.advance(16 * MINUTE, until=lambda: relay.accepted(2) is not None and relay.accepted(3) is not None)
    relay.advance(30)
    assert (relay.accepted(1) or {})["Total"] == "99.0000"
    assert relay.ledger() == []
    relay.execute("DELETE FROM dbo.Orders WHERE OrderId = 2")
    assert relay.advance(16 * MINUTE, until=lambda: relay.accepted(2) is None)
    relay.advance(60 * MINUTE)
    told = relay.alerts()
    assert [notice["kind"] for notice in told] == ["stalled"]
    assert told[0]["versions"] == [2, 3]
    assert "Restart the function app" in told[0]["text"]
    assert [len(relay.posts(order)) for order in (1, 2, 3)] == [2, 2, 1]


def test_the_trigger_goes_on_after_a_restart(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    end_the_trigger(relay)
    relay.insert(2)
    assert relay.advance(16 * MINUTE, until=lambda: relay.accepted(2) is not None)
    relay.insert(3)
    host = relay.stack.host
    assert host is not None
    host.kill()
    host.start()
    relay.insert(4)
    relay.advance(20)
    assert relay.accepted(3) and relay.accepted(4)
    relay.advance(30 * MINUTE)
    assert [len(relay.posts(order)) for order in (1, 2, 3, 4)] == [1, 1, 1, 1]
    assert [notice["kind"] for notice in relay.alerts()] == ["stalled"]


def test_a_trigger_that_has_just_started_anew_deserves_a_chance(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    end_the_trigger(relay)
    relay.insert(2)
    relay.advance(6 * MINUTE)  # one look, or two with that of the start
    relay.restart()
    assert relay.advance(10, until=lambda: relay.accepted(2) is not None)
    relay.advance(30 * MINUTE)
    assert relay.alerts() == []
    assert [len(relay.posts(order)) for order in (1, 2)] == [1, 1]


def test_a_big_backlog_is_taken_over_at_once(relay: Relay) -> None:
    relay.advance(5)
    end_the_trigger(relay)
    ids = range(1, 1301)
    for start in range(0, 1300, 650):
        relay.insert(*ids[start : start + 650])
    assert relay.advance(16 * MINUTE, until=lambda: all(relay.accepted(order) for order in ids))
    relay.advance(MINUTE)
    assert len(relay.posts()) == len(ids)
    assert relay.ledger() == []


def test_what_nobody_watches_is_not_posted_either(make_relay: Any) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\nwatch = ["Total"]'), settings=LISTENER_LINES)
    relay.insert(1, 2)
    relay.advance(6 * MINUTE)  # the base of the masks moves
    end_the_trigger(relay)
    relay.execute("UPDATE dbo.Orders SET Secret = N'other' WHERE OrderId = 1")
    relay.execute("UPDATE dbo.Orders SET Total = 7 WHERE OrderId = 2")
    relay.advance(25 * MINUTE)
    assert [len(relay.posts(order)) for order in (1, 2)] == [1, 2]
    assert body_of(relay.posts(2)[-1])["data"]["row"]["Total"] == "7.0000"


def test_a_trigger_that_somebody_disabled_stays_silent(make_relay: Any) -> None:
    relay = make_relay(settings={PAUSED: "true"})
    relay.insert(1)
    relay.advance(30 * MINUTE)
    assert relay.posts() == []
    assert relay.alerts() == []
    assert relay.ledger() == []


def test_a_second_stall_on_the_same_day_is_told_too(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    end_the_trigger(relay)
    relay.insert(2)
    assert relay.advance(16 * MINUTE, until=lambda: len(relay.alerts("stalled")) == 1 and relay.accepted(2) is not None)
    host = relay.stack.host
    assert host is not None
    host.kill()  # the operator does as he was told …
    host.start()
    relay.insert(3)
    assert relay.advance(MINUTE, until=lambda: relay.accepted(3) is not None)  # … and all is well
    relay.advance(hours=3)
    end_the_trigger(relay)
    relay.insert(4)
    assert relay.advance(16 * MINUTE, until=lambda: relay.accepted(4) is not None)
    assert len(relay.alerts("stalled")) == 2


def test_a_stall_is_seen_although_what_waits_changes_again_and_again(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(5)
    end_the_trigger(relay)
    for minute in range(60):  # the version of a change is that of its row's last one
        relay.execute(f"UPDATE dbo.Orders SET Total = {minute + 1000} WHERE OrderId = 1")
        relay.advance(MINUTE)
    assert len(relay.alerts("stalled")) == 1
    assert len(relay.posts(1)) > 1


def test_a_number_that_the_trigger_cannot_read_is_told_with_its_column(make_relay: Callable[..., Relay]) -> None:
    table = "CREATE TABLE dbo.Orders (OrderId int NOT NULL PRIMARY KEY, Small decimal(28, 4) NULL, Wide decimal(38, 10) NULL)"
    relay = make_relay(CONFIG.replace('table = "dbo.Orders"', 'table = "dbo.Orders"\nsend = ["Small"]'), table)
    assert "Wide can hold numbers of more than 28 digits" in relay.host_log()
    relay.execute("INSERT INTO dbo.Orders VALUES (1, 1, 1), (2, 2, 79228162514264337593)")
    relay.execute("INSERT INTO dbo.Orders VALUES (3, 3, 3)")
    assert relay.advance(16 * MINUTE, until=lambda: all(relay.accepted(order) is not None for order in (1, 2, 3)))
    (told,) = relay.alerts()
    assert (told["kind"], told["columns"]) == ("stalled", ["Wide"])
    assert "columns Wide" in told["text"] and told["text"].index("28 digits") < told["text"].index("restart")
    relay.execute("INSERT INTO dbo.Orders VALUES (4, 4, 4)")
    assert relay.advance(MINUTE, until=lambda: relay.accepted(4) is not None), "and the trigger goes on behind it"
