"""Sockets inside the simulation: the app's own HTTP code runs down to them, and reads answers byte by byte in virtual time."""

from __future__ import annotations

import io
import itertools
import socket
import types
from collections import deque
from collections.abc import Callable
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from devtools.sim.inside.manners import Manners
from devtools.sim.inside.network import Network
from devtools.sim.inside.scheduler import Scheduler, Strand
from emulators.http_server import Request


class Sockets:
    """What stands for the module socket in the app's HTTP code.

    Args:
        network: knows the services.
        scheduler: of the simulation.
        pause: draws how long a message takes one way, in seconds.
        manners: of the way back.
        took: told of each manner that an answer really had.
    """

    def __init__(
        self, network: Network, scheduler: Scheduler, pause: Callable[[], float], manners: Manners, took: Callable[[str], None]
    ) -> None:
        self.network, self.scheduler, self.pause, self.manners, self.took = network, scheduler, pause, manners, took
        self._numbers = itertools.count(1000)
        self._open: dict[int, Socket] = {}

    def module(self) -> types.SimpleNamespace:
        """The names that the app's code uses."""
        names = {name: getattr(socket, name) for name in ("SOCK_STREAM", "SOL_SOCKET", "SO_LINGER", "SHUT_RDWR", "gaierror")}
        return types.SimpleNamespace(**names, socket=self._new, getaddrinfo=self._look_up, fromfd=self._same)

    def _new(self, *_: Any) -> Socket:
        made = Socket(self, next(self._numbers))
        self._open[made.number] = made
        return made

    def _look_up(self, host: str, port: int, *_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (host, port))]

    def _same(self, number: int, *_: Any) -> Duplicate:
        return Duplicate(self._open[number])


class Duplicate:
    """Another handle of a socket: to end it from elsewhere."""

    def __init__(self, original: Socket) -> None:
        self._original = original

    def setsockopt(self, *_: Any) -> None:
        """Nothing that could be set would make a difference."""

    def shutdown(self, _: int) -> None:
        """Who reads sees the end."""
        self._original.end()

    def close(self) -> None:
        """The original stays open."""


