"""Rows are read within a budget of bytes. A row that is larger than a row may be is a dead letter before anything is sent."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from rowpost.relay.reading import READ_BYTES
from rowpost.rules.row import ROW_BYTES_AT_MOST
from tests.harness.running_relay import CONFIG, Relay, changed_config

TABLE = "CREATE TABLE dbo.Orders (OrderId int NOT NULL CONSTRAINT PK_Orders PRIMARY KEY, Note {type}, Other varbinary(max) NULL)"
ROWS = 18
CHARACTERS = 1_000_000  # of each row: eight rows fit into the budget


def insert(relay: Relay, *orders: int, characters: int = CHARACTERS) -> None:
    for order in orders:
        relay.execute(
            f"INSERT INTO dbo.Orders (OrderId, Note) VALUES ({order}, REPLICATE(CAST(N'x' AS nvarchar(max)), {characters}))"
        )


def test_large_rows_go_out_in_portions_of_one_hand_out(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=TABLE.format(type="nvarchar(max) NULL"))
    insert(relay, 0, characters=1)
    relay.advance(5)
    relay.stack.sql.reset_stats()
    relay.stack.host.kill()  # type: ignore[union-attr]
    insert(relay, *range(1, ROWS + 1))
    relay.stack.host.start()  # type: ignore[union-attr]
    relay.advance(10)
    assert sorted(attempt.key["OrderId"] for attempt in relay.posts()) == list(range(ROWS + 1))  # type: ignore[index]
    assert all(len(relay.accepted(order)["Note"]) == CHARACTERS for order in range(1, ROWS + 1))  # type: ignore[index]
    reads = [s for s in relay.stack.sql.stats()["applications"]["rowpost"]["statements"] if "rowpost: read_rows" in s["text"]]
    assert len(reads) == ROWS // (READ_BYTES // (2 * CHARACTERS))
    assert relay.ledger() == []


def test_recovery_reads_within_the_budget_too(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(batch_budget='"60s"'), TABLE.format(type="nvarchar(max) NULL"))
    relay.stack.downstream.set_mode("down", path="/rows")
    insert(relay, *range(1, ROWS + 1))
    relay.advance(hours=6)
    assert relay.status()["detached"] == ROWS
    relay.stack.downstream.set_mode("up")
    assert relay.advance(hours=2, until=lambda: all(relay.accepted(order) for order in range(1, ROWS + 1)))
    relay.advance(60)
    assert relay.ledger() == []


def test_a_row_that_is_too_large_is_a_dead_letter_with_its_size(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=TABLE.format(type="nvarchar(max) NULL"))
    insert(relay, 1, 2, characters=10)
    size = ROW_BYTES_AT_MOST // 2 + 10
    relay.execute(
        "INSERT INTO dbo.Orders (OrderId, Note) VALUES (3, N'x'); "
        f"UPDATE dbo.Orders SET Note = REPLICATE(CAST(N'x' AS nvarchar(max)), {size}) WHERE OrderId = 3"
    )
    relay.advance(10)
    assert [bool(relay.accepted(order)) for order in (1, 2, 3)] == [True, True, False]
    assert relay.posts(3) == []
    ((state, attempts, error),) = relay.execute("SELECT State, Attempts, LastError FROM rowpost.Ledger")
    assert (state, attempts) == ("dead", 0)
    assert error == f"the row has {2 * size + 4} bytes, and at most {ROW_BYTES_AT_MOST} are sent"
    relay.advance(hours=1)
    assert [notice["kind"] for notice in relay.alerts()] == ["dead_letter"]
    assert relay.stack.host is not None
    assert relay.stack.host.request("POST", "/api/relays/dbo.Orders/replay").json()["rows"] == 1
    relay.advance(60)
    assert [row[1] for row in relay.ledger()] == ["dead"]
    relay.execute("UPDATE dbo.Orders SET Note = N'short' WHERE OrderId = 3")
    assert relay.advance(10, until=lambda: relay.accepted(3) is not None)
    assert relay.ledger() == []


def test_a_row_larger_than_the_budget_is_read_alone(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=TABLE.format(type="nvarchar(max) NULL"))
    insert(relay, 1, characters=5)
    insert(relay, 2, characters=READ_BYTES // 2 + 10)
    insert(relay, 3, characters=5)
    relay.advance(10)
    assert all(relay.accepted(order) for order in (1, 2, 3))


@pytest.mark.parametrize("status", [500, 422])
def test_portions_that_fail_are_settled_like_any_rows(make_relay: Callable[..., Relay], status: int) -> None:
    relay = make_relay(CONFIG, TABLE.format(type="nvarchar(max) NULL"))
    for order in (3, 11, 12):
        relay.reject(order, status=status, times=2)
    insert(relay, *range(1, 13))
    relay.advance(10)
    assert [order for order in range(1, 13) if relay.accepted(order)] == [1, 2, 4, 5, 6, 7, 8, 9, 10]
    assert relay.advance(200, until=lambda: all(relay.accepted(order) for order in range(1, 13)))
    relay.advance(60)
    assert relay.ledger() == []


def test_other_large_types_are_measured_too(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=TABLE.format(type="xml NULL"))
    relay.execute("INSERT INTO dbo.Orders (OrderId, Note, Other) VALUES (1, N'<a/>', 0x0102), (2, NULL, NULL)")
    relay.advance(5)
    assert relay.accepted(1) == {"OrderId": 1, "Note": "<a/>", "Other": "AQI="}
    assert relay.accepted(2)


def test_all_portions_of_a_hand_out_have_one_time_budget(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(batch_budget='"2s"\nconcurrency = 1'), TABLE.format(type="nvarchar(max) NULL"))
    relay.stack.downstream.set_mode("slow", seconds=0.2)
    relay.stack.host.kill()  # type: ignore[union-attr]
    insert(relay, *range(1, ROWS + 1))
    relay.stack.host.start()  # type: ignore[union-attr]
    relay.advance(10)
    sent = len(relay.posts())
    assert READ_BYTES // (2 * CHARACTERS) < sent <= 2 / 0.2 + 1  # the second portion has what the first has left
    relay.stack.downstream.set_mode("up")
    assert relay.advance(200, until=lambda: all(relay.accepted(order) for order in range(1, ROWS + 1)))
    relay.advance(60)
    assert relay.ledger() == []
