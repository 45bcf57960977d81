"""Background work of the host: each piece counts as busy from the moment it is asked for until it ends."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from typing import Any

from emulators.clock import Clock


class WorkSet:
    """Tasks on the event loop. A task may pause on the clock: it is not busy meanwhile."""

    def __init__(self, clock: Clock, logger: logging.Logger) -> None:
        self._clock, self._logger = clock, logger
        self._tasks: set[asyncio.Task[None]] = set()
        self.closed = False

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> asyncio.Task[None] | None:
        """Start ``coroutine``; None (and nothing is done) after :meth:`close`."""
        if self.closed:
            coroutine.close()
            return None
        busy = contextlib.ExitStack()
        busy.enter_context(self._clock.busy())  # now, not when the task first runs: time must not move in between
        task = asyncio.get_running_loop().create_task(coroutine)
        self._tasks.add(task)

        def ended(finished: asyncio.Task[None]) -> None:
            self._tasks.discard(finished)
            busy.close()
            if not finished.cancelled() and (problem := finished.exception()) is not None:
                self._logger.critical("internal error of the host: %s", problem, exc_info=problem)

        task.add_done_callback(ended)
        return task

    async def close(self) -> None:
        """Cancel all that still runs and take no more."""
        self.closed = True
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
