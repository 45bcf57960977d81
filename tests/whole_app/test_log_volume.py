"""A log is a cost: what an outage of a day writes for each table, on a host that logs as the real one does."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest

from tests.harness.running_relay import CONFIG, ORDERS, Relay

LINES = 5000  # of a day and a table: docs/operations.md
TABLES = 3
HOURS = 24 if os.environ.get("ROWPOST_LONG") else 1
_LINE = re.compile(r"^\d{4}-\d\d-\d\dT\S+Z \w+ +\[", re.MULTILINE)


@pytest.fixture
def relay(make_relay: Callable[..., Relay]) -> Relay:
    names = [f"dbo.T{number}" for number in range(1, TABLES)]
    tables = "".join(f"\nGO\nCREATE TABLE {name} (Id int NOT NULL PRIMARY KEY)" for name in names)
    relays = "".join(f'[[relays]]\ntable = "{name}"\n' for name in names)
    return make_relay(CONFIG + relays, ORDERS + tables)


def lines(relay: Relay) -> int:
    return len(_LINE.findall(relay.host_log()))


def per_day(relay: Relay, before: int) -> float:
    """Lines of a day and a table since there were ``before`` in all."""
    found = (lines(relay) - before) * 24 / HOURS / TABLES
    print(f"{found:.0f} lines a day and table")
    return found


def fill(relay: Relay) -> None:
    relay.insert(*range(1, 21))
    for number in range(1, TABLES):
        relay.execute(f"INSERT INTO dbo.T{number} SELECT OrderId FROM dbo.Orders")


def test_an_outage_of_the_target(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    fill(relay)
    before = lines(relay)
    relay.advance(hours=HOURS)
    assert 0 < per_day(relay, before) <= LINES


def test_an_outage_of_the_database(relay: Relay) -> None:
    fill(relay)
    relay.advance(60)
    before = lines(relay)
    for action in ("refuse_login", "error"):
        relay.stack.sql.inject(action=action, number=40613, times=None)
    relay.advance(hours=HOURS)
    assert 0 < per_day(relay, before) <= LINES


def test_an_outage_of_the_storage(relay: Relay) -> None:
    relay.stack.host.add_durable_fault("error")  # type: ignore[union-attr]
    relay.stack.downstream.set_mode("down", path="/rows")
    fill(relay)
    before = lines(relay)
    relay.advance(hours=HOURS)
    assert 0 < per_day(relay, before) <= LINES
