"""What tests of snapshots share: a table that has rows before anything is tracked, and the marks of what was sent."""

from __future__ import annotations

from typing import Any

from tests.harness.running_relay import CONFIG, ORDERS, Relay, body_of

SNAPSHOT = CONFIG + 'initial = "snapshot"\n'


def orders_before(count: int) -> str:
    """A script of dbo.Orders with rows that were there before their changes were tracked: nothing but a snapshot sends them."""
    parts = [ORDERS]
    for first in range(1, count + 1, 900):
        rows = ", ".join(f"({n}, N'customer {n}', 10.5, N'hidden {n}')" for n in range(first, min(first + 900, count + 1)))
        parts.append(f"INSERT INTO dbo.Orders (OrderId, Customer, Total, Secret) VALUES {rows}")
    return "\nGO\n".join(parts)


def marks(relay: Relay) -> dict[str, str | None]:
    """The mark of each row event that was ever posted, by its id: the same in the body and in the header, and at each attempt.

    Raises:
        AssertionError: an event came with two marks, or with one in the body and another one in the header.
    """
    found: dict[str, str | None] = {}
    for attempt in relay.posts():
        if attempt.key is None:
            continue
        data: dict[str, Any] = body_of(attempt)["data"]
        mark = data.get("snapshot")
        assert attempt.headers.get("Rowpost-Snapshot") == mark, attempt
        assert mark is None or mark == data["snapshot"] != ""
        assert found.setdefault(str(attempt.event_id), mark) == mark, f"{attempt.key} came with {mark} and {found}"
    return found


def completed(relay: Relay) -> bool:
    """Whether the last resync has completed."""
    return (relay.status()["resync"] or {}).get("state") == "completed"
