"""`changed` of an event: at least those that have changed since the target last took the row, if that is known."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.harness.running_relay import ORDERS, Relay, changed_config
from tests.whole_app.test_bad_input import UNTRACK

COMPUTED = ORDERS.replace("Secret nvarchar(40) NULL", "Secret nvarchar(40) NULL, Twice AS (Total * 2), Stamp rowversion")


def said(relay: Relay, order: int) -> Any:
    """What the last event of a row says to have changed."""
    return relay.posts(order)[-1].body["data"].get("changed", "unknown")


def settled(relay: Relay) -> None:
    """All is delivered, and the base is behind it."""
    relay.advance(400)


def test_an_update_names_its_columns(relay: Relay) -> None:
    relay.insert(1, 2)
    relay.advance(5)
    assert said(relay, 1) == "unknown", "an insert"
    settled(relay)
    relay.execute("UPDATE dbo.Orders SET Secret = N'x', Total = 3 WHERE OrderId = 1")
    relay.advance(5)
    assert said(relay, 1) == ["Total", "Secret"], "in the order of the table"
    relay.execute("UPDATE dbo.Orders SET Customer = N'new' WHERE OrderId = 1")
    relay.advance(5)
    assert said(relay, 1) == ["Customer", "Total", "Secret"], "since the base: at least those"
    settled(relay)
    relay.execute("UPDATE dbo.Orders SET Customer = N'newer' WHERE OrderId = 1")
    relay.execute("UPDATE dbo.Orders SET Customer = N'all', Total = 5, Secret = N'all' WHERE OrderId = 2")
    relay.advance(5)
    assert said(relay, 1) == ["Customer"] and said(relay, 2) == "unknown", "no mask"
    relay.execute("DELETE FROM dbo.Orders")
    relay.advance(5)
    assert said(relay, 1) == "unknown" and relay.posts(1)[-1].body["data"]["operation"] == "delete"


def test_it_is_unknown_of_a_row_that_failed_before(relay: Relay) -> None:
    """The base goes on, since recovery has the row: what changed before it is not in the mask."""
    relay.insert(1)
    settled(relay)
    relay.stack.downstream.set_mode("down")
    relay.execute("UPDATE dbo.Orders SET Secret = N'x' WHERE OrderId = 1")
    relay.advance(hours=4)
    relay.execute("UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 1")
    relay.accept_all()
    assert relay.advance(hours=2, until=lambda: relay.ledger() == [])
    assert relay.accepted(1)["Secret"] == "x" and said(relay, 1) == "unknown"  # type: ignore[index]


def test_columns_that_change_unseen_are_among_them(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(tables=COMPUTED)
    relay.insert(1)
    settled(relay)
    relay.execute("UPDATE dbo.Orders SET Customer = N'x'")
    relay.advance(5)
    assert said(relay, 1) == ["Customer", "Twice", "Stamp"]


def test_only_columns_that_are_sent_are_named(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table='"dbo.Orders"\nsend = ["OrderId", "Customer", "Total"]\nwatch = ["*"]'))
    relay.insert(1)
    settled(relay)
    relay.stack.host.request("PUT", "/api/relays/dbo.Orders/columns", json={"columns": ["Total"]}).raise_for_status()  # type: ignore[union-attr]
    relay.execute("UPDATE dbo.Orders SET Customer = N'x', Total = 2")
    relay.advance(5)
    assert "Customer" not in relay.posts(1)[-1].body["data"]["row"] and said(relay, 1) == ["Total"]
    relay.execute("UPDATE dbo.Orders SET Secret = N'z'")
    settled(relay)
    relay.execute("UPDATE dbo.Orders SET Secret = N'zz'")
    relay.advance(5)
    assert said(relay, 1) == [], "nothing that is sent"


def test_a_table_without_column_tracking_says_nothing(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay()
    relay.execute(UNTRACK)
    relay.execute("ALTER TABLE dbo.Orders ENABLE CHANGE_TRACKING")
    relay.restart()
    relay.advance(hours=1)
    relay.insert(1)
    settled(relay)
    relay.execute("UPDATE dbo.Orders SET Total = 3")
    relay.advance(60)
    assert said(relay, 1) == "unknown" and len(relay.posts(1)) >= 2


def test_rows_of_a_resync_say_nothing(relay: Relay) -> None:
    relay.insert(1)
    settled(relay)
    relay.execute("UPDATE dbo.Orders SET Total = 3")
    relay.advance(5)
    assert said(relay, 1) == ["Total"]
    relay.stack.host.request("POST", "/api/relays/dbo.Orders/resync").raise_for_status()  # type: ignore[union-attr]
    assert relay.advance(hours=1, until=lambda: said(relay, 1) == "unknown")


def test_the_base_follows_though_a_row_waits(relay: Relay) -> None:
    """Its change lies behind the cursor, and nothing that is known of it is lost."""
    relay.insert(1, 2)
    settled(relay)
    relay.execute("UPDATE dbo.Orders SET Secret = N'x' WHERE OrderId = 1")
    relay.advance(5)
    relay.execute("UPDATE dbo.Orders SET Secret = N'y' WHERE OrderId = 2")
    relay.advance(5)
    relay.reject(3, 503)
    relay.insert(3)
    relay.advance(330)
    assert relay.ledger(), "it waits"
    relay.execute("UPDATE dbo.Orders SET Total = 3 WHERE OrderId = 1")
    relay.advance(5)
    assert said(relay, 1) == ["Total"]
