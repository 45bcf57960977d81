"""The time that the posts of one batch may take, all of them together."""

from __future__ import annotations

import time


class TimeBudget:
    """A number of seconds that begin now. It is a span of time on this machine, and no date."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    @property
    def left(self) -> float:
        """What is left of it in seconds, 0 at least."""
        return max(0.0, self._end - time.monotonic())

    @property
    def spent(self) -> bool:
        """Whether nothing is left."""
        return self.left == 0
