"""The retry policy of a function, and the pauses that the real host makes by it."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

_RANDOMIZATION = 0.2


def _seconds(text: str) -> float:
    """The worker reads intervals so: hours below 24, whole seconds, no days."""
    read = time.strptime(text, "%H:%M:%S")
    return float(read.tm_hour * 3600 + read.tm_min * 60 + min(read.tm_sec, 59))


class RetryPolicy:
    """The ``@app.retry`` of a function.

    Args:
        settings: of the decorator.

    Attributes:
        maximum: most retries; -1 is no end.

    Raises:
        ValueError, TypeError, KeyError: a value that is no number or interval, is missing, or is out of its range.
    """

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.maximum = int(settings["max_retry_count"])
        if self.maximum < -1:
            raise ValueError(f"max_retry_count is {self.maximum}: it must not be below -1")
        if settings["strategy"] == "fixed_delay":
            self._first = self._last = _seconds(settings["delay_interval"])
        elif settings["strategy"] == "exponential_backoff":
            self._first, self._last = _seconds(settings["minimum_interval"]), _seconds(settings["maximum_interval"])
            if self._first > self._last:
                raise ValueError("The minimumInterval must not be greater than the maximumInterval.")
        else:
            raise ValueError(f"unknown enum label {settings['strategy']!r}")

    def delay_seconds(self, attempt: int) -> float:
        """The pause before retry ``attempt`` (1 = first retry): the first interval, then it and a random, growing part."""
        if attempt == 1:
            return self._first
        growth = random.uniform(1 - _RANDOMIZATION, 1 + _RANDOMIZATION) * 2.0 ** min(attempt - 2, 60)
        return min(self._last, self._first + growth * self._first)
