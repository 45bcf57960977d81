"""What consumers make of events whose versions begin again, and what must hold whatever is restored."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.harness.consumer import orders_at_the_consumer
from tests.harness.running_relay import Relay, body_of


def documents(relay: Relay) -> list[dict[str, Any]]:
    """The events that the API took, oldest first."""
    return [body_of(post) for post in relay.posts() if post.status is not None and post.status < 300]


def contents_by_id(relay: Relay) -> dict[str, set[str]]:
    """What was posted under each event id, accepted or not."""
    found: dict[str, set[str]] = {}
    for post in relay.posts():
        event = body_of(post)
        found.setdefault(event["id"], set()).add(repr((event["data"]["operation"], event["data"].get("row"))))
    return found


def rows_of(relay: Relay) -> dict[int, Decimal]:
    """The rows of the database: order → total."""
    found: dict[int, Decimal] = {}
    for order, total in relay.execute("SELECT OrderId, Total FROM dbo.Orders"):
        found[order] = total
    return found


def check(relay: Relay, gone: frozenset[int] = frozenset()) -> None:
    """No id has two contents, and the consumer has what the database has; besides it may have ``gone``."""
    twice = {event: contents for event, contents in contents_by_id(relay).items() if len(contents) > 1}
    assert twice == {}
    have = orders_at_the_consumer(relay)
    assert {order: total for order, total in have.items() if order not in gone} == {o: float(t) for o, t in rows_of(relay).items()}
    assert relay.ledger() == []


def epoch(relay: Relay) -> int:
    """The relay's epoch."""
    ((found,),) = relay.execute("SELECT Epoch FROM rowpost.Relays")
    return int(found)
