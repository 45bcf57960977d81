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


def event_id(table: str, key_text: str, version: int, epoch: int = 0) -> str:
    """The idempotency key: a hash of the epoch, table, key and change version; without the epoch if that is 0."""
    life = f"{epoch}\n" if epoch else ""
    return hashlib.sha256(f"{life}{table}\n{key_text}\n{version}".encode()).hexdigest()[:32]


def sequence(version: int, epoch: int) -> str:
    """What orders the states of a row, as text: by epoch, then by version. Every epoch above 0 is behind 0, as text too."""
    return f"{epoch:010d}.{version:020d}" if epoch else f"{version:020d}"


def build_resync_event(
    table: str,
    resync: str,
    phase: Literal["begun", "completed"],
    place: tuple[int, int],
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
        place: the epoch and the version with which the resync began.
        now: the time of the event, UTC.
        source: the CloudEvents source.
        form: ``cloudevents`` or ``plain``.
    """
    epoch, since = place
    operation = f"resync-{phase}"
    change = {"table": table, "operation": operation, "resync": resync, "epoch": epoch, "version": since, "since": since}
    identifier = event_id(table, f"resync {resync} {phase}", since, epoch)
    return _posted(identifier, f"rowpost.resync.{phase}", table, place, change, now, source, form)


def build_event(
    table: str,
    row: ClaimedRow,
    epoch: int,
    client_columns: list[str] | None,
    now: datetime,
    source: str,
    form: Literal["cloudevents", "plain"],
) -> Event:
    """The event of a claimed row.

    Args:
        table: the table's configured name.
        row: the claimed row.
        epoch: of the relay, as it was claimed.
        client_columns: the client's choice; the values of other columns stay here. The key always travels.
        now: the time of the event, UTC.
        source: the CloudEvents source.
        form: ``cloudevents`` or ``plain``.
    """
    values = row.values
    if values is not None and client_columns is not None:
        wanted = {name.lower() for name in client_columns} | {name.lower() for name in row.key}
        values = {name: value for name, value in values.items() if name.lower() in wanted}
    before = tuple(_event(table, former, (epoch, row.version), None, now, source, form) for former in row.former)
    return replace(_event(table, row.key, (epoch, row.version), values, now, source, form), before=before)


def _event(
    table: str,
    key: Mapping[str, JsonValue],
    place: tuple[int, int],
    values: Mapping[str, JsonValue] | None,
    now: datetime,
    source: str,
    form: Literal["cloudevents", "plain"],
) -> Event:
    epoch, version = place
    operation = "delete" if values is None else "upsert"
    text = key_text(key)
    change = {"table": table, "operation": operation, "key": key, "epoch": epoch, "version": version, "row": values}
    kind = f"rowpost.row.{'deleted' if values is None else 'upserted'}"
    subject = f"{table}/{key_hash(text)[:16]}"
    return _posted(event_id(table, text, version, epoch), kind, subject, place, change, now, source, form)


def _posted(
    identifier: str,
    kind: str,
    subject: str,
    place: tuple[int, int],
    data: Mapping[str, Any],
    now: datetime,
    source: str,
    form: Literal["cloudevents", "plain"],
) -> Event:
    epoch, version = place
    headers = {"Idempotency-Key": identifier, "Rowpost-Version": str(version), "Rowpost-Epoch": str(epoch)}
    if form == "plain":
        return Event(identifier, to_json_text(data).encode(), "application/json", headers)
    event = {
        "specversion": "1.0",
        "id": identifier,
        "source": source,
        "type": kind,
        "subject": subject,
        "time": now.isoformat(timespec="milliseconds").replace("+00:00", "") + "Z",
        "sequence": sequence(version, epoch),  # the CloudEvents extension of that name: ordered as text
        "datacontenttype": "application/json",
        "data": data,
    }
    return Event(identifier, to_json_text(event).encode(), "application/cloudevents+json", headers)
