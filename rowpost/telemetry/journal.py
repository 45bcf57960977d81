"""What happened in one batch, redelivery or order: its trace, its requests, and the lines of the log that tell of them.

Requests are made in threads of the app's own, of which the host would drop each line. So they are noted here, and who has begun the
journal logs them.
"""

from __future__ import annotations

import json
import logging
import secrets
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import urlsplit

from msgspec import Struct

from rowpost.config.sections import TargetConfig, TelemetryConfig
from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.trace_context import TRACEPARENT, TraceContext, parse
from rowpost.telemetry.instruments import BY, ERROR, METHOD, OUTCOME, PORT, RELAY, SERVER, STATUS, TARGET, VERDICT, Name

if TYPE_CHECKING:
    from rowpost.telemetry.signals import OpenSpan, Signals

ATTEMPT_LINE = "relay_attempt "  # the workbook of infra/ looks for it
NO_ANSWER = "no answer"
_DEFAULTS = TelemetryConfig()
_SPAN_OF_BATCH = "rowpost.batch"
_log = logging.getLogger("rowpost.telemetry")


class Doer(StrEnum):
    """Who has done something with rows."""

    TRIGGER = "trigger"  # a batch
    RECOVERY = "recovery"  # a redelivery, also of rows that are replayed or sent again by a resync; and planning
    WATCHDOG = "watchdog"  # the same, in the place of a recovery that does not move
    OPERATOR = "operator"  # dead letters that are replayed: they wait again


class About(Struct, frozen=True):
    """What a request is about.

    Attributes:
        identifier: of its event; of a request with several events that of the request.
        version: of the change; with several, the highest.
        attempt: the how manieth it is for the row; with several, the highest.
        events: how many it has.
        method: of the request.
    """

    identifier: str
    version: int
    attempt: int
    events: int
    method: str


class Attempt(Struct, frozen=True):
    """A request that was made. ``verdicts``: what its answer says, and of how many events."""

    about: About
    status: int | None
    seconds: float
    verdicts: Mapping[str, int]
    error: str | None

    @property
    def failed(self) -> bool:
        """Whether anything but a delivery came of it."""
        return set(self.verdicts) != {Verdict.DELIVERED.value}


