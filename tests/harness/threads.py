"""Threads that a piece of code leaves behind, and what is logged meanwhile."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager


def left_behind(before: set[threading.Thread], seconds: float) -> list[str]:
    """The threads that were not there before and do not end in time. Workers of a pool end when nobody has the pool any more."""
    gc.collect()
    new = [thread for thread in threading.enumerate() if thread not in before]
    for thread in new:
        thread.join(seconds)
    return [thread.name for thread in new if thread.is_alive()]


class _Everything(logging.Handler):
    def __init__(self) -> None:
        super().__init__(logging.NOTSET)
        self.lines: list[str] = []
        self.setFormatter(logging.Formatter("%(name)s %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(self.format(record) + repr(record.args))  # the format has the text of an exception as well


@contextmanager
def everything_logged() -> Iterator[list[str]]:
    """Each line that any logger writes, at any level that it has not been set to leave out itself."""
    handler, root = _Everything(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    try:
        yield handler.lines
    finally:
        root.setLevel(level)
        root.removeHandler(handler)