class Socket:
    """A connection of the app.

    Args:
        sockets: that it belongs to.
        number: its file number.
    """

    family, type = socket.AF_INET, socket.SOCK_STREAM

    def __init__(self, sockets: Sockets, number: int) -> None:
        self.number = number
        self._sockets, self._scheduler = sockets, sockets.scheduler
        self._timeout: float | None = None
        self._to = ""
        self._sent = b""
        self._coming: deque[tuple[float, bytes | None]] = deque()  # when it is here (monotonic), and what; None: a reset
        self._ended_at: float | None = None  # when the other side ends the connection
        self._shut = False
        self._attempt: int | None = None  # whose answer is on its way
        self._told = ""
        self._reader: tuple[Strand, int] | None = None

    # --- what a socket has ---

    def fileno(self) -> int:
        """Its number."""
        return self.number

    def settimeout(self, seconds: float | None) -> None:
        """How long an operation may take; 0: it does not wait."""
        self._timeout = seconds

    def setsockopt(self, *_: Any) -> None:
        """Nothing that could be set would make a difference."""

    def connect(self, address: tuple[str, int]) -> None:
        """Raises:
        ConnectionRefusedError: nobody listens.
        """
        self._to = address[0]
        self._scheduler.effect("connect", self._sockets.pause(), self._to)
        if not self._sockets.network.listens(self._to):
            raise ConnectionRefusedError

    def makefile(self, mode: str = "rb", *_: Any, **__: Any) -> io.BufferedReader:
        """A reader of its own buffer."""
        return io.BufferedReader(_Reader(self))

    def shutdown(self, _: int) -> None:
        """As with the end of the other side."""
        self.end()

    def close(self) -> None:
        """Nothing comes any more."""
        self._coming.clear()
        self._shut = True

    def end(self) -> None:
        """Who reads sees the end at once."""
        self._shut = True
        self._coming.clear()
        if self._reader is not None:
            self._scheduler.wake(*self._reader)

    # --- sending ---

    def sendall(self, data: bytes) -> None:
        """Send; a request that is whole is answered.

        Raises:
            BrokenPipeError: the other side has ended the connection.
        """
        if self._shut:
            raise BrokenPipeError
        self._sent += bytes(data)
        head, found, body = self._sent.partition(b"\r\n\r\n")
        if not found:
            return
        first, _, rest = head.partition(b"\r\n")
        fields = BytesParser().parsebytes(rest + b"\r\n\r\n")
        if len(body) < int(fields.get("Content-Length") or 0):
            return
        self._sent = b""
        method, target, _ = first.decode().split(" ")
        parts = urlsplit(target)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self._answer(Request(method, parts.path, query, fields, body))

    def _answer(self, request: Request) -> None:
        scheduler, network = self._scheduler, self._sockets.network
        self._told = f"{request.method} {request.path} {request.headers.get('Idempotency-Key', '')}"
        scheduler.effect("http", self._sockets.pause(), self._told)
        answer, delay, self._attempt = network.ask(self._to, request)
        now = scheduler.monotonic() + max(delay, self._sockets.pause())
        if answer is None:
            self._coming.append((now, None))
            return
        manners = self._sockets.manners
        found = manners.drawn(answer) if request.path == "/rows" else manners.plain(answer)
        for what in found.what:
            self._sockets.took(what)
        if found.broken:
            self.lose()
        for seconds, content in found.parts:
            now += seconds
            self._coming.append((now, content))
        self._ended_at = now if found.closes else None
        self._told += f": {answer.status}"

    # --- receiving ---

    def recv(self, size: int) -> bytes:
        """Bytes that have come.

        Raises:
            BlockingIOError: none have, and it does not wait.
            TimeoutError, ConnectionResetError: as they say.
        """
        content = self._receive()
        self._put_back(content[size:])
        return content[:size]

    def receive_into(self, buffer: memoryview) -> int | None:
        """The same for a reader; None: none have come, and it does not wait."""
        try:
            content = self.recv(len(buffer))
        except BlockingIOError:
            return None
        buffer[: len(content)] = content
        return len(content)

    def _put_back(self, content: bytes) -> None:
        if content:
            self._coming.appendleft((self._scheduler.monotonic(), content))

    def _receive(self) -> bytes:
        scheduler = self._scheduler
        deadline = None if self._timeout is None else scheduler.monotonic() + self._timeout
        while True:
            if self._shut:
                self.lose()
                return b""
            now = scheduler.monotonic()
            if self._coming and self._coming[0][0] <= now:
                content = self._coming.popleft()[1]
                if content is None:
                    self._shut = True
                    scheduler.effect("http answer", None, f"{self._told}: reset")
                    raise ConnectionResetError
                if not self._coming and self._attempt is not None:
                    self._attempt = None  # all of it is here
                    scheduler.effect("http answer", None, self._told)
                return content
            if not self._coming and self._ended_at is not None and self._ended_at <= now:
                return b""
            if self._timeout == 0:
                raise BlockingIOError
            due = self._coming[0][0] if self._coming else self._ended_at
            if deadline is not None and now >= deadline:
                self.lose()
                scheduler.effect("http answer", None, f"{self._told}: none in time")
                raise TimeoutError
            limits = [each for each in (due, deadline) if each is not None]
            self._wait(min(limits) - now if limits else 3600.0)

    def _wait(self, seconds: float) -> None:
        scheduler = self._scheduler
        strand = scheduler.current
        assert strand is not None
        self._reader = (strand, strand.waiting)
        scheduler.after(max(seconds, 1e-6), lambda reader=self._reader: scheduler.wake(*reader))  # type: ignore[misc]
        scheduler.park()
        self._reader = None

    def lose(self) -> None:
        """The app does not learn what became of the request that is under way."""
        if self._attempt is not None:
            self._sockets.network.unanswered(self._to, self._attempt)
            self._attempt = None


class _Reader(io.RawIOBase):
    def __init__(self, connection: Socket) -> None:
        self._connection = connection

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return self._connection.receive_into(memoryview(buffer).cast("B"))
