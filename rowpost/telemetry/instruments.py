"""Every metric: name, kind, unit and attributes, by the semantic conventions of OpenTelemetry (1.43) where they have one.

Attributes have few values: names of relay.toml, and words of this app. So their number does not grow with rows.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Literal

from msgspec import Struct

RELAY, TARGET, BY = "rowpost.relay", "rowpost.target", "rowpost.by"
OUTCOME, VERDICT, PLACE, STATE = "rowpost.outcome", "rowpost.verdict", "rowpost.place", "rowpost.state"
METHOD, SERVER, PORT = "http.request.method", "server.address", "server.port"
STATUS, ERROR = "http.response.status_code", "error.type"


class Name(StrEnum):
    """The names of the metrics."""

    ROWS = "rowpost.rows"
    EVENTS = "rowpost.events"
    REQUESTS = "http.client.request.duration"
    WAITING = "rowpost.rows.waiting"
    DEAD = "rowpost.rows.dead"
    LAG = "rowpost.lag"
    BREAKER = "rowpost.circuit_breaker.state"


class Instrument(Struct, frozen=True):
    """One metric. ``buckets``: upper bounds of a histogram."""

    kind: Literal["counter", "gauge", "histogram"]
    unit: str
    what: str
    attributes: tuple[str, ...]
    buckets: tuple[float, ...] = ()


INSTRUMENTS: dict[Name, Instrument] = {
    Name.ROWS: Instrument("counter", "{row}", "rows, by what became of them", (RELAY, TARGET, BY, OUTCOME)),
    Name.EVENTS: Instrument("counter", "{event}", "events that were sent, by what the target said", (RELAY, TARGET, BY, VERDICT)),
    Name.REQUESTS: Instrument(
        "histogram",
        "s",
        "how long requests to a target took, with the credentials for them and the answer",
        (RELAY, TARGET, METHOD, SERVER, PORT, STATUS, ERROR),
        (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10),  # those of the conventions
    ),
    Name.WAITING: Instrument("gauge", "{row}", "rows that are still to be delivered, by place", (RELAY, TARGET, PLACE)),
    Name.DEAD: Instrument("gauge", "{row}", "dead letters", (RELAY, TARGET)),
    Name.LAG: Instrument("gauge", "s", "how long the oldest change has been waiting", (RELAY, TARGET)),
    Name.BREAKER: Instrument("gauge", "1", "1 for the state of the circuit breaker, 0 for the others", (TARGET, STATE)),
}
