"""A resync sends every row of a table, whatever its key, and ends: by itself, by an order, or with the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.running_relay import CONFIG, LEASES, Relay


@pytest.mark.parametrize(
    ("columns", "key", "value"),
    [
        (
            "A nvarchar(10) NOT NULL, B datetime NOT NULL, C uniqueidentifier NOT NULL",
            "A, B DESC, C",
            lambda n: f"(N'{'aA bB'[n % 5]}{n % 7}{' ' * (n % 2)}x', DATEADD(millisecond, {n * 7}, '2020-01-01'), NEWID(), {n})",
        ),
        ("A uniqueidentifier NOT NULL", "A", lambda n: f"(NEWID(), {n})"),
        ("A decimal(38, 10) NOT NULL", "A DESC", lambda n: f"({n}.{n:03d}1234567 - 700, {n})"),
        ("A real NOT NULL", "A", lambda n: f"(({n} - 600) / 7e0, {n})"),
    ],
    ids=["composite", "guid", "decimal", "real"],
)
def test_a_resync_sends_every_row_whatever_its_key(
    make_relay: Callable[..., Relay], columns: str, key: str, value: Callable[[int], str]
) -> None:
    relay = make_relay(tables=f"CREATE TABLE dbo.Orders ({columns}, N int NULL, CONSTRAINT PK_Orders PRIMARY KEY ({key}))")
    for first in (0, 400):
        rows = ", ".join(value(n) for n in range(first, first + 400))
        relay.execute(f"INSERT INTO dbo.Orders VALUES {rows}")
    relay.advance(300)
    before, leases = len(relay.posts()), len(relay.leases())
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    assert relay.advance(600, until=lambda: relay.status()["resync"]["state"] == "completed" and not relay.ledger())
    assert {attempt.body["data"]["row"]["N"] for attempt in relay.posts()[before:] if attempt.key} == set(range(800))  # type: ignore[index]
    assert len(relay.leases()) <= leases  # none is left behind for the trigger to sweep


def test_the_cursor_goes_on_after_a_resync(relay: Relay) -> None:
    relay.insert(1)
    relay.insert(2)
    relay.advance(30)
    relay.execute("CREATE TABLE dbo.Other (Id int NOT NULL CONSTRAINT PK_Other PRIMARY KEY)")
    relay.execute("ALTER TABLE dbo.Other ENABLE CHANGE_TRACKING")
    for number in range(1, 4):  # the database's version runs ahead of the table's
        relay.execute(f"INSERT INTO dbo.Other (Id) VALUES ({number})")
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    assert relay.advance(120, until=lambda: (relay.status()["resync"] or {}).get("state") == "completed")
    relay.advance(30)
    ((before,),) = relay.execute("SELECT LastSyncVersion FROM az_func.GlobalState")
    for order in range(10, 20):
        relay.insert(order)
        relay.advance(10)
    ((after,),) = relay.execute("SELECT LastSyncVersion FROM az_func.GlobalState")
    assert after > before + 5


def test_a_resync_of_a_table_that_is_no_longer_configured_ends(make_relay: Callable[..., Relay]) -> None:
    orders = "CREATE TABLE dbo.Orders (OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, N int NULL)"
    other = "CREATE TABLE dbo.Other (Id int NOT NULL CONSTRAINT PK_Other PRIMARY KEY)"
    relay = make_relay(CONFIG + '[[relays]]\ntable = "dbo.Other"\n', f"{orders};\nGO\n{other}")
    relay.stack.downstream.set_mode("down", path="/rows")
    for first in (1, 1000):
        relay.execute("INSERT INTO dbo.Orders VALUES " + ", ".join(f"({n}, 1)" for n in range(first, first + 999)))
    assert relay.advance(900, until=lambda: len(relay.ledger()) > 1100)
    host = relay.stack.host
    assert host is not None
    assert host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    relay.advance(30)
    host.kill()
    relay.config_file.write_text(CONFIG.replace("dbo.Orders", "dbo.Other"))
    host.start()
    relay.advance(600)
    ((resync,),) = relay.execute("SELECT Resync FROM rowpost.Resyncs")
    answer = host.request("GET", f"/runtime/webhooks/durabletask/instances/resync-dbo_Orders-{resync}-s1").json()
    assert answer["runtimeStatus"] == "Completed"


def resync(relay: Relay, method: str = "POST") -> Any:
    assert relay.stack.host is not None
    return relay.stack.host.request(method, "/api/relays/dbo.Orders/resync")


def test_a_resync_goes_on_after_a_kill_and_never_floods_the_ledger(relay: Relay) -> None:
    rows = ", ".join(f"({n}, N'c', 1, N's')" for n in range(1, 1000))
    relay.execute(f"INSERT INTO dbo.Orders VALUES {rows}")
    assert relay.advance(3600, until=lambda: len(relay.posts()) >= 999)
    relay.advance(60)
    relay.execute("UPDATE dbo.Orders SET Total = 2 WHERE OrderId = 999")
    relay.advance(60)
    host = relay.stack.host
    assert host is not None
    before = len(relay.posts())
    assert resync(relay).status_code == 202
    assert resync(relay).status_code == 409
    most = 0
    relay.stack.sql.inject(action="delay", seconds=0.4, pattern="queue_page.sql", application="rowpost", times=1, skip=1)
    relay.advance(1)
    host.kill()
    relay.advance(5)
    host.start()

    def done() -> bool:
        nonlocal most
        most = max(most, len(relay.ledger()))
        return relay.status()["resync"]["state"] == "completed" and not relay.ledger()

    assert relay.advance(3600, until=done)
    assert len({attempt.key["OrderId"] for attempt in relay.posts()[before:] if attempt.key}) == 999  # type: ignore[index]
    assert most <= 1500
    assert relay.stack.downstream.counters()["stale"] == 0


def test_a_resync_can_be_stopped(relay: Relay) -> None:
    assert resync(relay, "DELETE").status_code == 404
    relay.stack.downstream.set_mode("down", path="/rows")
    for first in (1, 1000):
        rows = ", ".join(f"({n}, N'c', 1, N's')" for n in range(first, first + 999))
        relay.execute(f"INSERT INTO dbo.Orders VALUES {rows}")
    assert relay.advance(900, until=lambda: len(relay.ledger()) > 1100)
    assert resync(relay).status_code == 202
    relay.advance(120)
    assert relay.status()["resync"]["state"] == "begun"
    assert resync(relay, "DELETE").status_code == 202
    relay.advance(10)
    assert relay.status()["resync"]["state"] == "cancelled"


MADE_ANEW = "CREATE TABLE dbo.Orders (Code int NOT NULL CONSTRAINT PK_Orders2 PRIMARY KEY, Total decimal(20, 4) NULL)"


def test_a_resync_reaches_a_table_that_was_made_again_with_another_key(relay: Relay) -> None:
    relay.reject(1)
    relay.insert(1)
    assert relay.advance(hours=2, until=lambda: relay.status()["detached"] == 1)
    host = relay.stack.host
    assert host is not None
    host.kill()
    relay.execute("DROP TABLE dbo.Orders")
    relay.execute(f"DROP TABLE {LEASES}")
    relay.execute(MADE_ANEW)
    relay.execute("INSERT INTO dbo.Orders (Code, Total) VALUES (7, 1)")  # before tracking: only a resync sends it
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING WITH (TRACK_COLUMNS_UPDATED = ON)")
    relay.accept_all()
    host.start()
    relay.advance(hours=1)  # the old record is due
    assert host.request("POST", "/api/relays/dbo.Orders/resync").status_code == 202
    assert relay.advance(hours=2, until=lambda: relay.stack.downstream.find("dbo.Orders", {"Code": 7}) is not None)
