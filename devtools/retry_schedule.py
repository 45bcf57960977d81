"""When a row that fails for ever is tried, when people are told, and when it becomes a dead letter: pure arithmetic.

Times are seconds since the first failure of the row. They are those of a row whose target is called each time. While the circuit
breaker of its target is open, a round waits for it; when the target works again, all rows are due at once.
"""

from __future__ import annotations

from msgspec import Struct

from rowpost.config.notifications import NotificationsConfig
from rowpost.config.sections import RetryConfig

ATTEMPT_SECONDS = 60  # from one built-in attempt of the trigger to the next: its lease


class Attempt(Struct, frozen=True):
    """One of the trigger's built-in attempts."""

    number: int
    at_seconds: int


class Round(Struct, frozen=True):
    """A round of recovery.

    Attributes:
        delay_seconds: since the attempt or the round before.
        detached: whether recovery posts the row itself, and no longer the trigger.
    """

    number: int
    delay_seconds: int
    at_seconds: int
    detached: bool


class RetrySchedule(Struct, frozen=True):
    """The way of a row that fails for ever.

    Attributes:
        attempts: the built-in attempts.
        rounds: the rounds of recovery, up to the first whose delay no longer grows; all of them are within the window.
        count: how many rounds there are within the window.
        last: the last of them.
        told_seconds: when people are told that rows are not delivered; None: never, for the row is dead before.
        dead_seconds: when the row becomes a dead letter, of which people are told too.
    """

    attempts: list[Attempt]
    rounds: list[Round]
    count: int
    last: Round | None
    told_seconds: int | None
    dead_seconds: int


def retry_schedule(retry: RetryConfig, notifications: NotificationsConfig) -> RetrySchedule:
    """The schedule of a configuration."""
    window = round(retry.window.seconds)
    attempts = [Attempt(number, (number - 1) * ATTEMPT_SECONDS) for number in range(1, retry.attempts + 1)]
    used_up, delays = attempts[-1].at_seconds, retry.backoff.schedule_seconds()
    growing, at = [], used_up
    for number, delay in enumerate(delays, 1):
        at += delay
        growing.append(Round(number, delay, at, number > retry.detach_after_rounds))

    def round_number(number: int) -> Round:
        if number <= len(growing):
            return growing[number - 1]
        later = growing[-1].at_seconds + (number - len(growing)) * delays[-1]
        return Round(number, delays[-1], later, number > retry.detach_after_rounds)

    within = [each for each in growing if each.at_seconds < window]
    count = len(within)
    if count == len(growing):
        count += max(0, (window - 1 - growing[-1].at_seconds) // delays[-1])
    # They are told after the time that is set, or as soon as the round of that number is planned: when the one before has failed.
    # Recovery looks first when the built-in attempts are used up.
    before = notifications.after_rounds - 1
    told = round_number(before).at_seconds if before else used_up
    told = min(told, max(used_up, round(notifications.after.seconds)))
    return RetrySchedule(
        attempts, within, count, round_number(count) if count else None, told if told < window else None, max(window, used_up)
    )
