"""What a review by reading found in the handling of long outages: each was wrong once."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from itertools import pairwise

import pytest

from rowpost.config import TableConfig
from rowpost.recovery import _lease_sql
from rowpost.tables import Table, TableColumn
from tests.harness.running_relay import CONFIG, Relay, changed_config

Make = Callable[..., Relay]


def wait_for_detached(relay: Relay, rows: int = 1) -> None:
    assert relay.advance(hours=3, until=lambda: relay.status()["detached"] == rows)


def test_nobody_posts_a_row_whose_redelivery_is_in_flight(relay: Relay) -> None:
    """The trigger's next advance swept the lease of a redelivery: both posted the row at once, and the older state could win."""
    relay.reject(1)
    relay.insert(1)
    wait_for_detached(relay)
    for order in (2, 3):  # the cursor passes the row
        relay.insert(order)
        relay.advance(10)
    relay.accept_all()
    relay.execute("UPDATE rowpost.Ledger SET NextAttempt = SYSUTCDATETIME()")
    key = TableColumn("OrderId", "int", 4, 10, 0)
    table = Table(TableConfig(name="dbo.Orders"), "dbo.Orders", (key,), (key,), None)
    relay.execute(_lease_sql(table), 80)  # recovery has leased the row, and its post takes its time
    before = len(relay.posts(1))
    for order in (50, 51):
        relay.insert(order)
        relay.advance(2)
    relay.execute("UPDATE dbo.Orders SET Total = 99 WHERE OrderId = 1")
    relay.advance(5)
    assert len(relay.posts(1)) == before
    assert relay.advance(900, until=lambda: (relay.accepted(1) or {}).get("Total") == 99)


def test_rows_among_many_that_the_target_always_fails_on_are_delivered(make_relay: Make) -> None:
    relay = make_relay(changed_config(window='"160h"'))
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 41))
    relay.advance(hours=24)
    for order in range(1, 31):
        relay.reject(order, status=500)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: all(relay.accepted(order) for order in range(31, 41)))


def test_the_gate_opens_soon_though_old_poison_rows_wait_too(make_relay: Make) -> None:
    relay = make_relay(changed_config(max_delay='"6h"', window='"160h"'))
    for order in range(1, 9):
        relay.reject(order, status=500)
        relay.insert(order)
        relay.advance(30)
        relay.insert(1000 + order)  # a success between
        relay.advance(30)
    relay.advance(hours=30)
    assert (relay.status()["gate"], relay.status()["detached"]) == (None, 8)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(100, 140))
    relay.advance(hours=20)
    assert relay.status()["gate"] is not None
    relay.stack.downstream.set_mode("up")
    assert relay.advance(16 * 60, until=lambda: all(relay.accepted(order) for order in range(100, 140)))


def test_rows_that_fail_once_more_when_the_target_is_back_do_not_wait_for_a_late_round(relay: Relay) -> None:
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(1, 41))
    relay.advance(hours=7)
    for order in range(1, 41):
        if order % 4:
            relay.reject(order, status=503, times=1)
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: relay.status()["gate"] is None)
    assert relay.advance(900, until=lambda: all(relay.accepted(order) for order in range(1, 41)))


def test_a_retry_after_of_some_rows_does_not_keep_the_gate_closed_for_all(make_relay: Make) -> None:
    relay = make_relay(CONFIG.replace("[retry]\n", "[retry]\nattempts = 1\n"))
    for order in range(1, 6):
        relay.reject(order, status=429, retry_after=7200)
    relay.insert(*range(1, 6))
    relay.advance(10)
    relay.insert(6)
    assert relay.advance(16 * 60, until=lambda: relay.accepted(6) is not None)


def test_retry_now_reaches_rows_that_wait_for_a_retry_after(relay: Relay) -> None:
    relay.reject(1, status=429, retry_after=20000, times=1)
    relay.insert(1)
    relay.advance(60)
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/tables/dbo.Orders/retry").json()["rows"] == 1
    assert relay.advance(60, until=lambda: relay.accepted(1) is not None)


def test_redelivered_rows_keep_the_schedule(relay: Relay) -> None:
    relay.insert(1)
    relay.insert(2)
    relay.advance(60)
    relay.reject(1)
    before = len(relay.posts(1))
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/tables/dbo.Orders/resync").status_code == 202
    relay.advance(hours=1)
    instants = [datetime.fromisoformat(attempt.at) for attempt in relay.posts(1)[before:]]
    gaps = [(later - earlier).total_seconds() for earlier, later in pairwise(instants)]
    assert len(gaps) >= 4
    for gap, planned in zip(gaps, (60, 120, 240, 480, 960), strict=False):
        assert planned <= gap <= planned + 65, gaps


def test_two_spellings_of_one_key_that_are_due_together(make_relay: Make) -> None:
    relay = make_relay(
        tables="CREATE TABLE dbo.Orders (Code nvarchar(10) NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)"
    )
    for code in ("abc", "ABC", "zzz"):
        relay.stack.downstream.add_rule(match={"key": {"Code": code}}, status=422)
    relay.execute("INSERT INTO dbo.Orders (Code, Total) VALUES (N'abc', 1), (N'zzz', 1)")
    assert relay.advance(hours=13, until=lambda: relay.status()["dead"] == 2)
    relay.execute("UPDATE dbo.Orders SET Code = N'ABC' WHERE Code = N'abc'")  # the same key to SQL Server
    assert relay.advance(hours=13, until=lambda: relay.status()["dead"] == 3)
    relay.accept_all()
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/tables/dbo.Orders/dead-letters/replay").json()["rows"] == 3
    assert relay.advance(hours=1, until=lambda: relay.ledger() == [])


