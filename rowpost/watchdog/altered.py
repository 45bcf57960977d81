"""Columns that are sent and have changed while the app runs: gone, or of another type. People are told once; relaying goes on."""

from __future__ import annotations

import hashlib

from msgspec import Struct

from rowpost.config.sections import RelayConfig
from rowpost.database.table import Table
from rowpost.notices.message import Notice


class Altered(Struct, frozen=True):
    """What has changed of a table.

    Attributes:
        table: as it is now.
        lost: columns that are gone.
        text: what people are to be told, in one sentence; it names columns and types only.
    """

    table: Table
    lost: tuple[str, ...]
    text: str


def altered(before: Table, now: Table) -> Altered | None:
    """What has changed of the columns that may leave; None if that is nothing, or if there are only new ones."""
    known = {column.name.lower(): column for column in now.columns}
    gone = [column.name for column in before.columns if column.name.lower() not in known]
    lost = tuple(dict.fromkeys([*gone, *(name for name in now.lost if name.lower() not in {other.lower() for other in gone})]))
    said = [f"{name} is gone" for name in lost]
    for column in before.columns:
        other = known.get(column.name.lower())
        if other is not None and other.declaration != column.declaration:
            said.append(f"{column.name} was {column.declaration} and is {other.declaration}")
    return Altered(now, lost, ", ".join(said)) if said else None


def altered_notice(relay: RelayConfig, found: Altered, at: str) -> Notice:
    """What people are to be told, once; ``at`` is the time of the look, ISO 8601, UTC."""
    return {
        "id": f"notice-columns-{relay.slug}-{hashlib.sha256(found.text.encode()).hexdigest()[:8]}",
        "kind": "columns",
        "relay": relay.name,
        "rows": 0,
        "round": 0,
        "since": None,
        "at": at,
        "last_error": found.text,
    }
