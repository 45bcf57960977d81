"""Virtual time and the order of all steps, in one OS thread: what runs next is drawn from the seed.

Everything that can wait is a strand, which is a greenlet: the event loop of each host, each piece of work that the host would run
on a thread, and the person who changes rows. A strand runs until it waits; between two effects nothing else of the world moves.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import random
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from greenlet import getcurrent, greenlet

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECONDS = 1_000_000


class Crash(BaseException):
    """The process of this strand has died. Not an Exception: nothing in the app may catch it."""


class Stuck(Exception):
    """So many steps were made without time moving that something must be spinning."""


class Owner(Protocol):
    """The process to which a strand belongs."""

    name: str
    dead: bool
    frozen: bool
    asks: bool

    def at_effect(self, kind: str, may_freeze: bool, detail: str) -> None:
        """Called at each effect of the process, before anything else may run; may raise :class:`Crash` or freeze it."""

    def keep(self, strand: Strand) -> None:
        """A strand of a frozen process cannot run now; it is made ready again when the process thaws."""


class Strand:
    """Something that can wait."""

    __slots__ = ("answering", "delay", "greenlet", "loop", "owner", "run", "waiting")

    def __init__(self, owner: Owner | None, run: Callable[[], Any], loop: asyncio.AbstractEventLoop | None = None) -> None:
        self.owner = owner
        self.loop = loop
        self.greenlet: greenlet | None = None  # made by the scheduler: its parent must be the main one
        self.run = run
        self.waiting = 0  # which of its waits it is in: a wake-up for an earlier one comes too late
        self.answering = False  # whether it stands for a server that is answering: its naps delay the answer
        self.delay = 0.0


class Scheduler:
    """The present instant, what is due later, and what can run now.

    Args:
        rng: draws the order.
        start: the first instant (aware).
    """

    def __init__(self, rng: random.Random, start: datetime) -> None:
        self.rng = rng
        self.start = self.now_us = (start - _EPOCH) // timedelta(microseconds=1)
        self.current: Strand | None = None
        self.steps = 0
        self._steps_here = 0
        self._timers: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._ready: list[Strand] = []
        self.urgent: list[Callable[[], None]] = []  # done as soon as the present strand has stopped
        self._deadline = self.now_us
        self._main = getcurrent()
        self._instant: tuple[int, datetime] = (self.now_us, start)

    # --- time ---

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        if self._instant[0] != self.now_us:
            self._instant = (self.now_us, _EPOCH + timedelta(microseconds=self.now_us))
        return self._instant[1]

    def seconds(self) -> float:
        """Seconds since the start."""
        return (self.now_us - self.start) / MICROSECONDS

    def monotonic(self) -> float:
        """Seconds since 1970; never goes back."""
        return self.now_us / MICROSECONDS

    def at(self, due_us: int, call: Callable[[], None]) -> None:
        """Call something, between two steps, at an instant."""
        heapq.heappush(self._timers, (max(due_us, self.now_us), next(self._order), call))

    def after(self, seconds: float, call: Callable[[], None]) -> None:
        """Call something, between two steps, ``seconds`` from now."""
        self.at(self.now_us + round(seconds * MICROSECONDS), call)

    # --- strands ---

    def spawn(self, strand: Strand) -> None:
        """Let a new strand run when its turn comes."""
        self._ready.append(strand)

    def wake(self, strand: Strand, wait: int) -> None:
        """End the wait number ``wait`` of a strand; nothing happens if that is over."""
        if strand.waiting == wait:
            strand.waiting += 1
            self._ready.append(strand)

    def park(self) -> None:
        """Wait until somebody calls :meth:`wake` for the present wait; to be called by a strand.

        Raises:
            Crash: its process died meanwhile.
        """
        strand = self.current
        assert strand is not None, "only a strand can wait"
        self._main.switch()
        if strand.owner is not None and strand.owner.dead:
            raise Crash

    def sleep(self, seconds: float) -> None:
        """Wait for ``seconds``; to be called by a strand. At 0 the others go first, if any can."""
        strand = self.current
        assert strand is not None
        due = self.now_us + round(seconds * MICROSECONDS)
        if not self._ready and due <= self._deadline and not (self._timers and self._timers[0][0] <= due):
            self.now_us = due  # nothing else can happen until then
            return
        wait = strand.waiting
        self.at(due, lambda: self.wake(strand, wait))
        self.park()

    def effect(self, kind: str, pause_seconds: float | None = None, detail: str = "", *, may_freeze: bool | None = None) -> None:
        """An instant at which the process may die and, if ``pause_seconds`` is given, at which others may go on.

        ``may_freeze`` says whether it may stand still here; if it is not given, that is where others may go on.

        Raises:
            Crash: the process is dead.
        """
        strand = self.current
        if strand is None or strand.owner is None:
            return
        owner = strand.owner
        if owner.dead:
            raise Crash
        owner.at_effect(kind, pause_seconds is not None if may_freeze is None else may_freeze, detail)
        if owner.frozen:
            self._ready.append(strand)
            self.park()  # whatever was under way has long arrived when it thaws
        elif pause_seconds is not None:
            self.sleep(pause_seconds)

    # --- running ---

    def run_until(self, instant_us: int, over: Callable[[], bool] | None = None) -> None:
        """Run everything that happens up to an instant, or until ``over()`` holds after a step.

        Raises:
            Stuck: time stands still although steps are made.
        """
        self._deadline = instant_us
        ready = self._ready
        while over is None or not over():
            if ready:
                count = len(ready)
                index = int(self.rng.random() * count) if count > 1 else 0
                strand = ready[index]
                ready[index] = ready[-1]
                ready.pop()
                self._resume(strand)
                continue
            if not self._timers or self._timers[0][0] > instant_us:
                self.now_us = max(self.now_us, instant_us)
                return
            due = self._timers[0][0]
            if due > self.now_us:
                self.now_us, self._steps_here = due, 0
            while self._timers and self._timers[0][0] <= due:
                heapq.heappop(self._timers)[2]()

    def _resume(self, strand: Strand) -> None:
        owner = strand.owner
        if owner is not None:
            if owner.dead:
                return
            if owner.frozen:
                owner.keep(strand)
                return
        self.steps += 1
        self._steps_here += 1
        if self._steps_here > 200_000:
            raise Stuck(f"200000 steps at {self.now().isoformat()}")
        self.current = strand
        asyncio._set_running_loop(strand.loop)
        if strand.greenlet is None:
            strand.greenlet = greenlet(strand.run, self._main)
        try:
            strand.greenlet.switch()
        finally:
            self.current = None
            asyncio._set_running_loop(None)
        while self.urgent:
            self.urgent.pop(0)()

    def end(self, strand: Strand) -> None:
        """Unwind a strand whose process has died; its effects do nothing any more."""
        if not strand.greenlet or strand is self.current:
            return  # it has not begun, or has ended
        before, self.current = self.current, strand
        asyncio._set_running_loop(strand.loop)
        try:
            strand.greenlet.throw(Crash)
        except Crash:
            pass
        finally:
            self.current = before
            asyncio._set_running_loop(None if before is None else before.loop)
