"""The delays between rounds of recovery: pure arithmetic."""

from __future__ import annotations

from msgspec import Struct


class Backoff(Struct, frozen=True):
    """Exponential delays with a ceiling; a factor of 1 makes them fixed.

    Attributes:
        first_seconds: the delay before the first round.
        factor: what each delay is of the one before, at least 1.
        max_seconds: the ceiling.
    """

    first_seconds: float
    factor: float
    max_seconds: float

    def delay_seconds(self, round_number: int) -> int:
        """Whole seconds to wait before round ``round_number`` (1 is the first)."""
        try:
            delay = self.first_seconds * self.factor ** (round_number - 1)
        except OverflowError:  # a round so late that the ceiling has long been reached
            delay = self.max_seconds
        return max(1, round(min(delay, self.max_seconds)))

    def schedule_seconds(self) -> list[int]:
        """The delays of rounds 1, 2, …, up to the first that no longer grows: what SQL needs to plan rows set by set."""
        delays = [self.delay_seconds(1)]
        while delays[-1] < round(self.max_seconds) and self.factor > 1:
            delays.append(self.delay_seconds(len(delays) + 1))
        return delays


class RetryPolicy(Struct, frozen=True):
    """What decides whether a failed row is tried again, and when.

    Attributes:
        attempts: the trigger's built-in attempts.
        backoff: the delays between the rounds of recovery.
        rejected_are_dead: whether a row that the target refuses becomes a dead letter after the built-in attempts.
    """

    attempts: int
    backoff: Backoff
    rejected_are_dead: bool = False
