"""What would be sent, for people: without secrets, and without values of rows unless they are asked for."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from msgspec import Struct

from rowpost.config.sections import TargetConfig
from rowpost.rules.row import ClaimedRow
from rowpost.target.event import Event
from rowpost.target.request import address

HIDDEN = "…"  # stands for a value that is not shown


class WouldSend(Struct, frozen=True):
    """A request as it would be sent now. Nothing is sent.

    Attributes:
        method: of the request.
        url: its address. Values of the query that the target's address has in relay.toml are hidden, since they may be secrets.
        headers: those that the app sets. The values of headers that relay.toml names are hidden.
        body: JSON as it is sent, or text if it is none; null if there is none.
    """

    method: str
    url: str
    headers: dict[str, str]
    body: Any


def shown(event: Event, target: TargetConfig) -> WouldSend:
    """The request of an event that was built, without secrets. How the app shows who it is is left out."""
    configured = dict.fromkeys([*target.headers, *event.call.headers], HIDDEN)
    headers = {**event.headers, **({"Content-Type": event.content_type} if event.body else {})}
    named = {name.lower() for name in configured}
    headers = {name: value for name, value in headers.items() if name.lower() not in named} | configured
    url = address(public_address(target.url), event.call.path, event.call.query)
    return WouldSend(event.call.method, url, headers, _body(event.body))


def public_address(url: str) -> str:
    """An address without user, password and the values of its query."""
    parts = urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    query = urlencode([(name, HIDDEN) for name, _ in parse_qsl(parts.query, keep_blank_values=True)], safe=HIDDEN)
    return urlunsplit((parts.scheme, host, parts.path, query, ""))


def hide_values(row: ClaimedRow) -> None:
    """Put a mark in the place of each value of the row but those of its key, which is named anyway."""
    if row.values is not None:
        row.values = {name: _hidden(name, value, row.key) for name, value in row.values.items()}


def _hidden(name: str, value: Any, key: Mapping[str, Any]) -> Any:
    return value if name in key else HIDDEN


def _body(body: bytes) -> Any:
    if not body:
        return None
    text = body.decode(errors="replace")
    try:
        return json.loads(text, parse_float=Decimal)
    except ValueError:
        return text
