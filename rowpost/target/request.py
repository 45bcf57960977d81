"""The request of an event: method, path, query and headers, with the key of the row in its places."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import quote, urlsplit, urlunsplit

from msgspec import Struct

from rowpost.config.batches import is_shared
from rowpost.config.requests import NOT_THERE, read_line, read_value
from rowpost.config.sections import RelayConfig
from rowpost.rules.json_text import JsonValue, value_text
from rowpost.rules.placeholders import Placeholder, Text, columns_of, fill

_NO_SEGMENT = re.compile(r"(?:\.|%2e){0,2}", re.IGNORECASE)


class Unfit(Exception):
    """An event that may not be sent, whatever the target says. The text has no value of the row."""


class Request(Struct, frozen=True):
    """Where the events of one kind go, with places for the key.

    Attributes:
        path: is added to that of the target's address.
        query: is added to that of the target's address.
        headers: those of the relay; they win over the target's.
        accepts: statuses besides 2xx with which the target says that it has taken the event.
    """

    method: str = "POST"
    path: Text = ()
    query: tuple[tuple[str, Text], ...] = ()
    headers: tuple[tuple[str, Text], ...] = ()
    accepts: frozenset[int] = frozenset()

    @property
    def is_plain(self) -> bool:
        """Whether it is a POST to the target's address as it is."""
        return self.method == "POST" and not (self.path or self.query or self.headers)

    @property
    def is_shared(self) -> bool:
        """Whether it is the same for all events. A DELETE is that of one row: its body has no meaning (RFC 9110, 9.3.5)."""
        texts = (self.path, *(text for _, text in (*self.query, *self.headers)))
        return self.method != "DELETE" and all(is_shared(part) for text in texts for part in text if isinstance(part, Placeholder))

    def to(self, values: Values) -> Call:
        """The request of one event.

        Raises:
            Unfit: the path would lead elsewhere: a segment would be empty, or one that clients and proxies take out.
        """
        path = fill(self.path, values.encoded)
        shape = fill(self.path, lambda _: "{}").split("/")
        for segment, pattern in zip(path.split("/"), shape, strict=True):
            if "{}" in pattern and _NO_SEGMENT.fullmatch(segment):
                raise Unfit("its key cannot stand in the path of the request: a part of the path would be empty, or . or ..")
        query = "&".join(f"{encode(name)}={fill(text, values.encoded, encode)}" for name, text in self.query)
        headers = {name: fill(text, values.encoded).strip(" \t") for name, text in self.headers}
        return Call(self.method, path, query, headers)

    def without_columns(self) -> Request:
        """The same for an event that is of no row: what names a column is left out of query and headers."""
        query, headers = (
            tuple((name, text) for name, text in pairs if not any(columns_of(text))) for pairs in (self.query, self.headers)
        )
        return Request(self.method, self.path, query, headers)


class Call(Struct, frozen=True):
    """A request as it is sent."""

    method: str
    path: str
    query: str
    headers: dict[str, str]


POST = Call("POST", "", "", {})
"""To the target's address as it is."""


class Values:
    """What the placeholders of an event stand for.

    Args:
        columns: the values that may be named, by column.
        attributes: of the event.
        as_sent: how a value is written in JSON.
    """

    def __init__(
        self,
        columns: Mapping[str, JsonValue],
        attributes: Mapping[str, JsonValue | Mapping[str, JsonValue]],
        as_sent: Callable[[JsonValue], JsonValue] = lambda value: value,
    ) -> None:
        self._columns = {name.lower(): value for name, value in columns.items()}
        self._attributes, self._as_sent = attributes, as_sent

    def value(self, place: Placeholder) -> JsonValue | Mapping[str, JsonValue]:
        """The value as JSON has it. That of a column which may not leave, or is not known, is null."""
        if place.attribute:
            found = self._attributes[place.name]
            if isinstance(found, Mapping):
                return {name: self._as_sent(value) for name, value in found.items()}
            return self._as_sent(found)
        return self._as_sent(self._columns.get(place.name.lower()))

    def text(self, place: Placeholder) -> str:
        """The value as text."""
        value = self.value(place)
        return "" if isinstance(value, Mapping) else value_text(value)

    def encoded(self, place: Placeholder) -> str:
        """The value as text, percent-encoded: only letters, digits and - . _ ~ stand for themselves (RFC 3986, 2.3)."""
        return encode(self.text(place))


def encode(text: str) -> str:
    """The text as UTF-8, with all bytes percent-encoded but those of unreserved characters."""
    return quote(text, safe="")


def address(url: str, path: str, query: str) -> str:
    """The address of a target with a path and a query of a relay's."""
    if not path and not query:
        return url
    parts = urlsplit(url)
    joined = parts.path.removesuffix("/") + path if path else parts.path
    return urlunsplit((parts.scheme, parts.netloc, joined, "&".join(filter(None, (parts.query, query))), ""))


def requests_of(relay: RelayConfig, *, events_are_known: bool) -> tuple[Request, Request, Request | None]:
    """The requests of a relay: of an upsert, of a deletion, and of the events of a resync.

    The last is None if the target cannot know such events: it is called as what it was before, or gets bodies that are no events
    (``events_are_known`` is false), and no path is given for them.
    """
    query, headers = (tuple((name, read_value(text)) for name, text in pairs.items()) for pairs in (relay.query, relay.headers))

    def made(written: str | None, accepts: frozenset[int] = frozenset()) -> Request:
        method, path = ("POST", ()) if written is None else ((line := read_line(written)).method, line.path)
        return Request(method, path, query, headers, accepts)

    own = relay.upsert is not None or relay.delete is not None or not events_are_known
    resync = None if own and relay.resync is None else made(relay.resync).without_columns()
    return made(relay.upsert), made(relay.delete, frozenset(relay.delete_success) & frozenset(NOT_THERE)), resync
