"""How much a target takes in one request: what is configured, less what it has refused as too large."""

from __future__ import annotations

import threading

_FEW_EVENTS = 10  # no limit of events is so low: it is the bytes


class Capacity:
    """Safe to use from several threads. What was learnt holds as long as the process.

    Attributes:
        events: of one request, at most.
        size: of its body in bytes, at most, unless it is one event.
    """

    def __init__(self, events: int, size: int) -> None:
        self.events, self.size = events, size
        self._most_events = self._most_bytes = 0  # of requests that were accepted
        self._lock = threading.Lock()

    def accepted(self, events: int, size: int) -> None:
        """A request of that size was not too large."""
        if events > self._most_events or size > self._most_bytes:
            with self._lock:
                self._most_events, self._most_bytes = max(self._most_events, events), max(self._most_bytes, size)

    def too_large(self, refused: tuple[int, int], accepted: tuple[int, int]) -> None:
        """A request was too large, and its parts were not.

        Whether it had too many events or too many bytes is not said. It was not the one of which as much was accepted before. If
        that does not tell, both count from now on.

        Args:
            refused: its events and bytes.
            accepted: those of its parts: of the one with more events, and of the one with more bytes.
        """
        many = refused[0] > _FEW_EVENTS
        with self._lock:
            by_events, by_size = many and refused[0] > self._most_events, refused[1] > self._most_bytes
            if by_events or not by_size:
                self.events = min(self.events, accepted[0]) if many else self.events
            if by_size or not by_events:
                self.size = min(self.size, accepted[1])
