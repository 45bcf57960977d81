"""A notice whose orchestration hangs, failed, is gone or never began is told all the same, and nobody is told twice of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import CONFIG, Relay

HOOK = '[[notifications.webhooks]]\nurl = "%ALERT_WEBHOOK_URL%"\n'
TWO = CONFIG.replace(HOOK, HOOK + HOOK.replace('%"', '%/busy"'))
INSTANCES = "/runtime/webhooks/durabletask/instances"


def told(relay: Relay, path: str = "/alerts/busy") -> int:
    return sum(a.path == path and bool(a.status) and (a.status or 500) < 300 for a in relay.stack.downstream.attempts())


def waiting(relay: Relay) -> tuple[str, str]:
    """The instance that tells the recipient who is still to be told, and its notice."""
    ((notice, number, starts),) = relay.execute(
        "SELECT Notice, Number, Starts FROM rowpost.NoticeRecipients WHERE State = 'waiting'"
    )
    return f"{notice}-r{number}" + (f"-s{starts}" if starts > 1 else ""), notice


@pytest.fixture
def relay_that_tells(make_relay: Callable[..., Relay]) -> Relay:
    """One of two recipients has been told of an alarm; the other one asked to wait for an hour."""
    relay = make_relay(TWO)
    relay.stack.downstream.add_rule(match={"path": "/alerts/busy"}, status=429, retry_after=3600, times=1)
    relay.reject(1)
    relay.insert(1)
    relay.advance(20 * 60)
    assert (told(relay), told(relay, "/alerts")) == (0, 1)
    return relay


@pytest.mark.parametrize("how", ["suspend", "terminate", "purge"])
def test_it_is_told_under_a_fresh_id_and_only_who_was_not(relay_that_tells: Relay, how: str) -> None:
    relay = relay_that_tells
    host = relay.stack.host
    assert host is not None
    instance, notice = waiting(relay)
    if how == "purge":
        host.request("POST", f"{INSTANCES}/{instance}/terminate?reason=test")
        relay.advance(5)
        host.request("DELETE", f"{INSTANCES}/{instance}")
    else:
        assert host.request("POST", f"{INSTANCES}/{instance}/{how}?reason=test").status_code == 202
    relay.advance(hours=1.1)
    if how == "suspend":
        assert told(relay) == 0, "it is due, and hangs for less than half an hour"
    relay.advance(hours=0.6)
    assert (told(relay), told(relay, "/alerts")) == (1, 1)
    assert relay.get(f"{INSTANCES}/{notice}-r2-s2")["runtimeStatus"] == "Completed"
    if how == "suspend":  # it comes back to life, and finds that it is over
        host.request("POST", f"{INSTANCES}/{instance}/resume?reason=test")
        relay.advance(hours=1)
        assert relay.get(f"{INSTANCES}/{instance}")["output"] == "over"
    assert (told(relay), told(relay, "/alerts")) == (1, 1)


def test_it_is_told_although_nobody_was_started_after_it_was_written_down(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.stack.sql.inject(pattern="rowpost: untold.sql", application="rowpost", action="error", number=8623, times=3)
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm"]


def test_it_is_told_although_its_start_was_lost(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.reject(1)
    relay.insert(1)
    relay.stack.sql.inject(pattern="rowpost: start_telling.sql", application="rowpost", action="drop_after", times=3)
    relay.advance(hours=1)
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm"]


def test_an_orchestration_that_never_gets_to_send_is_replaced(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.stack.sql.inject(pattern="rowpost: take_turn.sql", application="rowpost", action="error", number=8623)
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm"]


def test_notices_that_were_told_long_ago_are_removed(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(CONFIG.replace("[watchdog]\n", '[watchdog]\nhistory = "1d"\nhistory_schedule = "0 0 * * * *"\n'))
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1)
    relay.accept_all()
    relay.advance(hours=2)
    assert len(relay.execute("SELECT * FROM rowpost.Notices")) == 2
    relay.advance(hours=30)
    assert relay.execute("SELECT * FROM rowpost.Notices") == relay.execute("SELECT * FROM rowpost.NoticeRecipients") == []
