"""Posting events: concurrently, within a time budget, and no further once the target is seen to be down."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait

from rowpost.config.sections import TargetConfig
from rowpost.http.failures import describe
from rowpost.rules.answer import Answer, Verdict, classify
from rowpost.target.auth.caller import Caller
from rowpost.target.auth.failures import CredentialError
from rowpost.target.body import compressed
from rowpost.target.event import Event
from rowpost.target.request import address
from rowpost.target.time_budget import TimeBudget

_GRACE_SECONDS = 1  # for threads to end whose time is up
_NOT_THERE = frozenset({404, 410})  # what is to be removed under a former spelling of its key is not there (any more)


class Deliverer:
    """Posts events to one target; one per process, safe to use from several batches at once.

    A post takes at most twice ``timeout``, whatever the target does. So a batch takes at most ``batch_budget`` and that.
    """

    def __init__(self, config: TargetConfig) -> None:
        self._config = config
        self._caller = Caller(config)
        self._executor = ThreadPoolExecutor(config.concurrency, thread_name_prefix="rowpost-post")

    def deliver(self, events: Sequence[Event], budget: TimeBudget | None = None) -> list[Answer]:
        """Post every event, each in its own request, and answer in the order of ``events``.

        Args:
            events: what is to be posted.
            budget: the time for it, if not ``batch_budget`` from now on.

        What comes after ``breaker_failures`` failures of the target itself in a row, or is not reached within the time budget, is
        ``UNTRIED``.
        """
        batch = _Batch(self._config.breaker_failures, budget or TimeBudget(self._config.batch_budget.seconds))
        futures = [self._executor.submit(self._post, event, batch) for event in events]
        limit = batch.budget.left + 2 * self._config.timeout.seconds + _GRACE_SECONDS
        wait(futures, timeout=limit, return_when=FIRST_EXCEPTION)
        batch.ended = True
        return [_answer_of(future) for future in futures]

    def _post(self, event: Event, batch: _Batch) -> Answer:
        if batch.stopped or batch.over:
            return Answer(Verdict.UNTRIED)
        for former in event.before:
            answer = self._request(former, batch)
            if answer.status not in _NOT_THERE:
                batch.count(answer)
                if answer.verdict is not Verdict.DELIVERED:
                    return answer
            if batch.over:
                return Answer(Verdict.UNTRIED)
        answer = self._request(event, batch)
        batch.count(answer)
        return answer

    def _request(self, event: Event, batch: _Batch) -> Answer:
        call, config, body = event.call, self._config, event.body
        own = {name.lower() for name in call.headers}
        headers = {**event.headers, "Content-Type": event.content_type}
        headers |= {name: value for name, value in config.headers.items() if name.lower() not in own} | call.headers
        if not body:
            del headers["Content-Type"]
        elif config.gzip is not None and len(body) >= config.gzip:
            body, headers["Content-Encoding"] = compressed(body), "gzip"
        url = address(config.url, call.path, call.query)
        try:
            reply = self._caller.send(call.method, url, body, headers, event.id, lambda: batch.over)
            if reply is None:
                return Answer(Verdict.UNTRIED)
            if reply.status in event.accepts:
                return Answer(Verdict.DELIVERED, reply.status)
            return classify(reply.status, reply.headers)
        except CredentialError as error:
            return Answer(Verdict.TRANSIENT, error=str(error), retry_after_seconds=error.retry_after_seconds)
        except Exception as error:  # whatever an answer makes a library raise, it is this row's failure and not the batch's
            return Answer(Verdict.TRANSIENT, error=describe(error))


class _Batch:
    """What the threads of one batch share: whether failures or the end of the time budget have stopped it."""

    def __init__(self, threshold: int, budget: TimeBudget) -> None:
        self._threshold = threshold
        self._consecutive = 0
        self._lock = threading.Lock()
        self.budget = budget
        self.ended = False

    @property
    def over(self) -> bool:
        """Whether nothing more is to be sent: the time is over, or nobody waits for the answers any more."""
        return self.ended or self.budget.spent

    @property
    def stopped(self) -> bool:
        return self._consecutive >= self._threshold

    def count(self, answer: Answer) -> None:
        with self._lock:
            if answer.verdict is Verdict.TRANSIENT:
                self._consecutive += 1
            elif answer.tried and not self.stopped:  # an answer about the row, good or bad, shows that the target works
                self._consecutive = 0


def _answer_of(future: Future[Answer]) -> Answer:
    if future.cancel():
        return Answer(Verdict.UNTRIED)
    if not future.done():  # a name is being looked up: no limit of ours ends that
        return Answer(Verdict.TRANSIENT, error="no answer within the time budget of the batch")
    return future.result()
