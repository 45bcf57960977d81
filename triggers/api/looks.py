"""Looks at the database that keep nobody waiting for long, and take no thread from the app's work."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from rowpost.log_lines import in_thread_of

T = TypeVar("T")

LOOK_SECONDS = 4.5  # who asks for a status has an answer within five
_THREADS = 8


class Looks:
    """One look at a time for each question: who asks meanwhile waits for the same answer.

    A database that is away holds a thread for as long as a connection is tried, 45 s by default. Its threads are for looks alone,
    and no caller who comes again takes another one.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="rowpost-look")
        self._running: dict[str, asyncio.Task[Any]] = {}

    async def at(self, question: str, work: Callable[[], T]) -> T:
        """The result of ``work``, or of the look at the same question that is under way.

        Who stops waiting ends nothing: the look goes on, and its answer is for whoever asks by then.

        Raises:
            Exception: whatever ``work`` raises.
        """
        task: asyncio.Task[T] | None = self._running.get(question)
        if task is None or task.done():
            task = asyncio.ensure_future(in_thread_of(self._threads, work))
            task.add_done_callback(_taken_note_of)
            self._running[question] = task
        return await asyncio.shield(task)


def _taken_note_of(task: asyncio.Task[Any]) -> None:
    """A failure that nobody waits for any more is nothing to log."""
    if not task.cancelled():
        task.exception()