def test_a_gate_that_has_just_closed_makes_no_hot_loop_of_detached_rows(relay: Relay) -> None:
    relay.reject(1, status=500)
    relay.insert(1)
    wait_for_detached(relay)
    relay.insert(2)
    relay.advance(10)
    ((wait,),) = relay.execute("SELECT DATEDIFF(second, SYSUTCDATETIME(), NextAttempt) FROM rowpost.Ledger")
    relay.advance(wait - 20)
    relay.stack.downstream.set_mode("down", path="/rows")
    relay.insert(*range(100, 120))
    relay.advance(5)
    before = relay.host_log().count("[redeliver_table] Executing")
    relay.advance(120)
    assert relay.host_log().count("[redeliver_table] Executing") - before <= 10


def test_dead_letters_without_a_window_come_as_a_digest_too(make_relay: Make) -> None:
    relay = make_relay(CONFIG.replace("[retry]\n", '[retry]\nattempts = 1\nrejected = "dead_letter"\n'))
    for order in range(1, 21):
        relay.reject(order)
        relay.insert(order)
        relay.advance(60)
    relay.advance(hours=2)
    told = relay.alerts("dead_letter")
    assert sum(notice["rows"] for notice in told) == 20
    assert len(told) <= 3


def test_a_new_outage_in_the_hour_of_a_digest_is_alarmed(make_relay: Make) -> None:
    config = CONFIG.replace("[retry]\n", '[retry]\nattempts = 1\nrejected = "dead_letter"\n')
    relay = make_relay(config.replace("notify_after_rounds = 3", "notify_after_rounds = 2"))
    relay.reject(2)
    relay.insert(2)
    relay.advance(30)  # told at once
    relay.reject(1, status=500)
    relay.insert(1)
    assert relay.advance(900, until=lambda: len(relay.alerts("alarm")) == 1)
    relay.reject(3)
    relay.insert(3)
    relay.advance(30)  # waits for the digest
    relay.stack.downstream.set_rules([])
    relay.reject(4, status=500)
    assert relay.advance(900, until=lambda: relay.accepted(1) is not None)
    relay.advance(300)
    assert len(relay.alerts("recovered")) == 1
    relay.insert(4)
    relay.advance(1800)
    assert len(relay.alerts("alarm")) == 2


def test_an_app_that_starts_for_the_first_time_has_nothing_to_complain_of(make_relay: Make) -> None:
    relay = make_relay()
    relay.advance(10)
    assert "(208)" not in relay.host_log()


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
def test_a_resync_sends_every_row_whatever_its_key(make_relay: Make, columns: str, key: str, value: Callable[[int], str]) -> None:
    relay = make_relay(tables=f"CREATE TABLE dbo.Orders ({columns}, N int NULL, CONSTRAINT PK_Orders PRIMARY KEY ({key}))")
    for first in (0, 400):
        rows = ", ".join(value(n) for n in range(first, first + 400))
        relay.execute(f"INSERT INTO dbo.Orders VALUES {rows}")
    relay.advance(300)
    before, leases = len(relay.posts()), len(relay.leases())
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/tables/dbo.Orders/resync").status_code == 202
    assert relay.advance(600, until=lambda: relay.status()["resync"]["status"] == "Completed" and not relay.ledger())
    assert {attempt.body["data"]["row"]["N"] for attempt in relay.posts()[before:]} == set(range(800))  # type: ignore[index]
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
    assert relay.stack.host.request("POST", "/api/tables/dbo.Orders/resync").status_code == 202
    assert relay.advance(120, until=lambda: relay.status().get("resync", {}).get("status") == "Completed")
    relay.advance(30)
    ((before,),) = relay.execute("SELECT LastSyncVersion FROM az_func.GlobalState")
    for order in range(10, 20):
        relay.insert(order)
        relay.advance(10)
    ((after,),) = relay.execute("SELECT LastSyncVersion FROM az_func.GlobalState")
    assert after > before + 5


def test_a_resync_of_a_table_that_is_no_longer_configured_ends(make_relay: Make) -> None:
    orders = "CREATE TABLE dbo.Orders (OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, N int NULL)"
    other = "CREATE TABLE dbo.Other (Id int NOT NULL CONSTRAINT PK_Other PRIMARY KEY)"
    relay = make_relay(CONFIG + '[[tables]]\nname = "dbo.Other"\n', f"{orders};\nGO\n{other}")
    relay.stack.downstream.set_mode("down", path="/rows")
    for first in (1, 1000):
        relay.execute("INSERT INTO dbo.Orders VALUES " + ", ".join(f"({n}, 1)" for n in range(first, first + 999)))
    assert relay.advance(900, until=lambda: len(relay.ledger()) > 1100)
    host = relay.stack.host
    assert host is not None
    assert host.request("POST", "/api/tables/dbo.Orders/resync").status_code == 202
    relay.advance(30)
    host.kill()
    relay.config_file.write_text(CONFIG.replace("dbo.Orders", "dbo.Other"))
    host.start()
    relay.advance(600)
    answer = host.request("GET", "/runtime/webhooks/durabletask/instances/resync-dbo_Orders").json()
    assert answer["runtimeStatus"] == "Completed"
