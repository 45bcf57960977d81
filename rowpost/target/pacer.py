"""The pace of one target, kept by the threads that post to it: over all relays of this process."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

from rowpost.config.sections import TargetConfig
from rowpost.rules.answer import TOO_MANY_REQUESTS, Answer
from rowpost.rules.pace import Pace
from rowpost.target.time_budget import TimeBudget

_UNAVAILABLE = 503


class Pacer:
    """Lets threads wait for their turn. See :mod:`rowpost.rules.pace`."""

    def __init__(self, config: TargetConfig) -> None:
        rate = None if config.rate is None else config.rate.per_second
        self._written = None if config.rate is None else config.rate.written
        self._pace = Pace(rate, config.batch, config.probe.seconds)
        self._lock = threading.Lock()
        self._seen: tuple[datetime, float] | None = None  # the database's clock, and this machine's at that time
        self._pause_ends: datetime | None = None  # by the database's clock
        self._slowed: datetime | None = None  # when it last asked for less, by the same
        self._holds = timedelta(seconds=config.probe.seconds)

    def database_says(self, now: datetime) -> None:
        """Take the database's clock. A pause that is over by it is over: this machine may have stood still.

        A rate that was lowered is forgotten after ``probe`` without a further complaint.
        """
        with self._lock:
            if self._seen is None or now > self._seen[0]:  # the portions of a batch have one clock
                self._seen = now, time.monotonic()
            if self._pause_ends is not None and now >= self._pause_ends:
                self._pace.resume()
                self._pause_ends = None
            if self._slowed is not None and now - self._slowed >= self._holds:
                self._pace.forget()
                self._slowed = None

    def resume(self) -> None:
        """End a pause that the target has asked for."""
        with self._lock:
            self._pace.resume()
            self._pause_ends = None

    def turn(self, events: int, budget: TimeBudget, over: Callable[[], bool]) -> float | None:
        """Wait for the turn of a request.

        Args:
            events: how many it has.
            budget: it does not wait for longer.
            over: whether nothing more is to be sent.

        Returns:
            The instant at which its turn came; None if it comes too late.
        """
        with self._lock:
            now = time.monotonic()
            wait = self._pace.turn(events, now, budget.left)
        while wait:
            time.sleep(wait)
            now = time.monotonic()
            with self._lock:
                wait = self._pace.pause(now)  # the target may have asked for one meanwhile
            if wait > budget.left or over():
                return None
        return None if wait is None else now

    def heard(self, answer: Answer, begun: float) -> None:
        """Take what the target has answered to a request as a whole."""
        asked = answer.retry_after_seconds
        if answer.status == TOO_MANY_REQUESTS or (answer.status == _UNAVAILABLE and asked is not None):
            with self._lock:
                now = time.monotonic()
                self._pace.too_much(begun, now, asked)
                if self._seen is not None:
                    then, at = self._seen
                    self._slowed = then + timedelta(seconds=now - at)
                    self._pause_ends = self._slowed + timedelta(seconds=self._pace.pause(now))

    def delivered(self, events: int) -> None:
        """Take how many events of a request the target has taken."""
        if self._pace.in_force is not None:
            with self._lock:
                self._pace.delivered(events)

    def told(self) -> dict[str, Any]:
        """The state, as JSON values: events per second, or null without a limit; seconds of the pause that are left."""
        with self._lock:
            in_force, pause = self._pace.in_force, self._pace.pause(time.monotonic())
        return {
            "rate": self._written,
            "events_per_second": None if in_force is None else round(in_force, 3),
            "paused_seconds": round(pause, 1),
        }
