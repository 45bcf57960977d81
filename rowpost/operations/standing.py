"""Answers that stand for a while, since to find them takes the database long: counts of many rows.

A count over a hundred thousand changes can take a second or two. Who looks at a page does not wait for it: the last answer is
given, with its time, and a new one is looked for meanwhile. A process that has just begun takes what another one has kept. Nor does
who looks every five seconds keep the database busy: an answer that took long is not looked for again before ten times as long is
over. All spans are those of the database's clock.
"""

from __future__ import annotations

import threading
from datetime import datetime, timedelta
from typing import Any

from msgspec import Struct

from rowpost.app import App

_QUICK_MILLISECONDS = 100  # an answer that took no longer is found anew each time
_FRESH_TIMES = 10
_LONGEST = timedelta(minutes=10)
_CLOCK = "SELECT CONVERT(nvarchar(40), SYSUTCDATETIME(), 126);"


class Found(Struct, frozen=True):
    """An answer.

    Attributes:
        answer: what was found.
        at: the database's clock when it was looked for, ISO 8601, UTC.
        milliseconds: how long that took the database.
    """

    answer: Any
    at: str
    milliseconds: int


def is_quick(milliseconds: int) -> bool:
    """Whether an answer is found anew each time: it took the database no longer than this."""
    return milliseconds <= _QUICK_MILLISECONDS


class Standing:
    """The answers of one process, by relay and question; safe to use from several threads."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Found] = {}
        self._begun: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def note(self, relay: str, question: str, found: Found) -> None:
        """Keep an answer if it took long."""
        with self._lock:
            if is_quick(found.milliseconds):
                self._found.pop((relay, question), None)
            else:
                self._found[relay, question] = found

    def known(self, relay: str, question: str) -> Found | None:
        """The answer that is kept, if one is."""
        with self._lock:
            return self._found.get((relay, question))

    def has_begun(self, relay: str, question: str) -> bool:
        """Whether :meth:`begin` was called: what others have kept is taken once."""
        with self._lock:
            return (relay, question) in self._begun

    def begin(self, relay: str, question: str, kept: Found | None) -> None:
        """Take what another process has kept, if it has something."""
        if kept is not None:
            self.note(relay, question, kept)
        with self._lock:
            self._begun.add((relay, question))

    def forget(self, relay: str) -> None:
        """Something was ordered of the relay: who asks next waits for a new answer."""
        with self._lock:
            for key in [key for key in self._found if key[0] == relay]:
                del self._found[key]


def stands(app: App, known: Found) -> tuple[bool, bool]:
    """Whether a kept answer may be given, and whether it is fresh: else a new one is to be looked for meanwhile.

    Raises:
        DatabaseError: the database failed.
    """
    (((now,),),) = app.database.run(_CLOCK)
    age = datetime.fromisoformat(now[:26]) - datetime.fromisoformat(known.at[:26])
    fresh = age < timedelta(milliseconds=known.milliseconds * _FRESH_TIMES)
    return timedelta() <= age < _LONGEST, fresh
