"""The contract of all relays as one AsyncAPI 3.0 document: the app sends, and the channels are the addresses of the targets.

Nothing of it is secret: of an address there is the host and the path, of a query and of headers the names.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from msgspec import Struct

from rowpost.config.sections import TargetConfig
from rowpost.contract.schema import BEGUN, COMPLETED, DELETE, UPSERT, Schema, headers_schema, relay_schema
from rowpost.database.table import Table
from rowpost.rules.placeholders import Placeholder, Text
from rowpost.target.body import CLOUD_EVENT, JSON
from rowpost.target.request import Request
from rowpost.target.shape import Shape

VERSION = "3.0.0"
_BINDING = "0.3.0"  # of HTTP
_BATCHES = {"cloudevents": "application/cloudevents-batch+json", "ndjson": "application/x-ndjson"}
_OTHER_NAMES = {"$defs", "$schema", "$id"}
_TITLES = {
    UPSERT: "A row exists",
    DELETE: "A row was deleted",
    BEGUN: "A resync has begun",
    COMPLETED: "A resync is completed",
}
Document = dict[str, Any]


class Described(Struct, frozen=True):
    """A relay as the document needs it.

    Attributes:
        table: as the catalogue has it.
        shape: of its events.
        target: where they are sent.
        chosen: the client's choice of columns; None for all.
    """

    table: Table
    shape: Shape
    target: TargetConfig
    chosen: list[str] | None = None


def asyncapi_document(relays: Iterable[Described]) -> Document:
    """The document of some relays."""
    return _Document(relays).made


class _Document:
    def __init__(self, relays: Iterable[Described]) -> None:
        self._servers: Document = {}
        self._channels: Document = {}
        self._operations: Document = {}
        self._messages: Document = {}
        self._schemas: Document = {}
        for relay in relays:
            self._add(relay)

    @property
    def made(self) -> Document:
        return {
            "asyncapi": VERSION,
            "info": {
                "title": "Events of Rowpost",
                "version": "1.0.0",
                "description": "Row changes of SQL Server tables, each sent at least once. The newest sequence of a row wins.",
            },
            "defaultContentType": CLOUD_EVENT,
            "servers": self._servers,
            "channels": self._channels,
            "operations": self._operations,
            "components": {"messages": self._messages, "schemas": self._schemas},
        }

    def _add(self, relay: Described) -> None:
        slug, shape = relay.table.relay.slug, relay.shape
        schema = relay_schema(relay.table, shape, relay.chosen)
        for name, each in schema["$defs"].items():
            self._schemas[f"{slug}.{name}"] = _in_document(each, slug)
        self._schemas[f"{slug}.event"] = _in_document({"title": schema["title"], "anyOf": schema["anyOf"]}, slug)
        self._schemas[f"{slug}.headers"] = headers_schema(relay.table, shape)
        server = self._server(relay.target)
        for kind, request in ((UPSERT, shape.upsert), (DELETE, shape.delete), (BEGUN, shape.resync), (COMPLETED, shape.resync)):
            if request is not None:
                self._send(relay, server, kind, request, has_body=kind in schema["$defs"])

    def _server(self, target: TargetConfig) -> str:
        name = _key(target.name)
        parts = urlsplit(target.url)
        host = parts.netloc.rpartition("@")[2]
        self._servers[name] = {"host": host, "protocol": parts.scheme, "description": f"The target {target.name}"}
        return name

    def _send(self, relay: Described, server: str, kind: str, request: Request, *, has_body: bool) -> None:
        slug, message = relay.table.relay.slug, f"{relay.table.relay.slug}.{kind}"
        address, parameters = _address(relay.target, request.path)
        channel = self._channel(server, address, parameters)
        self._messages[message] = {
            "name": kind,
            "title": f"{_TITLES[kind]}: {relay.table.name}",
            "headers": _ref(f"{slug}.headers"),
            **({"contentType": _media_type(relay.shape, kind), "payload": _ref(message)} if has_body else {}),
        }
        self._say(channel, message)
        operation = self._operation(f"{slug}.{request.method.lower()}", channel, request)
        self._mean(operation, channel, message)
        if relay.target.batch > 1 and has_body and request.method != "DELETE" and kind in (UPSERT, DELETE):
            batch = f"{slug}.batch"
            form = "cloudevents" if relay.shape.form == "cloudevents" else relay.target.batch_format
            self._messages[batch] = {
                "name": "batch",
                "title": f"Several events: {relay.table.name}",
                "contentType": _BATCHES.get(form, JSON),
                "payload": _ref(batch if form != "ndjson" else f"{slug}.event"),  # of NDJSON it is the schema of a line
            }
            self._say(channel, batch)
            self._mean(operation, channel, batch)

    def _channel(self, server: str, address: str, parameters: Mapping[str, str]) -> str:
        """The channel of an address; relays can share one."""
        wanted = [{"$ref": f"#/servers/{server}"}]
        for name, known in self._channels.items():
            if known["address"] == address and known["servers"] == wanted:
                return name
        name = f"{server}{len(self._channels) + 1}"
        self._channels[name] = {"address": address, "servers": wanted, "messages": {}}
        if parameters:
            described = {key: {"description": text} for key, text in parameters.items()}
            self._channels[name]["parameters"] = described
        return name

    def _operation(self, wanted: str, channel: str, request: Request) -> str:
        """The operation of a method at a channel."""
        reference, name, number = {"$ref": f"#/channels/{channel}"}, wanted, 1
        while name in self._operations and self._operations[name]["channel"] != reference:
            number += 1
            name = f"{wanted}.{number}"
        query = {"query": {"type": "object", "properties": {key: {"type": "string"} for key, _ in request.query}}}
        binding = {"method": request.method, **(query if request.query else {}), "bindingVersion": _BINDING}
        self._operations.setdefault(name, {"action": "send", "channel": reference, "bindings": {"http": binding}, "messages": []})
        return name

    def _say(self, channel: str, message: str) -> None:
        self._channels[channel]["messages"][message] = {"$ref": f"#/components/messages/{message}"}

    def _mean(self, operation: str, channel: str, message: str) -> None:
        reference = {"$ref": f"#/channels/{channel}/messages/{message}"}
        if reference not in self._operations[operation]["messages"]:
            self._operations[operation]["messages"].append(reference)


def _media_type(shape: Shape, kind: str) -> str:
    template = {UPSERT: shape.body, DELETE: shape.delete_body}.get(kind)
    return CLOUD_EVENT if shape.form == "cloudevents" and template is None else JSON


def _address(target: TargetConfig, path: Text) -> tuple[str, dict[str, str]]:
    """The path of a request, with its places as parameters, and what each of these is."""
    parameters: dict[str, str] = {}
    text = ""
    for part in path:
        if isinstance(part, Placeholder):
            name = _key(f"rowpost-{part.name}" if part.attribute else part.name)
            parameters[name] = "an attribute of the event" if part.attribute else f"the column {part.name} of the key"
            text += f"{{{name}}}"
        else:
            text += part
    base = urlsplit(target.url).path
    return (base.removesuffix("/") + text if text else base) or "/", parameters


def _key(name: str) -> str:
    """A name as a key of the document may be."""
    return re.sub(r"[^A-Za-z0-9_-]", lambda match: f"_{ord(match[0]):x}_", name)


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


def _in_document(schema: Any, slug: str) -> Any:
    """A schema of draft 2020-12 as one of AsyncAPI, which is draft 7: references are those of the document."""
    if isinstance(schema, list):
        return [_in_document(each, slug) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _ref(f"{slug}.{schema['$ref'].removeprefix('#/$defs/').replace('#', 'event')}")
    return {
        "items" if name == "prefixItems" else name: value if name == "const" else _in_document(value, slug)
        for name, value in schema.items()
        if name not in _OTHER_NAMES
    }
