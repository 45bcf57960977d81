"""The time that one request and its answer may take together."""

from __future__ import annotations

import heapq
import itertools
import socket
import struct
import threading
import time
from contextlib import suppress
from contextvars import ContextVar, Token
from enum import Enum
from types import TracebackType
from typing import Self

_RESET = struct.pack("ii", 1, 0)  # what was not sent or read is dropped when the connection is closed


class Body(Enum):
    """What is done with the body of an answer."""

    UNREAD = "the connection is closed"
    SKIPPED = "it is read, as far as it is short, so that the connection can be used again"
    WANTED = "it is read and handed on; one that is too long or breaks off is a failure"
    OFFERED = "it is read and handed on, or not if it is too long or breaks off; the status stands"


class Exchange:
    """One request, from the look-up of the name to the end of what is read of the answer: over when its seconds are.

    Then its connection is shut down. Whoever waits for it, be it to connect, to shake hands, to send or to read, sees its end.
    (Only a look-up of the name cannot be ended; the resolver has limits of its own.) What is shut down is a duplicate of the
    socket: TLS takes the socket itself away, and a number of a file that was closed meanwhile may already be another file's.
    """

    def __init__(self, seconds: float, body: Body, body_bytes: int | None = None) -> None:
        self.body, self.body_bytes = body, body_bytes
        self.expired = False
        self._lock = threading.Lock()
        self._watched: socket.socket | None = None
        self._seconds = seconds
        self._over = False
        self._token: Token[Exchange] | None = None

    def __enter__(self) -> Self:
        _deadlines.add(self._seconds, self)
        self._token = _present.set(self)
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._token is not None:
            _present.reset(self._token)
        with self._lock:
            self._over = True
            self._let_go()

    @property
    def over(self) -> bool:
        """Whether it has ended in time: nothing is left to be shut down."""
        return self._over

    def watch(self, connection: socket.socket) -> None:
        """The connection is this one now.

        Raises:
            TimeoutError: too late.
        """
        with self._lock:
            self._let_go()
            if self.expired:
                raise TimeoutError
            self._watched = socket.fromfd(connection.fileno(), connection.family, connection.type)

    def expire(self) -> None:
        """Its time is up."""
        with self._lock:
            self.expired = not self._over
            if self._watched is not None:
                with suppress(OSError):  # it was not connected yet, or is no longer
                    self._watched.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)  # else who pours may not see the end
                    self._watched.shutdown(socket.SHUT_RDWR)

    def _let_go(self) -> None:
        if self._watched is not None:
            self._watched.close()
            self._watched = None


class _Deadlines:
    """One thread for all exchanges that are under way, and none when there are none: a thread for each costs as much as a post."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Exchange]] = []
        self._numbers = itertools.count()
        self._running = False

    def add(self, seconds: float, exchange: Exchange) -> None:
        """Let an exchange expire in so many seconds, unless it is over by then."""
        entry = (time.monotonic() + seconds, next(self._numbers), exchange)
        with self._changed:
            heapq.heappush(self._due, entry)
            if not self._running:
                threading.Thread(target=self._watch, name="rowpost-deadlines", daemon=True).start()
                self._running = True
            elif self._due[0] is entry:
                self._changed.notify()

    def _watch(self) -> None:
        while (exchange := self._next()) is not None:
            exchange.expire()

    def _next(self) -> Exchange | None:
        """Wait for the next one that is too late; None, and the thread ends, when no exchange is under way."""
        with self._changed:
            while self._due:
                due, _, exchange = self._due[0]
                left = due - time.monotonic()
                if exchange.over or left <= 0:
                    heapq.heappop(self._due)
                    if not exchange.over:
                        return exchange
                else:
                    self._changed.wait(left)
            self._running = False
            return None


_deadlines = _Deadlines()
_present: ContextVar[Exchange] = ContextVar("exchange")


def present() -> Exchange:
    """The exchange of this thread."""
    return _present.get()
