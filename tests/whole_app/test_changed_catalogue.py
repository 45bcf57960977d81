"""A table that changes while the app runs: what cannot be relayed any more is not, and what has changed is relayed as it is now."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.harness.running_relay import Relay, changed_config
from tests.whole_app.test_truth import MASK, as_app

UNMASKED = "GRANT UNMASK TO rowpost_app"


@pytest.mark.parametrize("revoked", [False, True], ids=["a mask is added", "the permission to see is revoked"])
def test_no_mask_is_sent_and_the_values_come_when_they_can_be_seen(make_relay: Callable[..., Relay], revoked: bool) -> None:
    relay = as_app(make_relay, statements=(MASK, UNMASKED) if revoked else ())
    relay.insert(1, 2)
    relay.reject(2, 503)
    relay.advance(30)
    relay.execute("REVOKE UNMASK FROM rowpost_app" if revoked else MASK)
    relay.execute("UPDATE dbo.Orders SET Secret = N'changed'")
    relay.insert(3)
    relay.accept_all()
    relay.advance(11 * 60)
    assert relay.accepted(1)["Secret"] == "hidden 1" and not relay.accepted(3)  # type: ignore[index]
    (notice,) = relay.alerts("unable")
    assert "masks instead of the values of Secret" in notice["last_error"]
    relay.execute(UNMASKED)
    new = ["changed", "changed", "hidden 3"]
    assert relay.advance(hours=1, until=lambda: [(relay.accepted(order) or {}).get("Secret") for order in (1, 2, 3)] == new)
    assert relay.advance(hours=1, until=lambda: relay.ledger() == [])
    assert {post.body["data"]["row"]["Secret"] for post in relay.posts()} == {"hidden 1", "hidden 2", "hidden 3", "changed"}


def test_a_mask_that_changes_its_column_is_seen(make_relay: Callable[..., Relay]) -> None:
    """As many columns are masked as before, and one of them is sent now."""
    other = MASK.replace("Secret", "Customer")
    relay = as_app(make_relay, changed_config(table='"dbo.Orders"\nsend = ["OrderId", "Secret"]'), statements=(other,))
    relay.insert(1)
    relay.advance(30)
    relay.execute("ALTER TABLE dbo.Orders ALTER COLUMN Customer DROP MASKED; " + MASK)
    relay.insert(2)
    relay.advance(60)
    assert relay.accepted(1) and not relay.accepted(2)


def test_a_mask_of_a_column_that_is_not_sent_hinders_nothing(make_relay: Callable[..., Relay]) -> None:
    relay = as_app(make_relay, changed_config(table='"dbo.Orders"\nsend = ["OrderId", "Total"]'))
    relay.insert(1)
    relay.advance(30)
    relay.execute(MASK)
    relay.insert(2)
    assert relay.advance(70, until=lambda: relay.accepted(2) is not None)
    relay.insert(3)
    relay.advance(5)
    assert relay.accepted(3) and relay.ledger() == []


def test_a_new_column_is_sent_and_a_new_type_is_read_as_such(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(30)
    relay.execute("ALTER TABLE dbo.Orders ADD Paid datetime2(7) NULL")
    relay.execute("ALTER TABLE dbo.Orders ALTER COLUMN Total decimal(38, 10) NULL")
    relay.advance(6 * 60)
    relay.execute("UPDATE dbo.Orders SET Paid = '2026-01-02T03:04:05.1234567', Total = 1.0000000001")
    relay.advance(30)
    found = relay.accepted(1)
    assert found is not None and (found["Paid"], str(found["Total"])) == ("2026-01-02T03:04:05.1234567", "1.0000000001")
    (notice,) = relay.alerts()
    assert (notice["kind"], notice["last_error"]) == ("columns", "Total was decimal(20, 4) and is decimal(38, 10)")
    relay.advance(hours=2)
    assert len(relay.alerts()) == 1, "once"


CONTINUE = '"dbo.Orders"\nlost_columns = "continue"'


def test_a_column_that_is_gone_is_told_and_the_rest_is_sent(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table=CONTINUE))
    relay.insert(1)
    relay.reject(1, 503)
    relay.advance(30)
    relay.execute("ALTER TABLE dbo.Orders DROP COLUMN Secret")
    relay.accept_all()
    relay.execute("INSERT INTO dbo.Orders VALUES (2, N'a', 1), (3, N'b', 2)")
    assert relay.advance(hours=1, until=lambda: relay.ledger() == [] and all(relay.accepted(order) for order in (1, 2, 3)))
    assert set(relay.accepted(2)) == {"OrderId", "Customer", "Total"}  # type: ignore[arg-type]
    relay.advance(hours=2)
    assert [notice["last_error"] for notice in relay.alerts("columns")] == ["Secret is gone"], "once"
    assert relay.alerts("stalled"), "the trigger's extension read the columns at its start; recovery does its work"


def test_a_relay_stops_at_a_column_that_is_gone_unless_it_may_go_on(relay: Relay) -> None:
    relay.insert(1)
    relay.advance(30)
    relay.execute("ALTER TABLE dbo.Orders DROP COLUMN Secret")
    relay.execute("INSERT INTO dbo.Orders VALUES (2, N'a', 1)")
    relay.advance(hours=1)
    assert relay.accepted(2) is None
    (notice,) = relay.alerts("unable")
    assert "a column that the app read at its start is gone" in notice["last_error"]
    relay.execute("ALTER TABLE dbo.Orders ADD Secret nvarchar(40) NULL")
    assert relay.advance(hours=2, until=lambda: relay.accepted(2) is not None and relay.ledger() == [])


@pytest.mark.parametrize("restarted", [False, True])
def test_a_named_column_that_is_gone(make_relay: Callable[..., Relay], restarted: bool) -> None:
    relay = make_relay(changed_config(table=f'{CONTINUE}\nsend = ["OrderId", "Total", "Secret"]'))
    relay.insert(1)
    relay.advance(30)
    if restarted:
        relay.stack.host.kill()  # type: ignore[union-attr]
    relay.execute("ALTER TABLE dbo.Orders DROP COLUMN Secret")
    relay.execute("UPDATE dbo.Orders SET Total = 7")
    if restarted:
        relay.stack.host.start()  # type: ignore[union-attr]
    assert relay.advance(hours=1, until=lambda: relay.ledger() == [] and str((relay.accepted(1) or {}).get("Total")) == "7.0000")
    relay.advance(hours=2)
    assert set(relay.accepted(1)) == {"OrderId", "Total"}  # type: ignore[arg-type]
    assert [notice["last_error"] for notice in relay.alerts("columns")] == ["Secret is gone"], "once"


def test_what_is_made_of_a_column_that_is_gone_stops_the_relay(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(changed_config(table=f'{CONTINUE}\nwhere = "Secret IS NOT NULL"'))
    relay.insert(1)
    relay.advance(30)
    relay.execute("ALTER TABLE dbo.Orders DROP COLUMN Secret")
    relay.execute("UPDATE dbo.Orders SET Total = 7")
    relay.advance(hours=1)
    (notice,) = relay.alerts("unable")
    assert "relays.where of dbo.Orders" in notice["last_error"] and "Secret" in notice["last_error"]
    relay.execute("ALTER TABLE dbo.Orders ADD Secret nvarchar(40) NOT NULL DEFAULT N'back'")
    assert relay.advance(hours=2, until=lambda: str((relay.accepted(1) or {}).get("Total")) == "7.0000")
