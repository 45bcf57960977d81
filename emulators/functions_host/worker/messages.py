"""What host and worker say to each other, over two pipes. Both run the same code on one machine, so the messages are pickles."""

from __future__ import annotations

import contextlib
import pickle
import struct
import threading
from dataclasses import dataclass
from typing import IO, Any

from azure.functions.meta import Datum

from emulators.functions_host.app.context import RetryContext
from emulators.functions_host.app.indexing import IndexedFunction

_LENGTH = struct.Struct("<Q")


@dataclass(frozen=True)
class Load:
    """To the worker, first of all: the settings of the app."""

    settings: Any


@dataclass(frozen=True)
class Invoke:
    """To the worker: run a function."""

    function: IndexedFunction
    invocation: str
    inputs: dict[str, Datum]
    retry: RetryContext


@dataclass(frozen=True)
class Loaded:
    """From the worker: the functions of the app; or why there are none, with the traceback in the app."""

    functions: list[IndexedFunction]
    problem: str | None = None
    stack: str | None = None


@dataclass(frozen=True)
class Done:
    """From the worker: an invocation has ended; with a result, or with the text of an error and its traceback."""

    invocation: str
    result: Datum | None
    error: str = ""
    stack: str | None = None


@dataclass(frozen=True)
class LogLine:
    """From the worker: a line of the app or of a library.

    Attributes:
        invocation: None if the worker knows none.
    """

    logger: str
    level: int
    text: str
    invocation: str | None


class Channel:
    """Messages out on one pipe, in on the other. Any thread may send; one receives."""

    def __init__(self, incoming: IO[bytes], outgoing: IO[bytes]) -> None:
        self._incoming, self._outgoing = incoming, outgoing
        self._sending = threading.Lock()

    def send(self, message: Any) -> None:
        """Send a message.

        Raises:
            OSError, ValueError: the other side, or this one, has closed the pipe.
        """
        content = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
        with self._sending:
            self._outgoing.write(_LENGTH.pack(len(content)) + content)
            self._outgoing.flush()

    def receive(self) -> Any:
        """The next message; None once the other side has ended."""
        head = self._incoming.read(_LENGTH.size)
        if len(head) < _LENGTH.size:
            return None
        (length,) = _LENGTH.unpack(head)
        content = self._incoming.read(length)
        return pickle.loads(content) if len(content) == length else None

    def close(self) -> None:
        """Close the pipe to the other side."""
        with self._sending:
            with contextlib.suppress(OSError):
                self._outgoing.close()
