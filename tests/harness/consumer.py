"""A consumer that follows the rule of the documents: it keeps the sequence of each row, and believes the end of a resync."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from emulators.downstream.attempt import Attempt
from tests.harness.running_relay import Relay

KeyText = str


class Consumer:
    """The copy of one table that grows from events. It has no other source."""

    def __init__(self) -> None:
        self.rows: dict[KeyText, dict[str, Any] | None] = {}  # None: deleted
        self.sequences: dict[KeyText, str] = {}
        self.floor = ""

    def take(self, event: dict[str, Any]) -> None:
        sequence = event["sequence"]
        if event["type"] == "rowpost.resync.completed":
            self.floor = max(self.floor, sequence)
            for key in [key for key, known in self.sequences.items() if known < sequence]:
                del self.rows[key], self.sequences[key]
        elif event["type"].startswith("rowpost.row."):
            key = json.dumps(event["data"]["key"], sort_keys=True, default=str)
            if sequence > self.sequences.get(key, "") and sequence >= self.floor:
                self.rows[key], self.sequences[key] = event["data"]["row"], sequence

    @property
    def copy(self) -> dict[KeyText, dict[str, Any]]:
        """What it has of the table."""
        return {key: row for key, row in self.rows.items() if row is not None}


def consumer_of(attempts: Iterable[Attempt]) -> Consumer:
    """What a consumer has that took each event in the order of the answers."""
    consumer = Consumer()
    for attempt in attempts:
        if attempt.path == "/rows" and attempt.outcome not in ("refused", "down", "unauthorised"):
            consumer.take(attempt.body)
    return consumer


def orders_at_the_consumer(relay: Relay) -> dict[int, float]:
    """The orders that a consumer has: total by id."""
    copy = consumer_of(relay.stack.downstream.attempts()).copy
    return {json.loads(key)["OrderId"]: float(row["Total"]) for key, row in copy.items()}


def orders_in_the_table(relay: Relay) -> dict[int, float]:
    """The orders of the database: total by id."""
    return {order: float(total) for order, total in relay.execute("SELECT OrderId, Total FROM dbo.Orders")}


def resync_events(relay: Relay, phase: str = "") -> list[Attempt]:
    """Attempts to tell the API of a resync."""
    return [attempt for attempt in relay.stack.downstream.attempts() if str(attempt.operation).startswith(f"resync-{phase}")]
