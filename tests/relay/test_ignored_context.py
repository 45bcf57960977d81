"""`ignore_context`: what the other side wrote itself is not sent back to it, and nothing else is lost with it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.harness.running_relay import Relay, changed_config
from tests.whole_app.test_bad_input import UNTRACK, start_with

OURS = "WITH CHANGE_TRACKING_CONTEXT (0x6572702D73796E63) "  # CAST('erp-sync' AS varbinary(128))
LINE = 'ignore_context = "erp-sync"'


def ignoring(make_relay: Callable[..., Relay], line: str = LINE) -> Relay:
    return make_relay(changed_config(table=f'"dbo.Orders"\n{line}'))


def echoed(relay: Relay, order: int) -> list[Any]:
    return [(post.body["data"]["operation"], post.body["data"]["version"]) for post in relay.posts(order)]


def settled(relay: Relay) -> None:
    """All is delivered, and the base is behind it."""
    relay.advance(400)


@pytest.mark.parametrize("line", [LINE, 'ignore_context = "0x6572702d73796E63"'], ids=["text", "hexadecimal"])
def test_changes_under_the_context_are_not_sent(make_relay: Callable[..., Relay], line: str) -> None:
    relay = ignoring(make_relay, line)
    relay.execute(OURS + "INSERT INTO dbo.Orders VALUES (1, N'ours', 1, N'x'), (2, N'ours', 1, N'x')")
    relay.execute("WITH CHANGE_TRACKING_CONTEXT (0x01) INSERT INTO dbo.Orders VALUES (3, N'theirs', 1, N'x')")
    relay.insert(4)
    relay.advance(10)
    assert not relay.posts(1) and not relay.posts(2) and relay.posts(3) and relay.posts(4)
    settled(relay)
    relay.execute(OURS + "UPDATE dbo.Orders SET Customer = N'ours', Total = 3, Secret = N'all' WHERE OrderId = 3")
    relay.execute(OURS + "UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 4")
    relay.execute(OURS + "DELETE FROM dbo.Orders WHERE OrderId = 2")
    relay.advance(10)
    assert not relay.posts(2) and len(relay.posts(3)) == 1 and len(relay.posts(4)) == 1
    assert relay.ledger() == [] and relay.leases() is not None


def test_a_change_of_somebody_else_just_before_is_not_lost(make_relay: Callable[..., Relay]) -> None:
    relay = ignoring(make_relay)
    relay.insert(1, 2, 3)
    settled(relay)
    before = len(relay.posts())
    relay.stack.downstream.set_mode("down")
    relay.execute("UPDATE dbo.Orders SET Secret = N'theirs' WHERE OrderId = 1")
    relay.advance(2)
    relay.execute(OURS + "UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 1")
    relay.accept_all()
    assert relay.advance(hours=1, until=lambda: (relay.accepted(1) or {}).get("Secret") == "theirs")
    assert len(relay.posts()) > before


@pytest.mark.parametrize(
    ("theirs", "ours", "sent"),
    [
        ("Secret = N'theirs'", "Total = 3", True),
        ("Total = 2", "Total = 3", False),
        ("Total = 2", "Total = 3, Secret = N'ours'", False),
        ("Total = 2, Customer = N'x'", "Total = 3", True),
        ("Total = 2, Customer = N'x'", "Customer = N'y', Total = 3, Secret = N'z'", False),
    ],
)
def test_two_changes_that_came_as_one(make_relay: Callable[..., Relay], theirs: str, ours: str, sent: bool) -> None:
    """Neither was handed out before the other was made: one hand-out stands for both."""
    relay = ignoring(make_relay)
    relay.insert(1)
    settled(relay)
    relay.execute(f"UPDATE dbo.Orders SET {theirs} WHERE OrderId = 1; {OURS}UPDATE dbo.Orders SET {ours} WHERE OrderId = 1")
    relay.advance(60)
    assert (len(relay.posts(1)) > 1) == sent
    assert relay.ledger() == []


def test_a_row_that_was_not_delivered_is_sent(make_relay: Callable[..., Relay]) -> None:
    relay = ignoring(make_relay)
    relay.insert(1)
    relay.reject(1, 503)
    relay.advance(hours=4)
    relay.execute(OURS + "UPDATE dbo.Orders SET Customer = N'ours', Total = 3, Secret = N'all'")
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.ledger() == [])
    assert relay.accepted(1)["Secret"] == "all"  # type: ignore[index]


def test_two_systems_that_write_to_each_other_come_to_rest(make_relay: Callable[..., Relay]) -> None:
    """What one side is sent it writes to the other under its context: each change crosses once."""
    sides = [ignoring(make_relay), ignoring(make_relay)]
    written = [0, 0]

    def carry() -> int:
        moved = 0
        for here, there in ((0, 1), (1, 0)):
            for post in sides[here].posts()[written[here] :]:
                written[here] += 1
                moved += 1
                data = post.body["data"]
                key = data["key"]["OrderId"]
                if data["operation"] == "delete":
                    sides[there].execute(OURS + "DELETE FROM dbo.Orders WHERE OrderId = ?", key)
                    continue
                row = data["row"]
                values = (row["Customer"], row["Total"], row["Secret"])
                sides[there].execute(
                    OURS + "UPDATE dbo.Orders SET Customer = ?, Total = ?, Secret = ? WHERE OrderId = ?", *values, key
                )
                if not sides[there].execute("SELECT 1 FROM dbo.Orders WHERE OrderId = ?", key):
                    sides[there].execute(OURS + "INSERT INTO dbo.Orders VALUES (?, ?, ?, ?)", key, *values)
        return moved

    def rest() -> list[int]:
        moves = []
        for _ in range(6):
            for side in sides:
                side.advance(5)
            moves.append(carry())
        return moves

    sides[0].insert(1, 2)
    assert rest() == [2, 0, 0, 0, 0, 0]
    sides[1].execute("UPDATE dbo.Orders SET Secret = N'from the other side' WHERE OrderId = 1")
    sides[0].execute("UPDATE dbo.Orders SET Total = 5 WHERE OrderId = 2")
    moves = rest()
    assert moves[-2:] == [0, 0] and sum(moves) <= 4
    tables = [side.execute("SELECT OrderId, Customer, Total, Secret FROM dbo.Orders ORDER BY OrderId") for side in sides]
    assert [tuple(row) for row in tables[0]] == [tuple(row) for row in tables[1]]


def test_it_needs_column_tracking(make_relay: Callable[..., Relay]) -> None:
    statements = [UNTRACK, "ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING"]
    log = start_with(make_relay, statements, changed_config(table=f'"dbo.Orders"\n{LINE}'))
    assert "relays.ignore_context of dbo.Orders: the table does not track which columns change" in log
