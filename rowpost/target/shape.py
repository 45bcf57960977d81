"""How the events of a relay look: its section and its target's, read once."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from rowpost.config.requests import effective_format, read_body
from rowpost.config.sections import Format, Numbers, RelayConfig, TargetConfig
from rowpost.target.request import Request, requests_of


class Shape(Struct, frozen=True):
    """How the events of a relay look.

    Attributes:
        table: the table's configured name.
        source: the CloudEvents source.
        form: of the bodies that have no template.
        numbers: how numbers are written that a double cannot hold.
        limit: a body with more bytes is never sent; None if there is no limit.
        upsert: the request of a row that exists.
        delete: the request of a row that was deleted.
        resync: the request of the events of a resync; None if they are not sent.
        body: the template of the body of a row that exists, if it has one.
        delete_body: the template of the body of a row that was deleted, if it has one.
    """

    table: str
    source: str = "rowpost"
    form: Format = "cloudevents"
    numbers: Numbers = "string"
    limit: int | None = None
    upsert: Request = Request()
    delete: Request = Request()
    resync: Request | None = Request()
    body: Any = None
    delete_body: Any = None


def shape_of(relay: RelayConfig, target: TargetConfig) -> Shape:
    """Read the shape of a relay's events.

    Raises:
        ValueError: a text of the section is wrong; :func:`rowpost.config.loading.load_config` says so with the field.
    """
    form = effective_format(relay, target)
    templates = relay.body is not None or relay.delete_body is not None
    upsert, delete, resync = requests_of(relay, events_are_known=form != "row" and not templates)
    return Shape(
        table=relay.table,
        source=target.source,
        form=form,
        numbers=relay.numbers or target.numbers,
        limit=relay.max_event_bytes or target.max_event_bytes,
        upsert=upsert,
        delete=delete,
        resync=resync,
        body=None if relay.body is None else read_body(relay.body),
        delete_body=None if relay.delete_body is None else read_body(relay.delete_body),
    )