class Journal:
    """Of one relay, while something is done for it; used as a context manager, it logs its attempts at the end.

    Safe to use from several threads.

    Attributes:
        relay, by: whose, and who does it.
        trace_id: of all that is done: that of the invocation, if it has one.
        attempts: requests so far.
    """

    def __init__(
        self,
        config: TelemetryConfig = _DEFAULTS,
        relay: str = "",
        target: TargetConfig | None = None,
        by: Doer = Doer.TRIGGER,
        invocation: str | None = None,
        signals: Signals | None = None,
    ) -> None:
        self.relay, self.by, self.attempts = relay, by, list[Attempt]()
        self.config, self.signals, self._target = config, signals, target
        place = parse(invocation)
        self._span: OpenSpan | None = None
        if signals is not None:
            self._span = signals.begin(_SPAN_OF_BATCH, place, self._names)
            place = self._span.place
        self._place = place
        self.trace_id = place.trace_id if place is not None else secrets.token_hex(16)
        self._begun = time.monotonic()

    @property
    def _names(self) -> dict[str, str]:
        return {RELAY: self.relay, TARGET: "" if self._target is None else self._target.name, BY: self.by.value}

    @property
    def seconds(self) -> float:
        """How long it has been going on."""
        return time.monotonic() - self._begun

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        """The end: attempts are logged, whatever became of the rows."""
        for attempt, alike in self._to_be_told():
            _log.info("%s", self._line(attempt, alike))
        if self._span is not None:
            self._span.end({}, None if kind is None else kind.__name__)

    def _to_be_told(self) -> list[tuple[Attempt, int]]:
        """The attempts that have a line, and for how many more like it each line stands.

        Of a target that is down one line for each kind of failure is enough: a log is a cost. What is about a row has its own.
        """
        attempts = tuple(self.attempts)
        if self.config.attempts == "all":
            return [(attempt, 0) for attempt in attempts]
        told: list[tuple[Attempt, int]] = []
        alike: dict[tuple[int | None, str | None], list[Attempt]] = {}
        for attempt in attempts if self.config.attempts == "failed" else ():
            if Verdict.REJECTED.value in attempt.verdicts:
                told.append((attempt, 0))
            elif attempt.failed:
                alike.setdefault((attempt.status, attempt.error), []).append(attempt)
        return [*told, *((some[0], len(some) - 1) for some in alike.values())]

    def request(self, about: About) -> Sending:
        """A request begins."""
        span = None
        if self.signals is not None:
            names = {**self._names, METHOD: about.method, **self._server, "rowpost.events": about.events}
            names |= {"cloudevents.event_id": about.identifier} if about.events == 1 else {}
            span = self.signals.begin(about.method, self._place, names, client=True)
        # Sampled: the log has the trace. A target that samples as it is told would record nothing of a caller who says no.
        place = TraceContext(self.trace_id, secrets.token_hex(8)) if span is None else span.place
        return Sending(self, about, place, span)

    def note(self, attempt: Attempt) -> None:
        """A request is over."""
        self.attempts.append(attempt)
        if self.signals is None:
            return
        names = self._names
        for verdict, count in attempt.verdicts.items():
            self.signals.note(Name.EVENTS, count, {**names, VERDICT: verdict})
        self.signals.note(Name.REQUESTS, attempt.seconds, {RELAY: names[RELAY], TARGET: names[TARGET], **self.answered(attempt)})

    def answered(self, attempt: Attempt) -> dict[str, str | int]:
        """What the semantic conventions say of a request by HTTP."""
        found: dict[str, str | int] = {METHOD: attempt.about.method, **self._server}
        if attempt.status is not None:
            found[STATUS] = attempt.status
        if attempt.status is None or attempt.status >= 400:
            found[ERROR] = NO_ANSWER if attempt.status is None else str(attempt.status)
        return found

    def count_rows(self, outcomes: Mapping[str, int]) -> None:
        """What became of rows, by outcome."""
        if self.signals is not None:
            for outcome, count in outcomes.items():
                if count:
                    self.signals.note(Name.ROWS, count, {**self._names, OUTCOME: outcome})

    @property
    def _server(self) -> dict[str, str | int]:
        parts = urlsplit("" if self._target is None else self._target.url)
        return {SERVER: parts.hostname or "", PORT: parts.port or (80 if parts.scheme == "http" else 443)}

    def _line(self, attempt: Attempt, alike: int) -> str:
        """An attempt as a line: the id of the event, but nothing of its row. ``alike``: further ones that it stands for."""
        about = attempt.about
        fields: dict[str, Any] = {
            "relay": self.relay,
            "target": self._names[TARGET],
            "by": self.by.value,
            "event": about.identifier,
            "version": about.version,
            "attempt": about.attempt,
            "events": about.events,
            **{verdict.value: attempt.verdicts.get(verdict.value, 0) for verdict in TOLD},
            "status": attempt.status,
            "error": attempt.error,
            "milliseconds": round(attempt.seconds * 1000),
            "alike": alike,
            "trace": self.trace_id,
        }
        return ATTEMPT_LINE + json.dumps(fields)


TOLD = (Verdict.DELIVERED, Verdict.TRANSIENT, Verdict.REJECTED)


class Sending:
    """A request that is under way."""

    def __init__(self, journal: Journal, about: About, place: TraceContext, span: OpenSpan | None) -> None:
        self._journal, self._about, self._place, self._span = journal, about, place, span
        self._begun = time.monotonic()

    @property
    def headers(self) -> dict[str, str]:
        """What is sent along."""
        return {TRACEPARENT: self._place.header()} if self._journal.config.traceparent else {}

    def over(self, answers: Sequence[Answer], status: int | None) -> None:
        """It was answered, failed, or was not made after all.

        Args:
            answers: of each event, as far as the answer is about them.
            status: of the answer.
        """
        tried = [answer for answer in answers if answer.verdict is not Verdict.UNTRIED]
        error = next((answer.error for answer in tried if answer.error is not None), None)
        seconds = time.monotonic() - self._begun
        verdicts = Counter(answer.verdict.value for answer in tried)
        attempt = Attempt(self._about, status, seconds, verdicts, error)
        if self._span is not None:
            failure = None if tried and not attempt.failed else error or "not sent"
            self._span.end(self._journal.answered(attempt), failure)
        if tried:
            self._journal.note(attempt)
