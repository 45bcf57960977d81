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
    assert relay.alerts() == []
