"""Log lines that reach people: the host keeps a line only if it knows the invocation that it belongs to.

The Python worker (4.34, dispatcher.py) finds the invocation by the task that runs, or by the thread of a function that is not
async. A line that is logged at import, or in a thread of the app's own, belongs to none, and the host drops it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import Executor
from contextvars import ContextVar, copy_context
from functools import partial
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

_held: ContextVar[list[logging.LogRecord] | None] = ContextVar("held", default=None)


async def in_thread(work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """As ``asyncio.to_thread``. What the app logs in the thread is logged here, when the work is over.

    Raises:
        Exception: whatever ``work`` raises.
    """
    return await in_thread_of(None, partial(work, *args, **kwargs))


async def in_thread_of(threads: Executor | None, work: Callable[[], T]) -> T:
    """As :func:`in_thread`, in a thread of ``threads``; without them, in one of the worker's.

    Raises:
        Exception: whatever ``work`` raises.
    """
    _hold_back()
    records: list[logging.LogRecord] = []
    token = _held.set(records)
    try:
        return await asyncio.get_running_loop().run_in_executor(threads, copy_context().run, work)
    finally:
        _held.reset(token)
        for record in records:
            logging.getLogger(record.name).handle(record)


class _Holder(logging.Filter):
    """Keeps records for who waits for the thread, and lets all others pass."""

    def filter(self, record: logging.LogRecord) -> bool:
        records = _held.get()
        if records is not None:
            records.append(record)
        return records is None


_HOLDER = _Holder()


def _hold_back() -> None:
    """Put the holder into each logger of the app: one, also if this module was loaded twice."""
    for name, logger in list(logging.root.manager.loggerDict.items()):
        if name.startswith("rowpost.") and isinstance(logger, logging.Logger) and _HOLDER not in logger.filters:
            logger.filters[:] = [*(each for each in logger.filters if type(each).__name__ != _Holder.__name__), _HOLDER]
