"""The worker's side: load the app, run what the host asks for, tell it what was logged.

It lives on when the host is killed: functions that run then go on to their end. Only then does the process end; the real one stays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from typing import NoReturn

from emulators.functions_host.app.failures import FunctionFailed, app_traceback, error_text
from emulators.functions_host.app.indexing import LoadedFunction
from emulators.functions_host.app.loading import load_app
from emulators.functions_host.app.runner import Runner, invocation_of_this_line
from emulators.functions_host.app.signature import IndexingError
from emulators.functions_host.worker.messages import Channel, Done, Invoke, Load, Loaded, LogLine

_TRUE = frozenset({"1", "true", "t", "yes", "y"})


class _Lines(logging.Handler):
    """Sends log lines to the host, with the invocation that they belong to."""

    def __init__(self, channel: Channel) -> None:
        super().__init__()
        self._channel = channel

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = self.format(record)
        except Exception:
            self.handleError(record)
            return
        with contextlib.suppress(OSError, ValueError):  # the host has ended
            self._channel.send(LogLine(record.name, record.levelno, text, invocation_of_this_line()))


def serve(incoming: int, outgoing: int) -> NoReturn:
    """Serve a host over two descriptors until it is gone and no function runs; ends the process.

    A function that calls ``sys.exit`` ends it too, with that code, once sync functions on other threads have ended.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # of a terminal: the host ends its worker
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.dup2(2, 1)  # what functions print
    channel = Channel(os.fdopen(incoming, "rb"), os.fdopen(outgoing, "wb"))
    code = 0
    try:
        load = channel.receive()
        if isinstance(load, Load):
            asyncio.run(_Service(channel, load).run())
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if isinstance(end.code, str):
            print(end.code, file=sys.stderr)
    except BaseException as problem:
        print(app_traceback(problem), file=sys.stderr)
        code = 1
    sys.stderr.flush()
    os._exit(code & 0xFF)


class _Service:
    def __init__(self, channel: Channel, load: Load) -> None:
        self._channel, self._settings = channel, load.settings
        self._tasks: set[asyncio.Task[None]] = set()
        self._gone = False
        self._over = asyncio.Event()

    async def run(self) -> None:
        """Load the app and serve."""
        os.environ.update(self._settings.values)
        root = logging.getLogger()
        root.handlers[:] = [_Lines(self._channel)]
        debug = self._settings.values.get("PYTHON_ENABLE_DEBUG_LOGGING", "").lower().strip() in _TRUE
        root.setLevel(logging.DEBUG if debug else logging.INFO)
        functions = self._load()
        if functions is None:
            return
        runner = Runner(functions, self._settings.values)
        self._channel.send(Loaded([function.about for function in functions]))
        loop = asyncio.get_running_loop()
        threading.Thread(target=self._receive, args=(loop, runner), daemon=True).start()
        try:
            await self._over.wait()
        finally:
            runner.close(wait=True)

    def _load(self) -> list[LoadedFunction] | None:
        try:
            return load_app(self._settings)
        except IndexingError as problem:
            cause = problem.__cause__
            self._channel.send(Loaded([], str(problem), app_traceback(cause) if cause else None))
            return None

    def _receive(self, loop: asyncio.AbstractEventLoop, runner: Runner) -> None:
        while isinstance(message := self._channel.receive(), Invoke):
            loop.call_soon_threadsafe(self._begin, runner, message)
        loop.call_soon_threadsafe(self._host_is_gone)

    def _begin(self, runner: Runner, message: Invoke) -> None:
        task = asyncio.get_running_loop().create_task(self._invoke(runner, message))
        self._tasks.add(task)
        task.add_done_callback(self._ended)

    async def _invoke(self, runner: Runner, message: Invoke) -> None:
        try:
            done = Done(message.invocation, await runner.call(message.function, message.invocation, message.inputs, message.retry))
        except FunctionFailed as failure:
            done = Done(message.invocation, None, str(failure), failure.stack)
        sys.stdout.flush()
        with contextlib.suppress(OSError, ValueError):  # the host has ended: nobody waits
            try:
                self._channel.send(done)
            except (TypeError, AttributeError) as problem:
                self._channel.send(Done(message.invocation, None, error_text(problem)))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._gone and not self._tasks:
            self._over.set()

    def _host_is_gone(self) -> None:
        self._gone = True
        if not self._tasks:
            self._over.set()
