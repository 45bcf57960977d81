"""What each function has done since the host started: counts, and how its last run went."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime

from emulators.clock import Clock

_ERROR_CHARACTERS = 300


@dataclass
class FunctionRecord:
    """Invocations of one function.

    Attributes:
        running: under way now.
        done: ended without an error; orchestrators and entities count once a replay or batch.
        failed: ended with an error, each try of a retry policy by itself.
        last_start: instant of the clock at which the last invocation that has ended began.
        last_milliseconds: its duration in real time.
        last_error: first line of ``ClassName: message`` of its error, cut; None if it succeeded.
    """

    running: int = 0
    done: int = 0
    failed: int = 0
    last_start: datetime | None = None
    last_milliseconds: float = 0.0
    last_error: str | None = None


@dataclass(frozen=True)
class Entry:
    """An invocation that is under way."""

    function: str
    start: datetime
    ticks: float


class InvocationBook:
    """Keeps the records. For the thread of the event loop."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._records: dict[str, FunctionRecord] = {}

    def of(self, function: str) -> FunctionRecord:
        """The record of a function, all zeros before its first invocation."""
        return self._records.setdefault(function, FunctionRecord())

    def begin(self, function: str) -> Entry:
        """An invocation starts."""
        self.of(function).running += 1
        return Entry(function, self._clock.now(), time.perf_counter())

    def end(self, entry: Entry, error: str | None) -> None:
        """It has ended, with the text ``error`` if it failed."""
        record = self.of(entry.function)
        record.running -= 1
        record.last_start = entry.start
        record.last_milliseconds = (time.perf_counter() - entry.ticks) * 1000
        record.last_error = None if error is None else error.partition("\n")[0].rstrip()[:_ERROR_CHARACTERS]
        if error is None:
            record.done += 1
        else:
            record.failed += 1
