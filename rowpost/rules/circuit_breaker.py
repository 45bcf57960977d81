"""The circuit breaker of a target: while the target is known to be down, batches of all its relays are held without calling it.

A failure of the target counts if the row had not failed before, and any answer about a row, good or bad, starts the count anew. At
a given number of them the breaker opens for a given time. So it does when at least two different rows have failed since the last
sign of life, and one of them has used up the built-in attempts: a target with little traffic is down as well. One row alone never
opens it, however often it fails. A request with several rows is one failure: one of them may be what the target fails on. But its
rows are tried with few others then. So after such a failure all requests of a batch count that fail, if none is answered, though
their rows had failed before.

When its time is over it is half-open: batches are posted again. The first answer about a row closes it, and makes every row due
that waited for the target, in every relay. A batch without such an answer opens it again. So an outage costs the target a few posts
an interval.

At first it is open for as long as the trigger's built-in attempts go on, about a minute each time: its rows are handed back, and
come again by themselves. When it has opened as often as there are attempts, the rows behind it are exhausted: recovery looks after
them, and the intervals grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.backoff import RetryPolicy
from rowpost.rules.fate import Fate
from rowpost.rules.lifecycle import State

# Shorter than what is left of the leases of a batch that has failed, 45 to 60 s: its rows find the breaker half-open.
_BUILT_IN_SECONDS = 40
_ROWS_OF_A_QUIET_TARGET = 2


class CircuitBreaker(Struct, frozen=True):
    """What a claim saw of the breaker. It is closed, open, or half-open.

    Attributes:
        failures: first failures of rows since the last sign of life.
        openings: how often it opened since it was last closed; 0 is closed.
        open_seconds: how long it is still open.
    """

    failures: int = 0
    openings: int = 0
    open_seconds: int = 0

    @property
    def open(self) -> bool:
        """Whether nothing is to be posted now."""
        return self.openings > 0 and self.open_seconds > 0

    @property
    def half_open(self) -> bool:
        """Whether what is posted now decides whether it closes or opens again."""
        return self.openings > 0 and not self.open

    def exhausts(self, policy: RetryPolicy) -> bool:
        """Whether the rows behind it have used up the built-in attempts."""
        return self.openings >= policy.attempts


class BreakerChange(Struct, frozen=True):
    """The breaker as a batch leaves it.

    Attributes:
        breaker: as the batch's claim and its answers say. Other batches may have found failures at the same time.
        seen_openings: how often it had opened when the batch found it.
        added: the failures that the batch adds.
    """

    breaker: CircuitBreaker
    seen_openings: int
    added: int = 0

    @property
    def closes(self) -> bool:
        """Whether the target has shown that it works: rows that waited for it become due."""
        return self.breaker == CircuitBreaker()


def _requests(answers: Iterable[Answer]) -> int:
    """How many requests have failed: rows may have shared one."""
    shared = [answer.shared for answer in answers]
    return shared.count(0) + len(set(shared) - {0})


def next_breaker(
    breaker: CircuitBreaker,
    posted: Sequence[Fate],
    policy: RetryPolicy,
    *,
    threshold: int,
    probe_seconds: int,
    batches: bool = False,
) -> BreakerChange | None:
    """The breaker after a batch; None if it stays as it is.

    Args:
        breaker: as the batch's claim saw it.
        posted: the rows that were to be posted, also those that were left out.
        policy: of the app.
        threshold: the number of failures at which it opens.
        probe_seconds: the longest time for which it opens.
        batches: whether requests may have had several rows: then one failure that counts may stand for many rows.
    """
    answers = [(fate, fate.answer) for fate in posted if fate.answer is not None and fate.answer.tried]
    if any(answer.verdict in (Verdict.DELIVERED, Verdict.REJECTED) for _, answer in answers):
        return BreakerChange(CircuitBreaker(), breaker.openings) if breaker.failures or breaker.openings else None
    if not answers:
        return None
    added = _requests(answer for fate, answer in answers if not fate.failed_before)
    failures = breaker.failures + added
    known = max(failures, _requests(answer for _, answer in answers)) if batches and failures else failures
    used_up = known >= _ROWS_OF_A_QUIET_TARGET and any(fate.state is State.EXHAUSTED for fate, _ in answers)
    if breaker.openings == 0 and known < threshold and not used_up:
        return BreakerChange(CircuitBreaker(failures), 0, added) if added else None
    openings = breaker.openings + 1
    if used_up:
        openings = max(openings, policy.attempts)
    pause = _BUILT_IN_SECONDS if openings < policy.attempts else policy.backoff.delay_seconds(openings - policy.attempts + 1)
    asked = max(answer.retry_after_seconds or 0 for _, answer in answers)
    opened = CircuitBreaker(failures, openings, min(max(pause, asked), probe_seconds))
    return BreakerChange(opened, breaker.openings, added)
