"""One entry of the record: a delivery that was tried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Attempt:
    """One delivery of one event. ``status`` is None if the client does not learn it: the connection was reset, or the event was
    left out of the answer.

    ``whole``: whether the answer was one to a request of several events, and refused it as a whole. The outcome ``spoiled`` is that
    of an event against which the API had nothing then.
    """

    number: int
    request: int
    at: str
    method: str
    path: str
    headers: dict[str, str] = field(repr=False)
    event_id: str | None
    table: str | None
    key: dict[str, Any] | str | None
    version: int | None
    operation: str | None
    status: int | None
    outcome: str
    body: Any = field(repr=False)
    whole: bool = False
