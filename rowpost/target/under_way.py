"""What the threads share that post the events of one batch."""

from __future__ import annotations

import threading

from msgspec import Struct

from rowpost.rules.answer import Answer, Verdict
from rowpost.target.event import Event
from rowpost.target.time_budget import TimeBudget
from rowpost.telemetry.journal import Journal

NO_ANSWER = Answer(Verdict.TRANSIENT, error="no answer within the time budget of the batch")


class Care(Struct, frozen=True):
    """How an event is to be sent if the target takes several in a request.

    Attributes:
        alone: in a request of its own: the target said no to it before.
        careful: it failed before, or the target may be down: with few others at first.
        certain: it is not refused without having been sent alone, since that would be final.
        attempt: the how manieth attempt of its row this is, for the log.
    """

    alone: bool = False
    careful: bool = False
    certain: bool = False
    attempt: int = 1


NO_CARE = Care()


class UnderWay:
    """The events of one batch and their answers; and whether failures or the end of the time budget have stopped it.

    Attributes:
        answers: of each event; None: it was not sent, or what was said to its request does not count for it.
        journal: takes each request.
        ended: set when nobody waits for the answers any more.
    """

    def __init__(self, events: list[Event], care: list[Care], threshold: int, budget: TimeBudget, journal: Journal) -> None:
        self.events, self.care, self.budget, self.journal = events, care, budget, journal
        self.answers: list[Answer | None] = [None] * len(events)
        self.ended = False
        self._threshold = threshold
        self._consecutive = 0
        self._lock = threading.Lock()

    @property
    def over(self) -> bool:
        """Whether nothing more is to be sent: the time is over, or nobody waits for the answers any more."""
        return self.ended or self.budget.spent

    def is_over(self) -> bool:
        """The same, to be asked later."""
        return self.over

    @property
    def stopped(self) -> bool:
        """Whether so many requests in a row have failed that the target is taken to be down."""
        return self._consecutive >= self._threshold

    def count(self, answer: Answer) -> None:
        """Count what was said to a request, whatever number of events it had."""
        with self._lock:
            if answer.verdict is Verdict.TRANSIENT:
                self._consecutive += 1
            elif answer.tried and not self.stopped:  # an answer about a row, good or bad, shows that the target works
                self._consecutive = 0
