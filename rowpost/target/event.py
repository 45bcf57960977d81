"""What is posted: one event per row, as a CloudEvent (structured mode) or as the bare change."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from rowpost.rules.json_text import JsonValue, to_json_text
from rowpost.rules.row import ClaimedRow, key_hash, key_text


class Event(Struct, frozen=True):
    """One row change, ready to post. ``id`` is the same for every retry of the same change.

    Attributes:
        before: what the target is to take first: deletions of the keys under which it knows the row so far.
    """

    id: str
    body: bytes
    content_type: str
    headers: dict[str, str]
    before: tuple[Event, ...] = ()


def event_id(table: str, key_text: str, version: int) -> str:
    """The idempotency key: a hash of table, key and change version."""
    return hashlib.sha256(f"{table}\n{key_text}\n{version}".encode()).hexdigest()[:32]


def build_resync_event(
    table: str,
    resync: str,
    phase: Literal["begun", "completed"],
    since: int,
    now: datetime,
    source: str,
    form: Literal["cloudevents", "plain"],
) -> Event:
    """The event of the beginning or of the end of a resync. Both have the version of its beginning.

    At the end a consumer removes each row of the table that has a lower sequence: it was not sent, since it does not exist.

    Args:
        table: the table's configured name.
        resync: the id of the resync.
        phase: which of the two.
        since: the version with which the resync began.
        now: the time of the event, UTC.
        source: the CloudEvents source.
        form: ``cloudevents`` or ``plain``.
    """
    change = {"table": table, "operation": f"resync-{phase}", "resync": resync, "version": since, "since": since}
    identifier = event_id(table, f"resync {resync} {phase}", since)
    return _posted(identifier, f"rowpost.resync.{phase}", table, since, change, now, source, form)


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
    before = tuple(_event(table, former, row.version, None, now, source, form) for former in row.former)
    return replace(_event(table, row.key, row.version, values, now, source, form), before=before)


def _event(
    table: str,
    key: Mapping[str, JsonValue],
    version: int,
    values: Mapping[str, JsonValue] | None,
    now: datetime,
    source: str,
    form: Literal["cloudevents", "plain"],
) -> Event:
    operation = "delete" if values is None else "upsert"
    text = key_text(key)
    change = {"table": table, "operation": operation, "key": key, "version": version, "row": values}
    kind = f"rowpost.row.{'deleted' if values is None else 'upserted'}"
    return _posted(event_id(table, text, version), kind, f"{table}/{key_hash(text)[:16]}", version, change, now, source, form)


def _posted(
    identifier: str,
    kind: str,
    subject: str,
    version: int,
    data: Mapping[str, Any],
    now: datetime,
    source: str,
    form: Literal["cloudevents", "plain"],
) -> Event:
    headers = {"Idempotency-Key": identifier, "Rowpost-Version": str(version)}
    if form == "plain":
        return Event(identifier, to_json_text(data).encode(), "application/json", headers)
    event = {
        "specversion": "1.0",
        "id": identifier,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "") + "Z",
        "sequence": f"{version:020d}",  # the CloudEvents extension of that name: ordered as text
        "datacontenttype": "application/json",
        "data": data,
    }
    return Event(identifier, to_json_text(event).encode(), "application/cloudevents+json", headers)
