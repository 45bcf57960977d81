"""The log of the workers: only the lines that machines read are taken, and all others cost nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_CANONICAL = "rowpost.telemetry"


class _Taker(logging.Handler):
    def __init__(self, take: Callable[[str], None]) -> None:
        super().__init__()
        self._take = take

    def emit(self, record: logging.LogRecord) -> None:
        self._take(record.getMessage())


@contextmanager
def heard(take: Callable[[str], None]) -> Iterator[None]:
    """Hand such lines to ``take`` for a while."""
    logger, taker = logging.getLogger(_CANONICAL), _Taker(take)
    root, level, propagate = logging.getLogger().level, logger.level, logger.propagate
    logging.getLogger().setLevel(logging.CRITICAL + 1)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    logger.addHandler(taker)
    try:
        yield
    finally:
        logger.removeHandler(taker)
        logger.propagate = propagate
        logger.setLevel(level)
        logging.getLogger().setLevel(root)
