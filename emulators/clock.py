"""The one clock of all emulators: real, accelerated, or virtual (jumps to the next due instant when nothing runs).

Processes share it by a specification string:

* ``real``
* ``accelerated:<factor>:<file>``: the file holds the pair (start in real time, start in emulated time), so that
  processes that start later, or again after a kill, agree.
* ``virtual:<file>:<host>:<port>``: the file holds the present instant (memory-mapped, microseconds since 1970); a
  process with timers of its own joins the coordinator (:class:`VirtualTime`) at that address.

Virtual time moves only inside :meth:`VirtualTime.advance_to`: while any participant is busy it stands still; when all
are idle it jumps to the earliest instant at which one of them is due.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import json
import mmap
import os
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

T = TypeVar("T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INSTANT = struct.Struct("<q")
# Turns of the event loop without a busy task before a process calls itself idle: a set event needs a few to wake its waiter.
_SETTLE_TURNS = 4


def _to_microseconds(instant: datetime) -> int:
    return (instant - _EPOCH) // timedelta(microseconds=1)


def _from_microseconds(value: int) -> datetime:
    return _EPOCH + timedelta(microseconds=value)


class Clock:
    """The real clock, and the interface of the others."""

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return datetime.now(UTC)

    async def start(self) -> None:
        """Join the coordinator, if there is one; call once on the event loop that will sleep here."""

    async def sleep(self, seconds: float) -> None:
        """Pause the task for ``seconds`` of this clock."""
        await asyncio.sleep(seconds)

    async def sleep_until(self, instant: datetime) -> None:
        """Pause the task until ``instant``; returns at once if it has passed."""
        await self.sleep(max(0.0, (instant - self.now()).total_seconds()))

    async def poll_sleep(self, seconds: float, wake_at: datetime | None = None) -> None:
        """Pause of a poller that found nothing. In virtual time it costs nothing: see :meth:`VirtualClock.poll_sleep`."""
        await self.sleep(seconds)

    async def wait(self, awaitable: Awaitable[T]) -> T:
        """Await something that only other tasks of this process can bring about; never the work of a thread, which is no task."""
        return await awaitable

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        """Mark work during which virtual time must stand still. Any thread; reentrant."""
        yield

    @contextlib.asynccontextmanager
    async def task(self) -> AsyncIterator[None]:
        """Mark the life of a task that sleeps only through this clock."""
        with self.busy():
            yield

    def nudge(self) -> None:
        """Tell pollers, in all processes, that the world has changed."""


class AcceleratedClock(Clock):
    """Real time, run ``factor`` times as fast, from an origin shared by a file."""

    def __init__(self, factor: float, file: Path) -> None:
        self.factor = factor
        if not file.exists():
            draft = file.with_suffix(f".{os.getpid()}")
            now = time.time()
            draft.write_text(json.dumps([now, now]))
            with contextlib.suppress(FileExistsError):
                os.link(draft, file)  # the first process wins
            draft.unlink()
        self._real, self._emulated = json.loads(file.read_text())

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._emulated + (time.time() - self._real) * self.factor, UTC)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds / self.factor)


class VirtualClock(Clock):
    """A participant's view of virtual time."""

    def __init__(self, file: Path, host: str, port: int) -> None:
        with open(file, "rb") as handle:
            self._present = mmap.mmap(handle.fileno(), _INSTANT.size, access=mmap.ACCESS_READ)
        self._address = (host, port)
        self._lock = threading.Lock()
        self._busy = 0
        self._entries = 0  # how often anything became busy
        self._sleepers: list[tuple[datetime, int, asyncio.Future[None]]] = []
        self._pollers: dict[asyncio.Future[None], float] = {}
        self._order = itertools.count()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = 0  # the coordinator's last message that we have not answered yet
        self._answered = 0
        self._nudged = False

    def now(self) -> datetime:
        return _from_microseconds(_INSTANT.unpack(self._present[:8])[0])

    async def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        with self.busy():
            reader, self._writer = await asyncio.open_connection(*self._address)
            await reader.readline()  # the welcome: from here on the coordinator waits for us
            self._reader_task = asyncio.create_task(self._listen(reader))

    async def _listen(self, reader: asyncio.StreamReader) -> None:
        try:
            while line := await reader.readline():
                message = json.loads(line)
                with self.busy():
                    self._turn = message["turn"]
                    if message["nudge"]:
                        self._wake_pollers()
                    now = self.now()
                    while self._sleepers and self._sleepers[0][0] <= now:
                        self._wake(heapq.heappop(self._sleepers)[2])
        finally:
            if self._writer is not None:  # the loop ends: the coordinator must not wait for us
                self._writer.close()

    def _wake(self, future: asyncio.Future[None]) -> None:
        if not future.done():
            self._enter()  # on behalf of the sleeper, which goes on as busy
            future.set_result(None)

    def _wake_pollers(self) -> None:
        for future, seconds in list(self._pollers.items()):
            due = self.now() + timedelta(seconds=seconds)
            heapq.heappush(self._sleepers, (due, next(self._order), future))
        self._pollers.clear()

    def _enter(self) -> None:
        with self._lock:
            self._busy += 1
            self._entries += 1

    def _leave(self) -> None:
        with self._lock:
            self._busy -= 1
            idle = self._busy == 0
        if idle:
            self._became_idle()

    def _became_idle(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._settle, _SETTLE_TURNS, self._entries)

    def _settle(self, turns: int, entries: int) -> None:
        if entries != self._entries:  # work came in between: its end has begun a countdown of its own
            return
        if self._busy or self._answered == self._turn or self._loop is None or self._writer is None:
            return
        if turns:
            self._loop.call_soon(self._settle, turns - 1, entries)
            return
        while self._sleepers and self._sleepers[0][2].done():
            heapq.heappop(self._sleepers)
        due = _to_microseconds(self._sleepers[0][0]) if self._sleepers else None
        nudged, self._nudged = self._nudged, False
        self._answered = self._turn
        self._writer.write(json.dumps({"turn": self._turn, "due": due, "nudged": nudged}).encode() + b"\n")

    async def _sleep_on(self, future: asyncio.Future[None]) -> None:
        self._leave()
        try:
            await future
        except asyncio.CancelledError:
            if not (future.done() and not future.cancelled()):  # woken: _wake has entered for us already
                self._enter()
            raise

    async def sleep(self, seconds: float) -> None:
        await self.sleep_until(self.now() + timedelta(seconds=seconds))

    async def sleep_until(self, instant: datetime) -> None:
        if instant <= self.now():
            await asyncio.sleep(0)
            return
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (instant, next(self._order), future))
        await self._sleep_on(future)

    async def poll_sleep(self, seconds: float, wake_at: datetime | None = None) -> None:
        """Idle until ``wake_at``, or until ``seconds`` after the next nudge, whichever comes first."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._pollers[future] = seconds
        if wake_at is not None:
            due = max(wake_at, self.now() + timedelta(seconds=seconds))
            heapq.heappush(self._sleepers, (due, next(self._order), future))
        try:
            await self._sleep_on(future)
        finally:
            self._pollers.pop(future, None)

    async def wait(self, awaitable: Awaitable[T]) -> T:
        self._leave()
        try:
            return await awaitable
        finally:
            self._enter()

    @contextlib.contextmanager
    def busy(self) -> Iterator[None]:
        self._enter()
        try:
            yield
        finally:
            self._leave()

    def nudge(self) -> None:
        self._nudged = True
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self._wake_pollers)


def clock_from_spec(spec: str) -> Clock:
    """The clock that ``spec`` names.

    Raises:
        ValueError: the specification is not one of the three forms.
    """
    kind, _, rest = spec.partition(":")
    if kind == "real" and not rest:
        return Clock()
    if kind == "accelerated":
        factor, _, file = rest.partition(":")
        return AcceleratedClock(float(factor), Path(file))
    if kind == "virtual":
        file, host, port = rest.rsplit(":", 2)
        return VirtualClock(Path(file), host, int(port))
    raise ValueError(f"unknown clock {spec!r}: use real, accelerated:<factor>:<file> or virtual:<file>:<host>:<port>")


class _Participant:
    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self.turn = 0
        self.due: int | None = None
        self.alive = True
        self.nudged = False


class VirtualTime:
    """The coordinator of virtual time; lives in the process that drives a scenario.

    Args:
        directory: where the file with the present instant is made.
        start: the first instant (aware).
    """

    def __init__(self, directory: Path, start: datetime) -> None:
        self._path = directory / "virtual-time"
        with open(self._path, "wb") as handle:
            handle.write(_INSTANT.pack(_to_microseconds(start)))
        with open(self._path, "r+b") as handle:
            self._present = mmap.mmap(handle.fileno(), _INSTANT.size)
        self._server = socket.create_server(("127.0.0.1", 0))
        self._participants: list[_Participant] = []
        self._changed = threading.Condition()
        self._turn = 0
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def spec(self) -> str:
        """The specification for the processes that share this time."""
        return f"virtual:{self._path}:127.0.0.1:{self._server.getsockname()[1]}"

    def now(self) -> datetime:
        """The present instant, aware, in UTC."""
        return _from_microseconds(_INSTANT.unpack(self._present[:8])[0])

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._server.accept()
            except OSError:
                return
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            participant = _Participant(connection)
            with self._changed:
                self._participants.append(participant)
                self._changed.notify_all()
            with contextlib.suppress(OSError):
                connection.sendall(b"{}\n")
            threading.Thread(target=self._read, args=(participant,), daemon=True).start()

    def _read(self, participant: _Participant) -> None:
        try:
            with participant.connection.makefile("r") as lines:
                for line in lines:
                    message = json.loads(line)
                    with self._changed:
                        participant.turn, participant.due = message["turn"], message["due"]
                        participant.nudged |= message["nudged"]
                        self._changed.notify_all()
        except OSError:
            pass
        with self._changed:  # killed or stopped: time goes on without it
            participant.alive = False
            self._participants.remove(participant)
            self._changed.notify_all()

    def _round(self, nudge: bool, patience_seconds: float) -> None:
        """Tell all participants that time or the world changed, and wait until each is idle again."""
        with self._changed:
            self._turn += 1
            turn = self._turn
            sources = [p for p in self._participants if p.nudged]
            for participant in list(self._participants):
                others = any(source is not participant for source in sources)
                line = json.dumps({"turn": turn, "nudge": nudge or others}).encode() + b"\n"
                with contextlib.suppress(OSError):
                    participant.connection.sendall(line)
            for participant in sources:
                participant.nudged = False
            told = list(self._participants)
            if not self._changed.wait_for(lambda: all(p.turn >= turn or not p.alive for p in told), patience_seconds):
                raise TimeoutError(f"virtual time stood still for {patience_seconds} real seconds: a participant stays busy")

    def advance_to(
        self,
        instant: datetime,
        *,
        until: Callable[[], bool] | None = None,
        progress: Callable[[datetime], Any] | None = None,
        patience_seconds: float = 60.0,
    ) -> bool:
        """Let time run to ``instant``, or until ``until()`` holds between two jumps.

        Returns:
            True if ``until`` held; without ``until``, True always.

        Raises:
            TimeoutError: a participant was busy for more than ``patience_seconds`` of real time.
        """
        target = _to_microseconds(instant)
        self._round(True, patience_seconds)
        while True:
            if until is not None and until():
                return True
            with self._changed:
                pending = any(p.nudged for p in self._participants) and len(self._participants) > 1
                dues = [p.due for p in self._participants if p.due is not None]
            if not pending:
                due = min(dues, default=target)
                now = _to_microseconds(self.now())
                if due > target:
                    if now < target:
                        self._set(target)
                        self._round(False, patience_seconds)
                    return until is None or until()
                if due <= now and now >= target and not dues:
                    return until is None
                self._set(max(now, due))
                if not dues and due == target:
                    self._round(False, patience_seconds)
                    return until is None or until()
            if progress is not None:
                progress(self.now())
            self._round(False, patience_seconds)

    def advance(self, seconds: float, **options: Any) -> bool:
        """Let ``seconds`` of virtual time pass; options as for :meth:`advance_to`."""
        return self.advance_to(self.now() + timedelta(seconds=seconds), **options)

    def _set(self, microseconds: int) -> None:
        self._present[:8] = _INSTANT.pack(microseconds)

    def close(self) -> None:
        """Stop accepting participants; those that are connected find no coordinator any more."""
        with contextlib.suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
