"""The trigger's payload rewrites some keys. Each row that was handed out is posted all the same, once, under its own key."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from emulators.launch import FunctionsHost
from tests.harness.running_relay import LEASES, Relay

ROOT = Path(__file__).resolve().parents[2]

TABLE = "CREATE TABLE dbo.Orders (Id {type} NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Total int NULL)"
# The key's type, and two keys that the payload makes one, or another one.
PAIRS = {
    "decimals beyond a double": ("numeric(20, 0)", "9007199254740992", "9007199254740993"),
    "decimals that become too large": ("numeric(20, 0)", "99999999999999999998", "99999999999999999999"),
    "decimals with many digits": ("decimal(38, 18)", "1.000000000000000001", "1.000000000000000002"),
    "money": ("money", "922337203685477.5806", "922337203685477.5807"),
    "texts like times": ("nvarchar(40)", "N'2024-01-01T00:00:00'", "N'2024-01-01T00:00:00.000'"),
    "texts with an offset": ("varchar(40)", "'2024-01-01T02:00:00+02:00'", "'2024-01-01T01:00:00+01:00'"),
    "datetimeoffset": ("datetimeoffset(7)", "'2024-01-01T02:00:00.1234567+02:00'", "'2024-01-01T02:00:00.1234568+02:00'"),
    "datetime2": ("datetime2(7)", "'2024-01-01T02:00:00.1234567'", "'2024-01-01T02:00:00.1234568'"),
    "time": ("time(7)", "'02:00:00.1234567'", "'02:00:00.1234568'"),
    "float": ("float", "9007199254740992e0", "9007199254740994e0"),
    "real": ("real", "1.5e0", "1.25e0"),
}


def taken(relay: Relay) -> Counter[tuple[str, Any]]:
    """How often each state was accepted, whatever its key."""
    found: Counter[tuple[str, Any]] = Counter()
    for attempt in relay.posts():
        if attempt.status and attempt.status < 300:
            data = attempt.body["data"]
            found[data["operation"], (data["row"] or {}).get("Total")] += 1
    return found


def events(relay: Relay, operation: str) -> int:
    """How many different events of an operation arrived: as many as rows."""
    return len({attempt.event_id for attempt in relay.posts() if attempt.operation == operation})


def at_rest(relay: Relay) -> bool:
    status = relay.status()
    return not (status["waiting"] or relay.ledger() or relay.alerts())


@pytest.mark.parametrize("kind", PAIRS)
def test_two_rows_of_one_hand_out(make_relay: Callable[..., Relay], kind: str) -> None:
    type_name, first, second = PAIRS[kind]
    relay = make_relay(tables=TABLE.format(type=type_name))
    relay.execute(f"INSERT INTO dbo.Orders (Id, Total) VALUES ({first}, 1), ({second}, 2)")
    relay.advance(5)
    assert taken(relay) == {("upsert", 1): 1, ("upsert", 2): 1}
    relay.execute("UPDATE dbo.Orders SET Total = Total + 10")
    relay.advance(5)
    assert taken(relay) == {("upsert", 1): 1, ("upsert", 2): 1, ("upsert", 11): 1, ("upsert", 12): 1}
    relay.execute("DELETE FROM dbo.Orders")
    relay.advance(5)
    assert taken(relay)["delete", None] == events(relay, "delete") == 2
    assert at_rest(relay)


@pytest.mark.parametrize("kind", PAIRS)
def test_one_after_the_other(make_relay: Callable[..., Relay], kind: str) -> None:
    """The second while the first waits for its retry; then a change of the first while the second waits."""
    type_name, first, second = PAIRS[kind]
    relay = make_relay(tables=TABLE.format(type=type_name))
    relay.stack.downstream.add_rule(match={"path": "/rows"}, status=500, times=1)
    relay.execute(f"INSERT INTO dbo.Orders (Id, Total) VALUES ({first}, 1)")
    relay.advance(10)
    relay.execute(f"INSERT INTO dbo.Orders (Id, Total) VALUES ({second}, 2)")
    relay.advance(10)
    assert taken(relay) == {("upsert", 2): 1}
    relay.advance(70)
    assert taken(relay) == {("upsert", 1): 1, ("upsert", 2): 1}
    relay.stack.downstream.add_rule(match={"path": "/rows"}, status=500, times=1)
    relay.execute(f"UPDATE dbo.Orders SET Total = 12 WHERE Id = {second}")
    relay.advance(10)
    relay.execute(f"DELETE FROM dbo.Orders WHERE Id = {first}")
    relay.advance(90)
    assert taken(relay) == {("upsert", 1): 1, ("upsert", 2): 1, ("upsert", 12): 1, ("delete", None): 1}
    assert at_rest(relay)


@pytest.mark.parametrize("kind", ["decimals beyond a double", "texts like times"])
def test_two_workers(make_relay: Callable[..., Relay], kind: str) -> None:
    """Each row in a hand-out of its own, also at the same time; the API fails now and then."""
    type_name, first, second = PAIRS[kind]
    relay = make_relay(tables=TABLE.format(type=type_name), settings={"Sql_Trigger_MaxBatchSize": "1"})
    host = FunctionsHost(ROOT, relay.directory, relay.time.spec, relay.stack.settings, name="second_host").start()
    try:
        relay.stack.downstream.set_mode("flaky", rate=0.4, seed=7, path="/rows")
        for total in range(4):
            if total:
                relay.execute(f"UPDATE dbo.Orders SET Total = {total}")
            else:
                relay.execute(f"INSERT INTO dbo.Orders (Id, Total) VALUES ({first}, 0), ({second}, 0)")
            relay.advance(25)
        relay.stack.downstream.set_mode("up")
        relay.advance(hours=2)
        assert events(relay, "upsert") >= 2
        assert (
            taken(relay)["upsert", 3] >= 2
            and len({post.event_id for post in relay.posts() if post.body["data"]["row"]["Total"] == 3}) == 2
        )
        assert relay.ledger() == []
    finally:
        host.stop()


@pytest.mark.parametrize("kind", ["decimals beyond a double", "texts like times", "datetime2"])
def test_the_other_row_is_in_another_worker_s_hands(make_relay: Callable[..., Relay], kind: str) -> None:
    """That worker dies. Neither of the rows is lost, and neither is released with the other's event."""
    type_name, first, second = PAIRS[kind]
    relay = make_relay(tables=TABLE.format(type=type_name))
    relay.execute("INSERT INTO dbo.Orders (Id, Total) SELECT " + first + ", 0 WHERE 1 = 0")
    relay.stack.host.kill()  # type: ignore[union-attr]
    relay.execute(f"INSERT INTO dbo.Orders (Id, Total) VALUES ({first}, 1)")
    relay.execute(
        f"INSERT INTO {LEASES} VALUES ({first}, CHANGE_TRACKING_CURRENT_VERSION(), 1, DATEADD(second, 50, SYSDATETIME()))"
    )
    relay.execute(f"INSERT INTO dbo.Orders (Id, Total) VALUES ({second}, 2)")
    relay.stack.host.start()  # type: ignore[union-attr]
    assert relay.advance(1200, until=lambda: set(taken(relay)) == {("upsert", 1), ("upsert", 2)})
    assert events(relay, "upsert") == 2
    relay.advance(hours=1)
    assert relay.ledger() == []


