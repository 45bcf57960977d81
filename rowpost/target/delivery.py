"""Posting events: concurrently, within a time budget, and no further once the target is seen to be down."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from http.cookiejar import DefaultCookiePolicy

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError
from urllib3.util.retry import Retry

from rowpost.config.sections import TargetConfig
from rowpost.rules.answer import Answer, Verdict, classify
from rowpost.target.event import Event

_NOT_THERE = frozenset({404, 410})  # what is to be removed under a former spelling of its key is not there (any more)
# An answer's content is never looked at; so much of it is read to keep the connection, each time for at most the timeout.
_READS_AT_MOST, _BYTES_A_READ = 2, 65536


class Deliverer:
    """Posts events to one target; one per process, safe to use from several batches at once."""

    def __init__(self, config: TargetConfig) -> None:
        self._config = config
        self._sessions = threading.local()
        self._executor = self._new_executor()

    def _new_executor(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self._config.concurrency, thread_name_prefix="rowpost-post")

    def deliver(self, events: Sequence[Event]) -> list[Answer]:
        """Post every event, each in its own request, and answer in the order of ``events``.

        What comes after ``breaker_failures`` failures of the target itself in a row, or is not reached within the time budget, is
        ``UNTRIED``.
        """
        batch = _Batch(self._config.breaker_failures)
        budget = threading.Timer(self._config.batch_budget.seconds, batch.budget_spent.set)
        budget.daemon = True
        budget.start()
        try:
            executor = self._executor
            futures = [executor.submit(self._post, event, batch) for event in events]
            limit = self._config.batch_budget.seconds + 2 * self._config.timeout.seconds
            wait(futures, timeout=limit, return_when=FIRST_EXCEPTION)
            batch.budget_spent.set()
            answers = [_answer_of(future) for future in futures]
            if not all(future.done() for future in futures):
                # A target that answers byte by byte can hold a thread for ever: leave those threads to it, and take new ones.
                held_up, self._executor = self._executor, self._new_executor()
                held_up.shutdown(wait=False)
            return answers
        finally:
            budget.cancel()

    def _post(self, event: Event, batch: _Batch) -> Answer:
        if batch.stopped or batch.budget_spent.is_set():
            return Answer(Verdict.UNTRIED)
        for former in event.before:
            answer = self._request(former)
            if answer.status not in _NOT_THERE:
                batch.count(answer)
                if answer.verdict is not Verdict.DELIVERED:
                    return answer
            if batch.budget_spent.is_set():
                return Answer(Verdict.UNTRIED)
        answer = self._request(event)
        batch.count(answer)
        return answer

    def _request(self, event: Event) -> Answer:
        timeout = self._config.timeout.seconds
        headers = {**event.headers, "Content-Type": event.content_type, **self._config.headers}
        try:
            with self._session().post(
                self._config.url, event.body, headers=headers, timeout=timeout, allow_redirects=False, stream=True
            ) as response:
                _drain(response)
                return classify(response.status_code, response.headers)
        except requests.RequestException as error:
            return Answer(Verdict.TRANSIENT, error=_describe(error))

    def _session(self) -> requests.Session:
        session: requests.Session | None = getattr(self._sessions, "session", None)
        if session is None:
            session = requests.Session()
            session.trust_env = False  # no credentials from a .netrc, no proxy by surprise
            session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))  # a cookie would tie us to one, maybe sick, server
            # A connection that cannot be made is tried once more at once; a request that was sent never is.
            adapter = HTTPAdapter(pool_maxsize=1, max_retries=Retry(total=1, connect=1, read=0, redirect=0, status=0, other=0))
            session.mount("https://", adapter)
            session.mount("http://", adapter)
            self._sessions.session = session
        return session


class _Batch:
    """What the threads of one batch share: whether failures or the end of the time budget have stopped it."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold
        self._consecutive = 0
        self._lock = threading.Lock()
        self.budget_spent = threading.Event()

    @property
    def stopped(self) -> bool:
        return self._consecutive >= self._threshold

    def count(self, answer: Answer) -> None:
        with self._lock:
            if answer.verdict is Verdict.TRANSIENT:
                self._consecutive += 1
            elif not self.stopped:  # an answer about the row, good or bad, shows that the target works
                self._consecutive = 0


def _drain(response: requests.Response) -> None:
    """Read what little an answer holds. One that is longer, slow, or broken only costs the connection: the verdict is in."""
    with suppress(HTTPError, OSError):
        for _ in range(_READS_AT_MOST):
            if not response.raw.read1(_BYTES_A_READ, decode_content=False):
                return


def _answer_of(future: Future[Answer]) -> Answer:
    if future.cancel():
        return Answer(Verdict.UNTRIED)
    if not future.done():
        return Answer(Verdict.TRANSIENT, error="no answer within the time budget of the batch")
    return future.result()


def _describe(error: requests.RequestException) -> str:
    """The kind of failure in words of ours: the exception's text may hold the URL and what the target sent."""
    if isinstance(error, requests.exceptions.SSLError):
        return "TLS failure: the certificate or the protocol of the target was not accepted"
    if isinstance(error, requests.ConnectTimeout):
        return "connection timed out"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return "connection failed or was closed by the target"
    return f"request failed ({type(error).__name__})"
