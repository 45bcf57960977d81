"""The storage of Durable Functions is slow or away: no batch waits for it, and the watchdog does the work of recovery."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.harness.running_relay import CONFIG, ORDERS, Relay

LIMIT_MS = 4000  # of real time; the app waits for two and a half seconds


def durations(relay: Relay, function: str) -> list[int]:
    """Of the runs of a function, in milliseconds of real time."""
    found = re.findall(rf"\[{function}\] Executed \(\w+, Id=[^,]+, Duration=(\d+)ms\)", relay.host_log())
    return [int(each) for each in found]


@pytest.mark.parametrize("what", ["", "/instances/", "/orchestrators/", "raiseEvent"], ids=["all", "status", "start", "wake"])
def test_a_batch_does_not_wait_for_storage_that_hangs(relay: Relay, what: str) -> None:
    host = relay.stack.host
    assert host is not None
    if what == "raiseEvent":
        relay.reject(9)
        relay.insert(9)
        relay.advance(600)
    host.add_durable_fault("hang", pattern=what)
    relay.reject(1)
    relay.insert(1, 2)
    relay.advance(240)
    host.add_durable_fault("hang")
    assert relay.advance(60, until=lambda: "left to the watchdog" in relay.host_log())
    assert 2000 < max(durations(relay, "relay_dbo_Orders")) < LIMIT_MS
    assert relay.accepted(2)


def test_an_outage_of_both_is_survived(relay: Relay) -> None:
    host = relay.stack.host
    assert host is not None
    host.add_durable_fault("drop_before")
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 20))
    relay.advance(hours=3)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=1, until=lambda: relay.ledger() == []), relay.ledger()
    assert all(relay.accepted(order) for order in range(1, 20))


def test_storage_that_hangs_for_one_relay_does_not_keep_the_watchdog_from_the_next(make_relay: Callable[..., Relay]) -> None:
    others = [f"\nGO\nCREATE TABLE dbo.T{n} (Id int NOT NULL CONSTRAINT PK_T{n} PRIMARY KEY)" for n in (1, 2)]
    relays = "".join(f'[[relays]]\ntable = "dbo.T{n}"\n' for n in (1, 2))
    relay = make_relay(CONFIG + relays, ORDERS + "".join(others))
    host = relay.stack.host
    assert host is not None
    relay.stack.downstream.add_rule(match={"path": "/rows"}, status=422)
    relay.insert(1)
    relay.execute("INSERT INTO dbo.T1 VALUES (1)")
    relay.execute("INSERT INTO dbo.T2 VALUES (1)")
    relay.advance(hours=1)
    relay.accept_all()
    for path in ("dbo.Orders", "dbo.T1", "dbo.T2"):  # an order that asks for a wake-up
        host.add_durable_fault("drop_before", pattern="raiseEvent", times=1)
        assert host.request("POST", f"/api/relays/{path}/retry").status_code == 202
    host.add_durable_fault("hang", pattern="recovery-dbo_Orders")
    before = len(durations(relay, "watchdog"))
    relay.advance(330)
    assert max(durations(relay, "watchdog")[before:]) < 2 * LIMIT_MS
    assert relay.execute("SELECT Relay FROM rowpost.Ledger") == []


def test_a_storage_that_is_away_keeps_no_other_relay_from_being_woken(make_relay: Callable[..., Relay]) -> None:
    """The answer that shows that the target works wakes all its relays: together, not one after the other."""
    others = [f"\nGO\nCREATE TABLE dbo.T{n} (Id int NOT NULL CONSTRAINT PK_T{n} PRIMARY KEY)" for n in range(1, 5)]
    relays = "".join(f'[[relays]]\ntable = "dbo.T{n}"\n' for n in range(1, 5))
    relay = make_relay(CONFIG + relays, ORDERS + "".join(others))
    host = relay.stack.host
    assert host is not None
    relay.stack.downstream.set_mode("down", path="/rows")
    for number in range(1, 5):
        relay.execute(f"INSERT INTO dbo.T{number} VALUES (1), (2)")
    relay.advance(900)
    host.add_durable_fault("hang")
    relay.stack.downstream.set_mode("up")
    relay.insert(1)
    assert relay.advance(hours=1, until=lambda: relay.accepted(1) is not None)
    relay.advance(5)
    assert max(durations(relay, "relay_dbo_Orders")) < LIMIT_MS