def test_a_batch_of_many_such_rows_goes_through_in_one_round_trip(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=TABLE.format(type="numeric(20, 0)"))
    rows = ", ".join(f"({9007199254740992 + 2 * number}, {number})" for number in range(60))
    relay.execute("INSERT INTO dbo.Orders (Id, Total) VALUES (1, 100)")
    relay.advance(5)  # the first batch of a process also looks the table up
    relay.stack.sql.reset_stats()
    relay.execute(f"INSERT INTO dbo.Orders (Id, Total) VALUES {rows}")
    relay.advance(5)
    assert relay.stack.sql.stats()["applications"]["rowpost"]["requests"] == 1
    assert taken(relay) == {("upsert", number): 1 for number in (*range(60), 100)}
    assert at_rest(relay)


@pytest.mark.parametrize(("payload", "own"), [("abc", "ABC"), ("abc ", "abc"), ("abc", "abc  ")])
def test_a_key_that_sql_calls_equal_is_posted_once_under_the_row_s_own_spelling(
    make_relay: Callable[..., Relay], payload: str, own: str
) -> None:
    """The lease has the former spelling, and the payload may have it too."""
    relay = make_relay(tables=TABLE.format(type="nvarchar(40)"))
    relay.execute(f"INSERT INTO dbo.Orders (Id, Total) VALUES (N'{payload}', 1), (N'other', 3)")
    relay.advance(5)
    relay.execute(f"UPDATE dbo.Orders SET Id = N'{own}', Total = 2 WHERE Id = N'{payload}'")
    relay.advance(5)
    assert [attempt.key for attempt in relay.posts() if (attempt.body["data"]["row"] or {}).get("Total") == 2] == [{"Id": own}]
    assert at_rest(relay)
