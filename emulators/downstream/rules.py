"""How the downstream emulator can be told to behave: modes of the whole API, rules for single events, settings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from emulators.controls import Delivery
from emulators.downstream.store import Change


@dataclass
class Mode:
    """How the whole API behaves.

    Attributes:
        mode: ``up``; ``down``: every delivery gets ``status``; ``refuse``: the connection is reset, nothing is
            accepted; ``slow``: accepts at once, answers after ``seconds`` of real time; ``flaky``: ``down`` for a
            share ``rate`` of the requests.
        retry_after: value of the Retry-After header of refusing answers, in seconds or as an HTTP date.
        answer: ``reset_after_accept`` accepts, then resets the connection: the client never learns of the delivery.
        until: instant (ISO 8601) of the clock at which the mode ends; ``up`` after it.
        seed: of the choices of ``flaky``.
        path: only requests whose path begins so are meant; others are answered as with ``up``.
    """

    mode: Literal["up", "down", "refuse", "slow", "flaky"] = "up"
    status: int = 503
    retry_after: int | str | None = None
    seconds: float = 0.0
    rate: float = 0.0
    seed: int = 0
    answer: Delivery = "normal"
    until: str | None = None
    path: str = "/"


@dataclass
class Rule:
    """What happens to the events that match.

    Attributes:
        match: any of ``table``, ``key`` (each of its columns must be equal), ``operation``, ``id``, ``version``,
            ``path``; None matches all.
        status: of the answer.
        times: how often the rule applies before it is spent; None is for ever.
        retry_after: value of the Retry-After header.
        body: text of the answer.
        accept: keep the event all the same (an answer that lies).
        answer: as in :class:`Mode`; with ``accept``.
        omit: leave the event out of an answer that has a status for each.
    """

    match: dict[str, Any] | None = None
    status: int = 422
    times: int | None = None
    retry_after: int | str | None = None
    body: str | None = None
    accept: bool = False
    answer: Delivery = "normal"
    omit: bool = False

    def applies(self, change: Change, path: str) -> bool:
        if self.times is not None and self.times <= 0:
            return False
        wanted = dict(self.match or {})
        key = wanted.pop("key", None)
        if key is not None:
            have = change.key if isinstance(change.key, dict) else {}
            if not all(name in have and have[name] == value for name, value in key.items()):
                return False
        facts = {
            "table": change.table,
            "operation": change.operation,
            "id": change.event_id,
            "version": change.version,
            "path": path,
        }
        return all(facts[name] == value for name, value in wanted.items())


@dataclass
class Settings:
    """What the API asks for, and its manners.

    Attributes:
        auth: ``{"header": name, "value": text, "path": prefix}``; anything else is answered 401; ``path`` may be left
            out.
        oauth: ``{"client_id", "client_secret", "lifetime_seconds"}``: asks for bearer tokens of its ``/oauth2/token``.
        accepted_status: of the answer to what was accepted.
        batch: ``all_or_nothing`` answers a batch with the first refusal in it and accepts none of it; ``per_event``
            answers with a status for each and accepts the others; ``unsupported`` answers 415.
        per_event_status: of an answer with a status for each.
        batch_events, batch_bytes: a batch with more events, or a longer body, is answered 413.
    """

    auth: dict[str, str] | None = None
    oauth: dict[str, Any] | None = None
    accepted_status: int = 202
    batch: Literal["all_or_nothing", "per_event", "unsupported"] = "all_or_nothing"
    per_event_status: int = 207
    batch_events: int | None = None
    batch_bytes: int | None = None
