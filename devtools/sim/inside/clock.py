"""The clock of the emulators inside the simulation."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from devtools.sim.inside.scheduler import Scheduler
from emulators.clock import Clock

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Pollers:
    """Everybody who waits for the world to change, on all hosts."""

    def __init__(self, scheduler: Scheduler) -> None:
        self._scheduler = scheduler
        self._waiting: dict[asyncio.Future[None], float] = {}

    def add(self, future: asyncio.Future[None], seconds: float) -> None:
        """Wake a poller ``seconds`` after the next nudge."""
        self._waiting[future] = seconds

    def drop(self, future: asyncio.Future[None]) -> None:
        """A poller does not wait any more."""
        self._waiting.pop(future, None)

    def nudge(self) -> None:
        """The world has changed."""
        waiting, self._waiting = self._waiting, {}
        for future, seconds in waiting.items():
            self._scheduler.after(seconds, lambda future=future: resolve(future))  # type: ignore[misc]


def resolve(future: asyncio.Future[None]) -> None:
    """End a wait, if it goes on."""
    if not future.done() and not future.get_loop().is_closed():
        future.set_result(None)


class SimClock(Clock):
    """Virtual time of one scheduler. Sleeping is for coroutines on the loops of the simulation."""

    def __init__(self, scheduler: Scheduler, pollers: Pollers) -> None:
        self._scheduler, self._pollers = scheduler, pollers

    def now(self) -> datetime:
        return self._scheduler.now()

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + timedelta(seconds=seconds))

    async def sleep_until(self, instant: datetime) -> None:
        if instant <= self.now():
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._scheduler.at((instant - _EPOCH) // timedelta(microseconds=1), lambda: resolve(future))
        await future

    async def poll_sleep(self, seconds: float, wake_at: datetime | None = None) -> None:
        """Pause until ``wake_at``, or until ``seconds`` after the next nudge."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pollers.add(future, seconds)
        if wake_at is not None:
            due = max(wake_at, self.now() + timedelta(seconds=seconds))
            self._scheduler.at((due - _EPOCH) // timedelta(microseconds=1), lambda: resolve(future))
        try:
            await future
        finally:
            self._pollers.drop(future)

    async def wait(self, awaitable: Awaitable[T]) -> T:
        return await awaitable

    def nudge(self) -> None:
        self._pollers.nudge()
