"""The first word comes within sixteen minutes of the first failure, once per incident; an incident never hides another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from tests.harness.running_relay import Relay, changed_config

DEFAULTS = changed_config(after_rounds='10\nafter = "15m"\nreminder = "30d"', max_delay='"6h"', window='"168h"')
SIXTEEN_MINUTES = 16 * 60


def told_after(relay: Relay, kind: str = "alarm", about: str | None = None) -> float:
    """Seconds from the first failure to the arrival of the first notice."""
    arrived = [
        datetime.fromisoformat(attempt.at)
        for attempt in relay.stack.downstream.attempts()
        if attempt.path == "/alerts" and attempt.body["kind"] == kind and about in (None, attempt.body.get("about"))
    ]
    failed = min(
        datetime.fromisoformat(attempt.at) for attempt in relay.posts() if attempt.outcome != "new" and attempt.status != 200
    )
    return (arrived[0] - failed).total_seconds()


@pytest.mark.parametrize("rows", [1, 200])
def test_a_total_outage_is_told_within_sixteen_minutes(make_relay: Callable[..., Relay], rows: int) -> None:
    relay = make_relay(DEFAULTS)
    relay.stack.downstream.set_mode("down", path="/rows")
    for start in range(1, rows + 1, 500):
        relay.insert(*range(start, min(start + 500, rows + 1)))
    relay.advance(17 * 60)
    assert 15 * 60 - 5 <= told_after(relay) <= SIXTEEN_MINUTES
    relay.advance(hours=8)
    (alarm,) = relay.alerts()
    assert (alarm["kind"], alarm["about"], alarm["rows"]) == ("alarm", "target", rows)


@pytest.mark.parametrize(
    "rule",
    [{"status": 422}, {"status": 500}, {"status": 429, "retry_after": 6 * 3600}, {"status": 503, "retry_after": 1200}],
    ids=["refused", "failing", "asked to wait for hours", "asked to wait"],
)
def test_one_row_among_healthy_ones_is_told_within_sixteen_minutes(make_relay: Callable[..., Relay], rule: dict[str, Any]) -> None:
    relay = make_relay(DEFAULTS)
    relay.reject(1, **rule)
    relay.insert(1, 2)
    relay.insert(3)
    relay.advance(17 * 60)
    assert told_after(relay) <= SIXTEEN_MINUTES
    relay.advance(hours=5)
    assert [notice["kind"] for notice in relay.alerts()] == ["alarm"]


def test_rounds_may_come_first(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(after_rounds='2\nafter = "10h"'))
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(12 * 60, until=lambda: bool(relay.alerts("alarm")))
    assert relay.alerts()[0]["round"] == 2


def test_the_time_may_be_longer_than_the_longest_delay(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(after_rounds='100\nafter = "2h"'))
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=1.9)
    assert relay.alerts() == []
    relay.advance(hours=0.3)
    assert 7200 - 5 <= told_after(relay) <= 7260


@pytest.mark.parametrize("status", [422, 500], ids=["refused", "failing"])
def test_a_poison_row_and_an_outage_each_have_an_alarm_and_an_all_clear(make_relay: Callable[..., Relay], status: int) -> None:
    relay = make_relay(DEFAULTS)
    relay.reject(1, status)
    relay.insert(1)
    relay.insert(2)
    relay.advance(hours=26)  # recovery sleeps for hours
    assert [(notice["kind"], notice["about"]) for notice in relay.alerts()] == [("alarm", "row")]
    began = relay.time.now()
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(10, 30))
    relay.advance(17 * 60)
    (alarm,) = relay.alerts()[1:]
    assert (alarm["kind"], alarm["about"], alarm["rows"]) == ("alarm", "target", 20)
    assert (datetime.fromisoformat(alarm["at"] + "+00:00") - began).total_seconds() <= SIXTEEN_MINUTES
    relay.advance(hours=8)  # the poison row fails for the target now
    assert len(relay.alerts()) == 2
    relay.stack.downstream.set_mode("up")
    relay.advance(hours=1)
    assert all(relay.accepted(order) for order in range(10, 30))
    (over,) = relay.alerts()[2:]
    assert (over["kind"], over["about"], over["delivered"], over["given_up"], over["rows"]) == ("recovered", "target", 20, 0, 1)
    assert "1 row still waiting for another reason" in over["subject"]
    relay.accept_all()
    relay.advance(hours=7)
    (last,) = relay.alerts()[3:]
    assert (last["kind"], last["about"], last["delivered"], last["given_up"], last["rows"]) == ("recovered", "row", 1, 0, 0)
    assert last["subject"] == "[Rowpost] dbo.Orders: delivery has recovered"


def test_rows_that_are_refused_after_an_outage_are_another_incident(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(DEFAULTS)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 11))
    relay.advance(hours=1)
    assert [(notice["kind"], notice["about"]) for notice in relay.alerts()] == [("alarm", "target")]
    relay.reject(3)
    relay.stack.downstream.set_mode("up")
    relay.advance(hours=1)
    told = [(notice["kind"], notice["about"], notice["rows"]) for notice in relay.alerts()[1:]]
    assert sorted(told) == [("alarm", "row", 1), ("recovered", "target", 1)]
    (over,) = relay.alerts("recovered")
    assert (over["delivered"], over["given_up"]) == (9, 0)
