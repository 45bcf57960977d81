"""An asyncio event loop without IO, in virtual time, for one host."""

from __future__ import annotations

import asyncio
import itertools
import weakref
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context, copy_context
from typing import Any

from devtools.sim.inside.scheduler import MICROSECONDS, Crash, Owner, Scheduler, Strand


class Loop(asyncio.AbstractEventLoop):
    """Runs callbacks first in, first out, in a strand of its own; what is meant for a thread gets a strand too.

    Args:
        scheduler: decides whose turn it is.
        owner: the host.
    """

    def __init__(self, scheduler: Scheduler, owner: Owner) -> None:
        self._scheduler, self._owner = scheduler, owner
        self._callbacks: deque[asyncio.Handle] = deque()
        self._strand = Strand(owner, self._run, self)
        self._idle = False
        self._tasks: dict[asyncio.Task[Any], Context] = {}
        self._born: weakref.WeakKeyDictionary[asyncio.Task[Any], int] = weakref.WeakKeyDictionary()
        self._count = itertools.count()
        self._threads: dict[Strand, None] = {}
        self._queues: dict[int, deque[Strand]] = {}
        self.problems: list[dict[str, Any]] = []
        scheduler.spawn(self._strand)

    # --- the strand ---

    def _run(self) -> None:
        scheduler, callbacks, owner = self._scheduler, self._callbacks, self._owner
        try:
            while True:
                if not callbacks:
                    self._idle = True
                    scheduler.park()
                    self._idle = False
                handle = callbacks.popleft()
                if not handle.cancelled():
                    handle._run()
                if owner.dead:
                    return
                if callbacks:
                    scheduler.sleep(0)
        except Crash:
            return

    def _awake(self) -> None:
        if self._idle:
            self._idle = False
            self._scheduler.wake(self._strand, self._strand.waiting)

    # --- callbacks ---

    def call_soon(self, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        if not self._owner.dead:
            self._callbacks.append(handle)
            self._awake()
        return handle

    call_soon_threadsafe = call_soon

    def call_later(
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_at(self.time() + delay, callback, *args, context=context)

    def call_at(self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)

        def due() -> None:
            if not handle.cancelled() and not self._owner.dead:
                self._callbacks.append(handle)
                self._awake()

        self._scheduler.at(round(when * MICROSECONDS), due)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Nothing to tidy: a cancelled timer is passed over when it is due."""

    def time(self) -> float:
        return self._scheduler.monotonic()

    # --- futures, tasks, threads ---

    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    def create_task(
        self, coro: Coroutine[Any, Any, Any], *, name: str | None = None, context: Context | None = None
    ) -> asyncio.Task[Any]:  # type: ignore[override]
        own = context or copy_context()
        task: asyncio.Task[Any] = asyncio.Task(coro, loop=self, name=name or "", context=own)
        self._tasks[task] = own
        self._born[task] = next(self._count)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        self._tasks.pop(task, None)

    def age(self, task: asyncio.Task[Any]) -> int:
        """Which of the loop's tasks it is, in order of their creation."""
        return self._born[task]

    def run_in_executor(self, executor: Any, func: Callable[..., Any], *args: Any) -> asyncio.Future[Any]:  # type: ignore[override]
        """Run a function in a strand; an executor of one thread runs one after the other."""
        if self._owner.dead:
            raise Crash
        future = self.create_future()
        queue: deque[Strand] | None = None
        if isinstance(executor, ThreadPoolExecutor) and executor._max_workers == 1:
            queue = self._queues.setdefault(id(executor), deque())

        def run() -> None:
            try:
                result = func(*args)
            except Crash:
                return
            except BaseException as error:
                if not future.cancelled():
                    future.set_exception(error)
            else:
                if not future.cancelled():
                    future.set_result(result)
            finally:
                self._threads.pop(strand, None)
                if queue is not None:
                    queue.popleft()
                    if queue and not self._owner.dead:
                        self._scheduler.spawn(queue[0])

        strand = Strand(self._owner, run)
        self._threads[strand] = None
        if queue is not None:
            queue.append(strand)
            if len(queue) > 1:
                return future
        self._scheduler.spawn(strand)
        return future

    def spawn(self, run: Callable[[], None]) -> Strand:
        """A thread that somebody started without the loop."""

        def guarded() -> None:
            try:
                run()
            except Crash:
                pass
            finally:
                self._threads.pop(strand, None)

        strand = Strand(self._owner, guarded)
        self._threads[strand] = None
        self._scheduler.spawn(strand)
        return strand

    # --- the end ---

    def die(self) -> None:
        """Unwind everything: threads, then coroutines. The owner is marked dead, so none of it has an effect."""
        for strand in list(self._threads):
            self._scheduler.end(strand)
        self._scheduler.end(self._strand)
        self._callbacks.clear()
        asyncio._set_running_loop(self)
        try:
            for task, context in list(self._tasks.items()):
                if not task.done():
                    context.run(_unwind, task.get_coro())
        finally:
            asyncio._set_running_loop(None)

    # --- what else asyncio asks for ---

    def get_debug(self) -> bool:
        return False

    def is_running(self) -> bool:
        return True

    def is_closed(self) -> bool:
        return self._owner.dead

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not self._owner.dead and not isinstance(error, Crash):
            self.problems.append(context)


def _unwind(coroutine: Any) -> None:
    """Let a coroutine end as its process did; one that waits on its way out is told again."""
    for _ in range(8):
        try:
            coroutine.throw(Crash())
        except BaseException:
            return
