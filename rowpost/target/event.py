"""What is posted: one event per row, as a CloudEvent (structured mode) or as the bare change."""

from __future__ import annotations

import hashlib
from datetime import datetime
from typing import Literal

from msgspec import Struct

from rowpost.rules.json_text import to_json
from rowpost.rules.row import ClaimedRow


class Event(Struct, frozen=True):
    """One row change, ready to post. ``id`` is the same for every retry of the same change."""

    id: str
    body: bytes
    content_type: str
    headers: dict[str, str]


def event_id(table: str, key_text: str, version: int) -> str:
    """The idempotency key: a hash of table, key and change version."""
    return hashlib.sha256(f"{table}\n{key_text}\n{version}".encode()).hexdigest()[:32]


def build_event(
    table: str,
    row: ClaimedRow,
    client_columns: list[str] | None,
    now: datetime,
    source: str,
    form: Literal["cloudevents", "plain"],
) -> Event:
    """The event of a claimed row.

    Args:
        table: the table's configured name.
        client_columns: the client's choice; the values of other columns stay here. The key always travels.
        now: the time of the event, UTC.
        source: the CloudEvents source.
        form: ``cloudevents`` or ``plain``.
    """
    values = row.values
    if values is not None and client_columns is not None:
        wanted = {name.lower() for name in client_columns} | {name.lower() for name in row.key}
        values = {name: value for name, value in values.items() if name.lower() in wanted}
    operation = "delete" if values is None else "upsert"
    change = {"table": table, "operation": operation, "key": row.key, "version": row.version, "row": values}
    identifier = event_id(table, row.key_text, row.version)
    headers = {"Idempotency-Key": identifier, "Rowpost-Version": str(row.version)}
    if form == "plain":
        return Event(identifier, to_json(change).encode(), "application/json", headers)
    event = {
        "specversion": "1.0",
        "id": identifier,
        "source": source,
        "type": f"rowpost.row.{'deleted' if values is None else 'upserted'}",
        "subject": f"{table}/{row.key_hash[:16]}",
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "") + "Z",
        "sequence": f"{row.version:020d}",  # the CloudEvents extension of that name: ordered as text
        "datacontenttype": "application/json",
        "data": change,
    }
    return Event(identifier, to_json(event).encode(), "application/cloudevents+json", headers)
