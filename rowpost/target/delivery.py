"""Posting events: concurrently, within a time budget, and no further once the target is seen to be down."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from datetime import datetime
from functools import partial
from typing import Any

from rowpost.config.sections import TargetConfig
from rowpost.rules.answer import Answer, Verdict, classify
from rowpost.target.batches import Batches
from rowpost.target.event import Event
from rowpost.target.pacer import Pacer
from rowpost.target.sending import UNTRIED, Sender
from rowpost.target.time_budget import TimeBudget
from rowpost.target.under_way import NO_ANSWER, NO_CARE, Care, UnderWay
from rowpost.telemetry.journal import About, Journal

_GRACE_SECONDS = 1  # for threads to end whose time is up
_NOT_THERE = frozenset({404, 410})  # what is to be removed under a former spelling of its key is not there (any more)


class Deliverer:
    """Posts events to one target; one per process, safe to use from several batches at once.

    A post takes at most twice ``timeout``, whatever the target does. So a batch takes at most ``batch_budget`` and that.
    """

    def __init__(self, config: TargetConfig) -> None:
        self._config = config
        self._sender, self._pacer = Sender(config), Pacer(config)
        self._batches = Batches(config, self._sender, self._pacer) if config.batch > 1 else None
        self._executor = ThreadPoolExecutor(config.concurrency, thread_name_prefix="rowpost-post")

    def pace(self) -> dict[str, Any]:
        """How fast the target is called at present, as JSON values; see :meth:`Pacer.told`."""
        return self._pacer.told()

    def resume(self) -> None:
        """End a pause that the target has asked for: an operator says so."""
        self._pacer.resume()

    def database_says(self, now: datetime) -> None:
        """Take the database's clock; see :meth:`Pacer.database_says`."""
        self._pacer.database_says(now)

    def deliver(
        self,
        events: Sequence[Event],
        budget: TimeBudget | None = None,
        care: Sequence[Care] | None = None,
        journal: Journal | None = None,
    ) -> list[Answer]:
        """Post every event, in its own request or with others, and answer in the order of ``events``.

        Args:
            events: what is to be posted; no two of one row.
            budget: the time for it, if not ``batch_budget`` from now on.
            care: how each is to be sent if the target takes several in a request.
            journal: takes each request.

        What comes after ``breaker_failures`` failures of the target itself in a row, or is not reached within the time budget, is
        ``UNTRIED``.
        """
        budget = budget or TimeBudget(self._config.batch_budget.seconds)
        cares = list(care or ()) or [NO_CARE] * len(events)
        batch = UnderWay(list(events), cares, self._config.breaker_failures, budget, journal or Journal(target=self._config))
        futures = [self._executor.submit(work) for work in self._works(batch)]
        limit = budget.left + 2 * self._config.timeout.seconds + _GRACE_SECONDS
        wait(futures, timeout=limit, return_when=FIRST_EXCEPTION)
        batch.ended = True
        answers = [UNTRIED if answer is None else answer for answer in batch.answers]
        for future in futures:
            # One that is not done waits for the look-up of a name: no limit of ours ends that.
            if not future.cancel() and future.done():
                future.result()
        return answers

    def _works(self, batch: UnderWay) -> list[Callable[[], object]]:
        """What the threads are to do: each work is for one event, or for many that share requests."""
        numbers: Sequence[int] = range(len(batch.events))
        if self._batches is None:
            return [partial(self._post, number, batch) for number in numbers]
        alone = [n for n in numbers if batch.events[n].alone or batch.events[n].before or batch.care[n].alone]
        works: list[Callable[[], object]] = [partial(self._post, number, batch) for number in alone]
        if len(alone) < len(numbers):
            left = set(alone)
            works = self._batches.works([number for number in numbers if number not in left], batch) + works
        return works

    def _post(self, number: int, batch: UnderWay) -> None:
        if batch.stopped or batch.over:
            return
        event = batch.events[number]
        batch.answers[number] = NO_ANSWER
        for former in event.before:
            answer = self._request(former, batch, batch.care[number].attempt)
            if answer.status not in _NOT_THERE:
                batch.count(answer)
                if answer.verdict is not Verdict.DELIVERED:
                    batch.answers[number] = answer
                    return
            if batch.over:
                batch.answers[number] = None
                return
        answer = self._request(event, batch, batch.care[number].attempt)
        batch.count(answer)
        batch.answers[number] = answer

    def _request(self, event: Event, batch: UnderWay, attempt: int) -> Answer:
        if self._batches is not None and not event.alone:
            return self._batches.alone(event, batch, attempt)
        begun = self._pacer.turn(1, batch.budget, batch.is_over)
        if begun is None:
            return UNTRIED
        sending = batch.journal.request(About(event.id, event.version, attempt, 1, event.call.method))
        headers = {**sending.headers, **event.headers}
        reply = self._sender.send(event.call, headers, event.content_type, event.body, event.id, batch.is_over)
        if isinstance(reply, Answer):
            sending.over([reply], None)
            return reply
        accepted = reply.status in event.accepts
        answer = Answer(Verdict.DELIVERED, reply.status) if accepted else classify(reply.status, reply.headers, reply.milliseconds)
        sending.over([answer], reply.status)
        if accepted:
            return answer
        if answer.verdict is Verdict.DELIVERED:
            self._pacer.delivered(1)
        else:
            self._pacer.heard(answer, begun)
        return answer
