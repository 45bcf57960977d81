"""The circuit breaker of a table: while its target is known to be down, batches are held without calling it.

One rule. A failure of the target counts if the row had not failed before, and any answer about a row, good or bad, starts the count
anew. At a given number of them the breaker opens for a given time. Then it is half-open: batches are posted again. The first answer
about a row closes it, and a batch without one opens it again. So a poison row, however often it fails, does not open it, and an
outage costs the target a few posts an interval.

At first it is open for as long as the trigger's built-in attempts go on, about a minute each time: its rows are handed back, and
come again by themselves. When it has opened as often as there are attempts, the rows behind it are exhausted: recovery looks after
them, the intervals grow, and the answer that closes it makes every row due that waited for the target.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rowpost.rules.answer import Verdict
from rowpost.rules.backoff import RetryPolicy
from rowpost.rules.fate import Fate

# Shorter than what is left of the leases of a batch that has failed, 45 to 60 s: its rows find the breaker half-open.
_BUILT_IN_SECONDS = 40


@dataclass(frozen=True, slots=True)
class CircuitBreaker:
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


@dataclass(frozen=True, slots=True)
class BreakerChange:
    """The breaker as a batch leaves it, and how often it had opened when the batch found it."""

    breaker: CircuitBreaker
    seen_openings: int

    @property
    def closes(self) -> bool:
        """Whether rows that waited for the target become due."""
        return self.seen_openings > 0 and self.breaker == CircuitBreaker()


def next_breaker(
    breaker: CircuitBreaker, posted: Sequence[Fate], policy: RetryPolicy, *, threshold: int, probe_seconds: int
) -> BreakerChange | None:
    """The breaker after a batch; None if it stays as it is.

    Args:
        breaker: as the batch's claim saw it.
        posted: the rows that were to be posted, also those that were left out.
        policy: of the app.
        threshold: the number of failures at which it opens.
        probe_seconds: the longest time for which it opens.
    """
    answers = [(fate, fate.answer) for fate in posted if fate.answer is not None and fate.answer.tried]
    if any(answer.verdict in (Verdict.DELIVERED, Verdict.REJECTED) for _, answer in answers):
        return BreakerChange(CircuitBreaker(), breaker.openings) if breaker.failures or breaker.openings else None
    failures = breaker.failures + sum(not fate.failed_before for fate, _ in answers)
    if not answers or (breaker.openings == 0 and failures < threshold):
        return BreakerChange(CircuitBreaker(failures), breaker.openings) if failures != breaker.failures else None
    openings = breaker.openings + 1
    pause = _BUILT_IN_SECONDS if openings < policy.attempts else policy.backoff.delay_seconds(openings - policy.attempts + 1)
    asked = max(answer.retry_after_seconds or 0 for _, answer in answers)
    return BreakerChange(CircuitBreaker(failures, openings, min(max(pause, asked), probe_seconds)), breaker.openings)
