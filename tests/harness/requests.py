"""What a raw server has read, taken apart; and events of a row by a relay.toml."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rowpost.config.loading import load_config
from rowpost.config.sections import Config
from rowpost.rules.answer import Answer
from rowpost.rules.json_text import JsonValue
from rowpost.rules.row import ClaimedRow
from rowpost.target.delivery import Deliverer
from rowpost.target.event import Event, build_event
from rowpost.target.shape import Shape, shape_of
from tests.harness.raw_server import RawServer

NOW = datetime(2026, 3, 1, 12, 30, 15, 123456, tzinfo=UTC)


@dataclass
class Seen:
    """A request as it came; ``body`` is decoded from gzip, ``raw`` is not."""

    method: str
    path: str
    query: str
    headers: dict[str, str]
    raw: bytes

    @property
    def body(self) -> bytes:
        return gzip.decompress(self.raw) if self.headers.get("content-encoding") == "gzip" else self.raw

    @property
    def json(self) -> Any:
        return json.loads(self.body)


def seen(request: bytes) -> Seen:
    head, _, body = request.partition(b"\r\n\r\n")
    line, *fields = head.decode("latin-1").split("\r\n")
    method, target, _ = line.split(" ")
    path, _, query = target.partition("?")
    headers = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
    return Seen(method, path, query, headers, body)


class Sender:
    """Sends events of the first relay of a relay.toml to a raw server; ``{URL}`` in the text is its address."""

    def __init__(self, text: str, folder: Path, server: RawServer, **settings: str) -> None:
        file = folder / "relay.toml"
        file.write_text(text.replace("{URL}", server.url.removesuffix("/rows")), encoding="utf-8")
        self.config: Config = load_config(file, settings)
        self.shape: Shape = shape_of(self.config.relays[0], self.config.targets[0])
        self._server, self._deliverer = server, Deliverer(self.config.targets[0])

    def event(
        self,
        key: dict[str, JsonValue],
        values: dict[str, JsonValue] | None = None,
        former: tuple[dict[str, JsonValue], ...] = (),
    ) -> Event:
        row = ClaimedRow(key, 7, 1, leased=True, values=values)
        row.former = former
        return build_event(self.shape, row, 0, None, NOW)

    def send(self, *events: Event) -> tuple[list[Answer], list[Seen]]:
        before = len(self._server.requests)
        answers = self._deliverer.deliver(events)
        return answers, [seen(request) for request in self._server.requests[before:]]

    def send_row(self, key: dict[str, JsonValue], values: dict[str, JsonValue] | None = None) -> Seen:
        _, (request,) = self.send(self.event(key, values))
        return request
