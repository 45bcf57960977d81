"""What consumers make of events whose versions begin again, and what must hold whatever is restored."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.harness.running_relay import Relay, body_of


def documents(relay: Relay) -> list[dict[str, Any]]:
    """The events that the API took, oldest first."""
    return [body_of(post) for post in relay.posts() if post.status is not None and post.status < 300]


def contents_by_id(relay: Relay) -> dict[str, set[str]]:
    """What was posted under each event id, accepted or not."""
    found: dict[str, set[str]] = {}
    for post in relay.posts():
        event = body_of(post)
        found.setdefault(event["id"], set()).add(repr((event["data"]["operation"], event["data"]["row"])))
    return found


def greatest_by_sequence(relay: Relay) -> dict[int, Any]:
    """The rows of a consumer that keeps, of each key, the event with the greatest sequence as text: order → total."""
    kept: dict[int, dict[str, Any]] = {}
    for event in documents(relay):
        order = event["data"]["key"]["OrderId"]
        if order not in kept or event["sequence"] > kept[order]["sequence"]:
            kept[order] = event
    return {order: event["data"]["row"]["Total"] for order, event in kept.items() if event["data"]["row"] is not None}


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
    have = greatest_by_sequence(relay)
    assert {order: total for order, total in have.items() if order not in gone} == rows_of(relay)
    assert relay.ledger() == []


def epoch(relay: Relay) -> int:
    """The relay's epoch."""
    ((found,),) = relay.execute("SELECT Epoch FROM rowpost.Relays")
    return int(found)
