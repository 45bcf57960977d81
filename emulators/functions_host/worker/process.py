"""The host's side of its worker: start it, hand it invocations, notice that it has ended, start it again.

Of what runs in a worker that ends, the host learns no more. If it ended with an error, its invocations fail at once. If the host
ends it after a time-out, or if it ended with code 0, they last until each has reached its own time-out: the real host does not
look after them.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import datetime, timedelta

from azure.functions.meta import Datum

from emulators.clock import Clock
from emulators.functions_host.app.context import RetryContext
from emulators.functions_host.app.failures import Cause, FunctionFailed
from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.signature import IndexingError
from emulators.functions_host.settings import AppSettings
from emulators.functions_host.worker.messages import Channel, Done, Invoke, Load, Loaded, LogLine
from emulators.process import ROOT

_MOST_LOSSES = 3
_FORGET_LOSSES = timedelta(minutes=30)  # between two of them


class _Life:
    """One worker, from its start to its end."""

    def __init__(self, settings: AppSettings, on_line: Callable[[LogLine], None], *, fork: bool) -> None:
        self.loaded: Future[Loaded] = Future()
        self.code: Future[int] = Future()
        self.waiting: dict[str, asyncio.Future[Datum]] = {}
        self.dismissed = False  # ended by the host
        self._on_line = on_line
        self._loop: asyncio.AbstractEventLoop | None = None
        self.pid, self._wait, self._kill, self.channel = _forked() if fork else _spawned(settings)
        with contextlib.suppress(OSError):  # it has ended: the reader sees it
            self.channel.send(Load(settings))

    def listen(self) -> None:
        """Begin to read what it says."""
        threading.Thread(target=self._read, daemon=True, name=f"worker {self.pid}").start()

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """From now on results are awaited on this loop."""
        self._loop = loop

    def end(self) -> None:
        """Kill it: it is not missed."""
        self.dismissed = True
        self._kill()

    def _read(self) -> None:
        while (message := self.channel.receive()) is not None:
            if isinstance(message, LogLine):
                self._on_line(message)
            elif isinstance(message, Loaded):
                self.loaded.set_result(message)
            elif self._loop is not None:
                self._loop.call_soon_threadsafe(self._finish, message)
        code = self._wait()
        if not self.loaded.done():
            self.loaded.set_result(Loaded([], f"the worker ended with code {code} while it loaded the app"))
        self.code.set_result(code)

    def _finish(self, message: Done) -> None:
        waiting = self.waiting.pop(message.invocation, None)
        if waiting is None or waiting.done():
            return
        if message.result is not None:
            waiting.set_result(message.result)
        else:
            waiting.set_exception(FunctionFailed(message.error, message.stack))


def _spawned(settings: AppSettings) -> tuple[int, Callable[[], int], Callable[[], None], Channel]:
    environment = dict(settings.values)
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH")]))
    process = subprocess.Popen(
        [sys.executable, "-m", "emulators.functions_host.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment
    )
    assert process.stdin is not None
    assert process.stdout is not None
    return process.pid, process.wait, process.kill, Channel(process.stdout, process.stdin)


def _forked() -> tuple[int, Callable[[], int], Callable[[], None], Channel]:
    """A fork of this process, which has imported the SDK already: for tests, see emulators/warm.py."""
    to_worker, from_host = os.pipe()[::-1]
    from_worker, to_host = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(to_worker)
        os.close(from_worker)
        from emulators.functions_host.worker.service import serve

        serve(from_host, to_host)
    os.close(from_host)
    os.close(to_host)

    def wait() -> int:
        _, status = os.waitpid(pid, 0)
        return os.waitstatus_to_exitcode(status)

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 9)

    return pid, wait, kill, Channel(os.fdopen(from_worker, "rb"), os.fdopen(to_worker, "wb"))


class WorkerProcess:
    """The worker of a host.

    Args:
        settings: of the app.
        clock: stands still while a worker starts.
        logger: the host's.
        on_line: receives the lines that the app logs.
    """

    def __init__(self, settings: AppSettings, clock: Clock, logger: logging.Logger, on_line: Callable[[LogLine], None]) -> None:
        self._settings, self._clock, self._logger, self._on_line = settings, clock, logger, on_line
        self._life = _Life(settings, on_line, fork="emulators.warm" in sys.modules)
        self._ready = asyncio.Event()
        self._losses: list[datetime] = []
        self._watch: asyncio.Task[None] | None = None
        self._give_up: Callable[[], None] = lambda: None
        self._life.listen()

    @property
    def pid(self) -> int:
        """Of the present worker."""
        return self._life.pid

    def functions(self) -> list[IndexedFunction]:
        """The functions of the app; waits until it is loaded.

        Raises:
            IndexingError: it cannot be loaded. Its ``stack`` is the traceback in the app.
        """
        loaded = self._life.loaded.result()
        if loaded.problem is not None:
            problem = IndexingError(loaded.problem)
            problem.stack = loaded.stack
            raise problem
        return loaded.functions

    def start(self, give_up: Callable[[], None]) -> None:
        """Watch over the worker from now on, on the running loop; ``give_up`` is called when it has ended too often."""
        self._give_up = give_up
        self._life.bind(asyncio.get_running_loop())
        self._ready.set()
        self._watch = asyncio.get_running_loop().create_task(self._look_after(self._life))

    async def call(self, function: IndexedFunction, invocation: str, inputs: Mapping[str, Datum], retry: RetryContext) -> Datum:
        """See :class:`emulators.functions_host.app.runner.Worker`. It waits while the worker starts."""
        await self._ready.wait()
        life = self._life
        waiting: asyncio.Future[Datum] = asyncio.get_running_loop().create_future()
        life.waiting[invocation] = waiting
        try:
            with contextlib.suppress(OSError, ValueError):  # it has just ended: whoever watches it goes on from there
                life.channel.send(Invoke(function, invocation, dict(inputs), retry))
            return await waiting
        finally:
            life.waiting.pop(invocation, None)

    async def restart_for(self, invocation: str) -> None:
        """End the worker that runs an invocation which has timed out, and start another."""
        if invocation not in self._life.waiting:
            return
        self._logger.warning("A function timeout has occurred. Restarting worker process executing invocationId '%s'.", invocation)
        self._life.waiting.clear()  # those who wait are left to their own time-outs
        self._life.end()
        await self._start_again()
        self._logger.warning("Restart of language worker process(es) completed.")

    async def _look_after(self, life: _Life) -> None:
        code = await asyncio.wrap_future(life.code)
        if life.dismissed or code == 0:
            return
        code = 128 - code if code < 0 else code
        failure = f"WorkerProcessExitException: python exited with code {code} (0x{code:X})"
        self._logger.error("%s", failure)
        for waiting in list(life.waiting.values()):
            if not waiting.done():
                waiting.set_exception(FunctionFailed(failure, cause=Cause.WORKER))
        now = self._clock.now()
        if self._losses and now - self._losses[-1] > _FORGET_LOSSES:
            self._losses.clear()
        self._losses.append(now)
        if len(self._losses) < _MOST_LOSSES:
            await self._start_again()
            return
        self._logger.error(
            "Exceeded language worker restart retry count for runtime:python. "
            "Shutting down and proactively recycling the Functions Host to recover"
        )
        self._give_up()

    async def _start_again(self) -> None:
        with self._clock.busy():
            self._ready.clear()
            loop = asyncio.get_running_loop()
            life = await loop.run_in_executor(None, lambda: _Life(self._settings, self._on_line, fork=False))
            life.bind(loop)
            life.listen()
            loaded = await asyncio.wrap_future(life.loaded)
            if loaded.problem is not None:
                self._logger.error("The new worker cannot load the app: %s", loaded.problem)
            self._life = life
            self._ready.set()
            self._watch = loop.create_task(self._look_after(life))

    def close(self) -> None:
        """End it."""
        if self._watch is not None:
            self._watch.cancel()
        self._life.end()
