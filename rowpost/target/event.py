"""What is sent: one event per row, with its request and its body as the relay's shape says."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

from msgspec import Struct
from msgspec.structs import replace

from rowpost.config.requests import NOT_THERE
from rowpost.rules.json_text import JsonValue
from rowpost.rules.resync import Cause
from rowpost.rules.row import ClaimedRow, key_hash, key_text
from rowpost.target.body import CLOUD_EVENT, JSON, bare, binary_headers, filled, number_for, numbers_in, structured
from rowpost.target.request import POST, Call, Request, Unfit, Values
from rowpost.target.shape import Shape


class Event(Struct, frozen=True):
    """One row change, ready to be sent. ``id`` is the same for every retry of the same change.

    Attributes:
        content_type: of the body; empty if there is none.
        headers: those that the app sets itself.
        before: what the target is to take first: deletions of the keys under which it knows the row so far.
        call: the request, with what the relay adds to the target's address and headers.
        accepts: statuses besides 2xx with which the target says that it has taken the event.
        version: of the change.
        alone: whether its request can never have others too.
    """

    id: str
    body: bytes
    content_type: str
    headers: dict[str, str]
    before: tuple[Event, ...] = ()
    call: Call = POST
    accepts: frozenset[int] = frozenset()
    version: int = 0
    alone: bool = False


def event_id(table: str, key_text: str, version: int, epoch: int = 0) -> str:
    """The idempotency key: a hash of the epoch, table, key and change version; without the epoch if that is 0."""
    life = f"{epoch}\n" if epoch else ""
    return hashlib.sha256(f"{life}{table}\n{key_text}\n{version}".encode()).hexdigest()[:32]


def sequence(version: int, epoch: int) -> str:
    """What orders the states of a row, as text: by epoch, then by version. Every epoch above 0 is behind 0, as text too."""
    return f"{epoch:010d}.{version:020d}" if epoch else f"{version:020d}"


def build_resync_event(
    shape: Shape,
    resync: str,
    phase: Literal["begun", "completed"],
    place: tuple[int, int],
    now: datetime,
    cause: Cause = Cause.RESYNC,
) -> Event:
    """The event of the beginning or of the end of a resync. Both have the version of its beginning.

    At the end a consumer removes each row of the table that has a lower sequence: it was not sent, since it does not exist.

    Args:
        shape: of the relay's events; it has a request for these.
        resync: the id of the resync.
        phase: which of the two.
        place: the epoch and the version with which the resync began.
        now: the time of the event, UTC.
        cause: why the table is sent.
    """
    epoch, since = place
    operation = f"resync-{phase}"
    change = {
        "table": shape.table,
        "operation": operation,
        "resync": resync,
        "cause": cause,
        "epoch": epoch,
        "version": since,
        "since": since,
    }
    identifier = event_id(shape.table, f"resync {resync} {phase}", since, epoch)
    attributes = _attributes(shape, identifier, f"rowpost.resync.{phase}", shape.table, place, now)
    named = {**attributes, "table": shape.table, "operation": operation, "epoch": epoch, "version": since, "snapshot": resync}
    call = (shape.resync or Request()).to(Values({}, named))
    body, content_type, more = _body(shape, attributes, change)
    return Event(identifier, body, content_type, {**_own_headers(identifier, place, resync), **more}, call=call)


def build_event(shape: Shape, row: ClaimedRow, epoch: int, client_columns: list[str] | None, now: datetime) -> Event:
    """The event of a claimed row.

    Args:
        shape: of the relay's events.
        row: the claimed row.
        epoch: of the relay, as it was claimed.
        client_columns: the client's choice; the values of other columns stay here. The key always travels.
        now: the time of the event, UTC.

    Raises:
        Unfit: it may not be sent: it is too large, or its key cannot stand in the path.
    """
    values = row.values
    if values is not None and client_columns is not None:
        wanted = {name.lower() for name in client_columns} | {name.lower() for name in row.key}
        values = {name: value for name, value in values.items() if name.lower() in wanted}
    name = key_text(row.key) if row.former else row.key_text
    event = _event(shape, row.key, name, (epoch, row.version), values, now, changed=row.changed, snapshot=row.snapshot)
    if row.left and values is None:  # the target may not have it
        event = replace(event, accepts=event.accepts | frozenset(NOT_THERE))
    return replace(event, before=tuple(_deletions(shape, row, epoch, now))) if row.former else event


def _deletions(shape: Shape, row: ClaimedRow, epoch: int, now: datetime) -> Iterator[Event]:
    for former in row.former:
        try:
            yield _event(shape, former, key_text(former), (epoch, row.version), None, now)
        except Unfit:  # so it was never sent under that key
            continue


def _event(
    shape: Shape,
    key: Mapping[str, JsonValue],
    text: str,
    place: tuple[int, int],
    values: Mapping[str, JsonValue] | None,
    now: datetime,
    changed: Sequence[str] | None = None,
    snapshot: str | None = None,
) -> Event:
    epoch, version = place
    deleted = values is None
    request, template = (shape.delete, shape.delete_body) if deleted else (shape.upsert, shape.body)
    identifier = event_id(shape.table, text, version, epoch)
    change: dict[str, Any] = {
        "table": shape.table,
        "operation": "delete" if deleted else "upsert",
        "key": key,
        "epoch": epoch,
        "version": version,
        "row": values,
    }
    if changed is not None and values is not None:
        change["changed"] = [name for name in changed if name in values]
    if snapshot is not None:
        change["snapshot"] = snapshot
    kind = f"rowpost.row.{'deleted' if deleted else 'upserted'}"
    attributes = _attributes(shape, identifier, kind, f"{shape.table}/{key_hash(text)[:16]}", place, now)
    named = {"snapshot": "", **attributes, **change}
    call = POST if request.is_plain else request.to(Values(key, named))
    more: dict[str, str] = {}
    if template is not None:
        known = Values({**key, **(values or {})}, named, lambda value: number_for(value, shape.numbers))
        body, content_type = bare(filled(template, known)), JSON
    elif call.method == "DELETE":
        # RFC 9110, 9.3.5: a body of a DELETE has no meaning, and servers may refuse the request for it.
        body, content_type, more = b"", "", binary_headers(attributes) if shape.form == "cloudevents-binary" else {}
    elif shape.form == "row":
        body, content_type = bare(numbers_in(key if values is None else values, shape.numbers)), JSON
    else:
        body, content_type, more = _body(shape, attributes, change)
    if shape.limit is not None and len(body) > shape.limit:
        raise Unfit(f"its event has {len(body)} bytes, and at most {shape.limit} are sent (max_event_bytes)")
    headers = {**_own_headers(identifier, place, snapshot), **more}
    alone = not (request.is_plain or request.is_shared)
    return Event(identifier, body, content_type, headers, call=call, accepts=request.accepts, version=version, alone=alone)


def _attributes(shape: Shape, identifier: str, kind: str, subject: str, place: tuple[int, int], now: datetime) -> dict[str, Any]:
    """The attributes of a CloudEvent, all of them texts."""
    epoch, version = place
    return {
        "id": identifier,
        "source": shape.source,
        "type": kind,
        "subject": subject,
        "time": _instant(now),
        "sequence": sequence(version, epoch),  # the CloudEvents extension of that name: ordered as text
    }


@lru_cache(maxsize=16)
def _instant(now: datetime) -> str:
    """An instant as RFC 3339 has it. All events of a batch have the same."""
    return now.isoformat(timespec="milliseconds").replace("+00:00", "") + "Z"


def _own_headers(identifier: str, place: tuple[int, int], snapshot: str | None) -> dict[str, str]:
    epoch, version = place
    headers = {"Idempotency-Key": identifier, "Rowpost-Version": str(version), "Rowpost-Epoch": str(epoch)}
    return headers if snapshot is None else {**headers, "Rowpost-Snapshot": snapshot}


def _body(shape: Shape, attributes: Mapping[str, str], change: Mapping[str, Any]) -> tuple[bytes, str, dict[str, str]]:
    """The body of a change, its type, and the headers that belong to it."""
    data = numbers_in(change, shape.numbers)
    if shape.form == "cloudevents":
        return structured(attributes, data), CLOUD_EVENT, {}
    return bare(data), JSON, binary_headers(attributes) if shape.form == "cloudevents-binary" else {}
