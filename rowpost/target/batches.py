"""Requests with several events: how they are made up, and what their answers mean for each event.

The first events of a target that may be down, and events that failed before, go in requests that grow: one event, two, four. So a
target that is down is asked for little, and an event at which the target fails takes fewer and fewer others along.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from msgspec.structs import replace

from rowpost.config.sections import TargetConfig
from rowpost.http.client import Reply
from rowpost.rules.answer import Answer, Verdict, classify
from rowpost.rules.batch_answer import answers_by_id
from rowpost.rules.bisection import Bisection, Said
from rowpost.target.body import CLOUD_EVENT, JSON
from rowpost.target.capacity import Capacity
from rowpost.target.event import Event
from rowpost.target.pacer import Pacer
from rowpost.target.request import POST
from rowpost.target.sending import UNTRIED, Sender
from rowpost.target.under_way import NO_ANSWER, Care, UnderWay
from rowpost.telemetry.journal import About

_CLOUD_EVENTS, _LINES = "application/cloudevents-batch+json", "application/x-ndjson"
_TOO_LARGE, _BAD_REQUESTS = 413, frozenset({400, 422})
_AROUND_BYTES = 2  # brackets
_NOT_THE_ROWS = "to a request with several events"
_shared = itertools.count(1)  # numbers of requests that have failed

Work = Callable[[], object]


class Batches:
    """Makes and sends the requests of one target; one per process, safe to use from several batches at once."""

    def __init__(self, config: TargetConfig, sender: Sender, pacer: Pacer) -> None:
        self._lines = config.batch_format == "ndjson"
        self._sender, self._pacer = sender, pacer
        self._capacity = Capacity(config.batch, config.max_batch_bytes)

    def works(self, numbers: Iterable[int], batch: UnderWay) -> list[Work]:
        """What threads are to do to send some of the events of a batch."""
        groups: dict[object, tuple[list[int], list[int]]] = {}
        for number in numbers:
            new, careful = groups.setdefault(_kind(batch.events[number]), ([], []))
            (careful if batch.care[number].careful else new).append(number)
        works: list[Work] = []
        for new, careful in groups.values():
            works += [partial(self._post_growing, careful, batch)] if careful else []
            works += [partial(self._post, some, batch) for some in self._cut(new, batch)]
        return works

    def alone(self, event: Event, batch: UnderWay, attempt: int) -> Answer:
        """Send one event in the form in which several are sent. ``attempt``: of its row, for the log."""
        own = UnderWay([event], [Care(attempt=attempt)], 1, batch.budget, batch.journal)
        said, answer = self._send([0], own, batch)
        return answer if said is not Said.ACCEPTED else own.answers[0] or UNTRIED

    # --- how events are put together ---

    def _cut(self, numbers: Sequence[int], batch: UnderWay) -> list[list[int]]:
        """Events in order, as many in a request as the target takes. No two of them have the same id."""
        found: list[list[int]] = []
        left, events, size = 0, self._capacity.events, self._capacity.size
        ids = set[str]()
        for number in numbers:
            event = batch.events[number]
            left -= len(event.body) + 1
            if left < 0 or event.id in ids or len(found[-1]) >= events:
                found.append([])
                ids.clear()
                left = size - _AROUND_BYTES - len(event.body)
            found[-1].append(number)
            ids.add(event.id)
        return found

    def _body(self, events: Sequence[Event]) -> tuple[str, bytes]:
        """The type and the body of a request."""
        bodies = [event.body for event in events]
        if events[0].content_type == CLOUD_EVENT:
            return _CLOUD_EVENTS, b"[" + b",".join(bodies) + b"]"
        if self._lines:
            return _LINES, b"\n".join(bodies) + b"\n"
        return JSON, b"[" + b",".join(bodies) + b"]"

    # --- how they are sent ---

    def _post_growing(self, numbers: list[int], batch: UnderWay) -> None:
        """Send events one request after the other: each has twice as many as the last one, if that was answered."""
        size, sent = 1, 0
        while sent < len(numbers) and not (batch.stopped or batch.over):
            some = self._cut(numbers[sent : sent + size], batch)[0]
            sent += len(some)
            size = 2 * size if self._post(some, batch) else 1

    def _post(self, numbers: list[int], batch: UnderWay) -> bool:
        """Send events, as many at once as the target takes by now; returns whether it has answered for them."""
        answered = False
        for some in self._cut(numbers, batch):
            if batch.stopped or batch.over:
                return False
            said, answer = self._send(some, batch)
            answered = said is not None
            if said is Said.REFUSED or said is Said.TOO_LARGE:
                answered = self._search(some, said, answer, batch)
        return answered

    def _search(self, numbers: list[int], said: Said, answer: Answer, batch: UnderWay) -> bool:
        """Find the events for which a request was refused, and send all others."""
        certain = frozenset(number for number in numbers if batch.care[number].certain)
        search, answers, parts = Bisection(numbers, said, certain), [answer], _Parts(self._capacity)
        parts.told(numbers, said, self._size(numbers, batch))
        while (some := search.next()) and not batch.over:
            found, answer = self._send(some, batch)
            if found is None:
                break
            answers.append(answer)
            parts.told(some, found, self._size(some, batch))
            search.tell(found)
        for bad in search.bad:
            batch.answers[bad.row] = answers[bad.request]
        return not search.left

    @staticmethod
    def _size(numbers: Sequence[int], batch: UnderWay) -> int:
        return sum(len(batch.events[number].body) + 1 for number in numbers) + 1

    def _send(self, numbers: Sequence[int], batch: UnderWay, whole: UnderWay | None = None) -> tuple[Said | None, Answer]:
        """Send events in one request. If it is answered for each of them, the batch has their answers then.

        Args:
            numbers: of the events.
            batch: has them.
            whole: the batch by which it is told whether to go on, if not the same.

        Returns:
            What was said to it as a whole, None if nothing, or not what was asked for; and its answer.
        """
        whole, answers = whole or batch, batch.answers
        numbers = sorted(numbers, key=lambda number: batch.events[number].version)
        events = [batch.events[number] for number in numbers]
        begun = self._pacer.turn(len(events), whole.budget, whole.is_over)
        if begun is None or whole.over:
            return None, UNTRIED
        for number in numbers:
            answers[number] = NO_ANSWER
        found = self._request(events, max(batch.care[number].attempt for number in numbers), whole)
        if isinstance(found, Answer):
            said = _said(found)
            if said is Said.ACCEPTED:
                self._pacer.delivered(len(events))
            else:
                self._pacer.heard(found, begun)
            each, one = [found if said is None or said is Said.ACCEPTED else None] * len(events), found
        else:
            said, each = Said.ACCEPTED, list(found)
            self._pacer.delivered(sum(answer.verdict is Verdict.DELIVERED for answer in found))
            one = next((answer for answer in found if answer.verdict is not Verdict.TRANSIENT), found[0])
        batch.count(one)
        if one.verdict is Verdict.UNTRIED:
            each = [None] * len(events)
        if said is Said.ACCEPTED:
            self._capacity.accepted(len(events), self._size(numbers, batch))
        for number, answer in zip(numbers, each, strict=True):
            answers[number] = answer
        return said, one

    def _request(self, events: Sequence[Event], attempt: int, whole: UnderWay) -> Answer | list[Answer]:
        """Make a request; returns what it means for all events, or for each."""
        content_type, body = self._body(events)
        key, call = batch_key([event.id for event in events]), events[0].call
        identifier = events[0].id if len(events) == 1 else key
        sending = whole.journal.request(About(identifier, max(e.version for e in events), attempt, len(events), call.method))
        headers = {**sending.headers, "Idempotency-Key": key}
        reply = self._sender.send(call, headers, content_type, body, key, whole.is_over)
        answered = not isinstance(reply, Answer)
        found = _failed(reply, len(events)) if isinstance(reply, Answer) else _judged(reply, events)
        sending.over([found] * len(events) if isinstance(found, Answer) else found, reply.status if answered else None)
        return found


class _Parts:
    """Notes which requests were too large, though each of their two parts was not."""

    def __init__(self, capacity: Capacity) -> None:
        self._capacity = capacity
        self._of: dict[tuple[int, int], tuple[tuple[int, int], list[tuple[int, int]]]] = {}

    def told(self, numbers: Sequence[int], said: Said, size: int) -> None:
        """What was said to events of that size."""
        count = len(numbers)
        if said is Said.TOO_LARGE and count > 1:
            middle, parent = count // 2, ((count, size), list[tuple[int, int]]())
            self._of[numbers[0], middle] = self._of[numbers[middle], count - middle] = parent
        elif said is Said.ACCEPTED and (numbers[0], count) in self._of:
            refused, accepted = self._of.pop((numbers[0], count))
            accepted.append((count, size))
            if len(accepted) == 2:
                self._capacity.too_large(refused, (max(n for n, _ in accepted), max(s for _, s in accepted)))


def batch_key(ids: Sequence[str]) -> str:
    """The idempotency key of a request: the same for the same events."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:32]


