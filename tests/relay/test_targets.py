"""What is known of a target's health belongs to the target: all its relays wait for it together, and are due together."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import CONFIG, Relay

TABLES = "\nGO\n".join(
    f"CREATE TABLE dbo.{name} (Id int NOT NULL CONSTRAINT PK_{name} PRIMARY KEY, Total int NULL)"
    for name in ("Orders", "Quiet", "Rare")
)
THREE = CONFIG.replace('window = "12h"', 'window = "160h"').replace('max_delay = "1h"', 'max_delay = "6h"') + "".join(
    f'[[relays]]\ntable = "dbo.{name}"\n' for name in ("Quiet", "Rare")
)
TWO_TARGETS = CONFIG.replace(
    "[[notifications.webhooks]]",
    '[[targets]]\nname = "lake"\nurl = "%DOWNSTREAM_URL%/lake"\ntimeout = "5s"\nbatch_budget = "30s"\n[targets.headers]\n'
    'X-Api-Key = "%DOWNSTREAM_API_KEY%"\n[[notifications.webhooks]]',
).replace(
    'table = "dbo.Orders"',
    'table = "dbo.Orders"\ntarget = "api"\n'
    '[[relays]]\ntable = "dbo.Orders"\nname = "dbo.Orders@lake"\ntarget = "lake"\nsend = ["Total"]',
)


def insert(relay: Relay, table: str, *ids: int) -> None:
    relay.execute(f"INSERT INTO dbo.{table} (Id, Total) VALUES {', '.join(f'({i}, {i})' for i in ids)}")


def waiting(relay: Relay) -> list[str]:
    return [text for (text,) in relay.execute("SELECT Relay FROM rowpost.Ledger")]


@pytest.mark.timeout(900)
@pytest.mark.parametrize("hours", [1, *(pytest.param(hours, marks=pytest.mark.long) for hours in (12, 72))])
@pytest.mark.parametrize("busy", [20, 1], ids=["one busy table", "one row in each table"])
def test_every_table_is_delivered_within_a_probe_and_a_minute(make_relay: Callable[..., Relay], hours: int, busy: int) -> None:
    relay = make_relay(THREE, TABLES)
    relay.stack.downstream.set_mode("down", path="/rows")
    insert(relay, "Orders", *range(1, busy + 1))
    insert(relay, "Quiet", 1)
    relay.advance(300)
    insert(relay, "Rare", 1)
    relay.advance(hours=hours)
    assert sorted(set(waiting(relay))) == ["dbo.Orders", "dbo.Quiet", "dbo.Rare"]
    relay.stack.downstream.set_mode("up")
    assert relay.advance(300 + 60, until=lambda: waiting(relay) == []), waiting(relay)
    assert len(relay.stack.downstream.state()) == busy + 2


def test_a_row_of_a_quiet_table_is_due_when_another_table_finds_the_target_working(make_relay: Callable[..., Relay]) -> None:
    """One row alone never opens the breaker. The first answer about any other row makes it due, within one look."""
    relay = make_relay(THREE, TABLES)
    relay.stack.downstream.set_mode("down", path="/rows")
    insert(relay, "Quiet", 1)
    relay.advance(hours=12)
    assert relay.get("/api/relays")["relays"][1]["circuit_breaker"]["state"] == "closed"
    relay.stack.downstream.set_mode("up")
    insert(relay, "Orders", 1)
    assert relay.advance(30, until=lambda: waiting(relay) == [])


def test_one_rows_own_failures_never_open_it(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(THREE, TABLES)
    relay.stack.downstream.add_rule(match={"table": "dbo.Quiet"}, status=500)
    insert(relay, "Quiet", 1)
    for order in range(1, 20):
        relay.advance(hours=1)
        insert(relay, "Orders", order)
        assert relay.advance(10, until=lambda order=order: relay.stack.downstream.find("dbo.Orders", {"Id": order}) is not None)  # type: ignore[misc]
    assert {entry["circuit_breaker"]["state"] for entry in relay.get("/api/relays")["relays"]} == {"closed"}


def test_a_table_goes_to_two_targets_and_neither_waits_for_the_other(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(TWO_TARGETS)
    relay.stack.downstream.set_mode("down", path="/rows/lake")
    relay.insert(*range(1, 11))
    assert relay.advance(10, until=lambda: all(relay.accepted(order) for order in range(1, 11)))
    relay.advance(hours=2)
    api, lake = relay.get("/api/relays")["relays"]
    assert (api["relay"], api["target"], api["waiting"], api["circuit_breaker"]["state"]) == ("dbo.Orders", "api", 0, "closed")
    assert (lake["relay"], lake["table"], lake["target"], lake["waiting"]) == ("dbo.Orders@lake", "dbo.Orders", "lake", 10)
    assert lake["circuit_breaker"]["openings"] >= 5
    assert set(waiting(relay)) == {"dbo.Orders@lake"}
    relay.stack.downstream.set_mode("up")
    assert relay.advance(360, until=lambda: waiting(relay) == [])
    narrow = [attempt for attempt in relay.stack.downstream.attempts() if attempt.path == "/rows/lake" and attempt.status == 202]
    assert len(narrow) == 10
    assert all(set(attempt.body["data"]["row"]) == {"OrderId", "Total"} for attempt in narrow)  # type: ignore[index]


def test_the_client_chooses_columns_for_one_relay_alone(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(TWO_TARGETS)
    host = relay.stack.host
    assert host is not None
    assert host.request("PUT", "/api/relays/dbo.Orders/columns", json={"columns": ["Customer"]}).status_code == 202
    assert host.request("GET", "/api/relays/dbo.Orders/columns").json()["effective"] == ["OrderId", "Customer"]
    assert host.request("GET", "/api/relays/dbo.Orders@lake/columns").json()["effective"] == ["OrderId", "Total"]
