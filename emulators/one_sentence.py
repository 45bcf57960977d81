"""How an emulator that cannot start ends: with one sentence instead of a traceback."""

from __future__ import annotations

import errno
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def one_sentence() -> Iterator[None]:
    """End the process with 1 and one sentence at what the caller or the machine can cause: ports, files, values.

    Raises:
        SystemExit: at such an error.
    """
    try:
        yield
    except (OSError, ValueError, sqlite3.Error) as problem:
        print(f"error: {sentence(problem)}", file=sys.stderr, flush=True)
        sys.exit(1)


def sentence(problem: Exception) -> str:
    """What is to be said of such an error, with the remedy where there is one."""
    if isinstance(problem, OSError) and problem.errno == errno.EADDRINUSE:
        return f"another program listens there; choose another port, or 0 for any that is free ({problem.strerror})"
    if isinstance(problem, sqlite3.Error):
        return f"the data file cannot be used: {problem}"
    return str(problem) or type(problem).__name__
