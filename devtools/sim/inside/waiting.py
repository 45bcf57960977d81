"""What waits in place of the threads' own tools: locks, conditions, timers, pools. All for one scheduler at a time."""

from __future__ import annotations

import threading
import types
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import FIRST_EXCEPTION, Future
from typing import Any

from devtools.sim.inside.scheduler import Crash, Scheduler, Strand


class Condition(threading.Condition):
    """A condition for strands. Its lock is nothing: a strand keeps its turn until it waits.

    ``deadline`` tells the instant (monotonic seconds) at which the present strand's statement must end, if any;
    ``expired`` is called when a wait goes beyond it.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self._sleepers: list[tuple[Strand, int]] = []
        self.deadlines: dict[Strand, tuple[float, Callable[[], None]]] = {}

    def __enter__(self) -> bool:
        return True

    def __exit__(self, *_: object) -> None:
        """Nothing is held."""

    def wait(self, timeout: float | None = None) -> bool:
        """Wait for a notification, at most ``timeout`` seconds of virtual time."""
        scheduler = self._scheduler
        strand = scheduler.current
        assert strand is not None, "somebody who is no strand would wait for ever"
        wait = strand.waiting
        self._sleepers.append((strand, wait))
        limit = self.deadlines.get(strand)
        if limit is not None:
            left = max(0.0, limit[0] - scheduler.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        if timeout is not None:
            scheduler.after(timeout, lambda: scheduler.wake(strand, wait))
        scheduler.park()
        if limit is not None and scheduler.monotonic() >= limit[0]:
            limit[1]()
        return True

    def notify(self, n: int = 1) -> None:
        self.notify_all()

    def notify_all(self) -> None:
        """Wake all who wait."""
        sleepers, self._sleepers = self._sleepers, []
        for strand, wait in sleepers:
            self._scheduler.wake(strand, wait)


class Lock:
    """A mutex for strands; who dies with it takes it to the grave, as with a process."""

    def __init__(self, current: Callable[[], Scheduler]) -> None:
        self._current = current
        self._held = False
        self._queue: deque[tuple[Strand, int]] = deque()

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        """Take it; others run meanwhile."""
        scheduler = self._current()
        while self._held:
            strand = scheduler.current
            assert strand is not None
            if not blocking:
                return False
            self._queue.append((strand, strand.waiting))
            scheduler.park()
        self._held = True
        return True

    def release(self) -> None:
        """Give it back."""
        self._held = False
        if self._queue:
            self._current().wake(*self._queue.popleft())

    def locked(self) -> bool:
        """Whether somebody has it."""
        return self._held

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


class Timer:
    """threading.Timer in virtual time; its function must not wait."""

    def __init__(
        self, current: Callable[[], Scheduler], interval: float, function: Callable[..., Any], args: Any = (), kwargs: Any = None
    ) -> None:
        self._current, self._interval = current, interval
        self._call = lambda: function(*args, **(kwargs or {}))
        self._cancelled = False
        self.daemon = True

    def start(self) -> None:
        """Call the function when the interval has passed, unless cancelled."""
        self._current().after(self._interval, lambda: None if self._cancelled else self._call())

    def cancel(self) -> None:
        """Do not call it."""
        self._cancelled = True


class InlineThread:
    """threading.Thread for code that starts one and waits for its end at once: it runs in the strand that starts it."""

    def __init__(
        self, target: Callable[..., Any], name: str | None = None, args: Any = (), kwargs: Any = None, daemon: bool = True
    ) -> None:
        self._call = lambda: target(*args, **(kwargs or {}))
        self.daemon = daemon

    def start(self) -> None:
        """Run to the end."""
        self._call()

    def join(self, timeout: float | None = None) -> None:
        """It has ended."""

    def is_alive(self) -> bool:
        """It has ended."""
        return False


class Pool:
    """ThreadPoolExecutor for strands: work begins first in, first out, on at most so many at a time."""

    def __init__(self, current: Callable[[], Scheduler], max_workers: int, thread_name_prefix: str = "") -> None:
        self._current, self._free = current, max_workers
        self._work: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Future[Any]:
        """Run a function when a worker is free."""
        future: Future[Any] = Future()
        self._work.append((future, lambda: function(*args, **kwargs)))
        if self._free:
            self._free -= 1
            strand = self._current().current
            assert strand is not None and strand.owner is not None
            strand.owner.loop.spawn(self._serve)  # type: ignore[attr-defined]
        return future

    def _serve(self) -> None:
        try:
            while self._work:
                future, call = self._work.popleft()
                if not future.set_running_or_notify_cancel():
                    continue
                try:
                    result = call()
                except Crash:
                    raise
                except BaseException as error:
                    future.set_exception(error)
                else:
                    future.set_result(result)
        finally:
            self._free += 1

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Workers end by themselves."""


def wait_for(current: Callable[[], Scheduler], futures: Iterable[Future[Any]], timeout: float | None, return_when: str) -> None:
    """concurrent.futures.wait for strands; what is done can be asked of the futures."""
    scheduler = current()
    strand = scheduler.current
    assert strand is not None
    waited = list(futures)
    failed: list[Future[Any]] = []

    def over() -> bool:
        while waited and waited[-1].done():
            waited.pop()
        return not waited or (return_when == FIRST_EXCEPTION and bool(failed))

    deadline = None if timeout is None else scheduler.monotonic() + timeout
    wait = -1

    def look(future: Future[Any] | None = None) -> None:
        if future is not None and not future.cancelled() and future.exception():
            failed.append(future)
        scheduler.wake(strand, wait)

    for future in list(waited):
        future.add_done_callback(look)
    while not over() and (deadline is None or scheduler.monotonic() < deadline):
        wait = strand.waiting
        if deadline is not None:
            scheduler.after(deadline - scheduler.monotonic(), look)
        scheduler.park()


class Deadlines:
    """The thread that ends exchanges whose time is up, in virtual time."""

    def __init__(self, current: Callable[[], Scheduler]) -> None:
        self._current = current

    def add(self, seconds: float, exchange: Any) -> None:
        """Let an exchange expire in so many seconds, unless it is over by then."""
        self._current().after(seconds, lambda: None if exchange.over else exchange.expire())


def threading_for(current: Callable[[], Scheduler]) -> types.SimpleNamespace:
    """The module threading, with what waits replaced."""
    names = dict(vars(threading))
    names["Lock"] = lambda: Lock(current)
    names["Timer"] = lambda *args, **kwargs: Timer(current, *args, **kwargs)
    names["Thread"] = InlineThread
    return types.SimpleNamespace(**names)