def _kind(event: Event) -> object:
    """What events of one request share."""
    call = event.call
    if call is POST:
        return event.content_type
    return call.method, call.path, call.query, tuple(call.headers.items()), event.content_type


def _judged(reply: Reply, events: Sequence[Event]) -> Answer | list[Answer]:
    """What an answer means: the same for all events, or something for each. It took as long for each of them."""
    found = _meaning(reply, events)
    if isinstance(found, Answer):
        return replace(found, milliseconds=reply.milliseconds)
    return [replace(answer, milliseconds=reply.milliseconds) for answer in found]


def _meaning(reply: Reply, events: Sequence[Event]) -> Answer | list[Answer]:
    if not 200 <= reply.status < 300:
        answer = classify(reply.status, reply.headers)
        if answer.verdict is Verdict.REJECTED and not _is_about_rows(reply.status) and len(events) > 1:
            return _failed(Answer(Verdict.TRANSIENT, error=f"HTTP {reply.status} {_NOT_THE_ROWS}"), len(events))
        return _failed(answer, len(events))
    kind = reply.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    is_json = kind == JSON or kind.endswith("+json")
    ids, accepts = [event.id for event in events], [event.accepts for event in events]
    found = answers_by_id(reply.status, reply.content, is_json=is_json, ids=ids, accepts=accepts)
    if found is None:
        return Answer(Verdict.DELIVERED, reply.status)
    shared = next(_shared) if len(events) > 1 else 0
    return [replace(answer, shared=shared) if answer.verdict is Verdict.TRANSIENT else answer for answer in found]


def _failed(answer: Answer, count: int) -> Answer:
    """The failure of a request with so many events: that of all of them is one."""
    return replace(answer, shared=next(_shared)) if answer.verdict is Verdict.TRANSIENT and count > 1 else answer


def _is_about_rows(status: int) -> bool:
    return status == _TOO_LARGE or status in _BAD_REQUESTS


def _said(answer: Answer) -> Said | None:
    """What an answer says to a request as a whole; None if the target has failed."""
    if answer.verdict is Verdict.DELIVERED:
        return Said.ACCEPTED
    if answer.verdict is not Verdict.REJECTED:
        return None
    return Said.TOO_LARGE if answer.status == _TOO_LARGE else Said.REFUSED
