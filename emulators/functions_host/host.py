"""The host: puts the parts together, starts them, stops them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import sys
from pathlib import Path
from typing import IO, Any

from azure.functions.meta import Datum

from emulators.clock import Clock
from emulators.functions_host.app.indexing import IndexedFunction, load_app
from emulators.functions_host.app.invocation import FunctionFailed, Invoker, RetryPolicy
from emulators.functions_host.console import CONSOLE_PATH, Console, HostState, SqlTrigger
from emulators.functions_host.durable.config import DurableConfig
from emulators.functions_host.durable.engine import Engine, Functions
from emulators.functions_host.durable.entities import EntityRunner
from emulators.functions_host.durable.operations import Operations
from emulators.functions_host.durable.orchestrations import OrchestrationRunner
from emulators.functions_host.durable.reader import DurableReader
from emulators.functions_host.durable.rpc import ManagementApi
from emulators.functions_host.durable.store import Store
from emulators.functions_host.durable.work import WorkSet
from emulators.functions_host.host_log import keep_recent
from emulators.functions_host.http.front import HttpFront
from emulators.functions_host.http.keys import Keys
from emulators.functions_host.settings import AppSettings, ConfigurationError
from emulators.functions_host.timers.listener import ScheduleMonitor, TimerListener

_FIRST_RETRY_SECONDS, _LAST_RETRY_SECONDS = 1.0, 60.0  # of a listener that cannot start
_GRACE_SECONDS = 10.0  # for running functions at the end (real seconds: a stop does not wait for a virtual clock)


def _lock(data: Path) -> IO[str]:
    """Keep other hosts off the data directory for the life of the process."""
    handle = open(data / "host.lock", "w")  # noqa: SIM115  # held open on purpose
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise ConfigurationError(f"another host is running with the data directory {data}") from None
    return handle


class Host:
    """One host process.

    Args:
        settings: of the app; becomes the environment of the process.
        data: directory of the durable state.
        clock: of all timers.
        logger: the log.
        enable_auth: whether access keys are asked for.

    Raises:
        ConfigurationError, IndexingError: the app cannot run.
    """

    def __init__(self, settings: AppSettings, data: Path, clock: Clock, logger: logging.Logger, *, enable_auth: bool) -> None:
        self._settings, self._clock, self._logger, self._data = settings, clock, logger, data
        recent = keep_recent(clock)
        data.mkdir(parents=True, exist_ok=True)
        self._lock_file = _lock(data)
        os.environ.update(settings.values)
        self.functions = load_app(settings)
        config = DurableConfig.read(settings)
        self._invoker = Invoker(settings, clock, logger)
        for function in self.functions:
            if function.retry_policy:
                RetryPolicy(function.name, function.retry_policy)
        self._work = WorkSet(clock, logger)
        self._store = Store(data / "durable.sqlite")
        durable = logger.getChild("Host.Triggers.DurableTask")
        self._engine = Engine(self._store, config, Functions(self.functions), self._invoker, clock, self._work, durable)
        self._orchestrations = OrchestrationRunner(self._engine)
        self._entities = EntityRunner(self._engine)
        management = ManagementApi(self._store, Operations(self._engine, self._orchestrations), config, clock)
        self._invoker.client_text = management.client_text
        monitor = ScheduleMonitor(data / "timers")
        self._timers = {
            function.name: TimerListener(function, settings, monitor, self._invoker, clock, logger.getChild("Host.Triggers.Timer"))
            for function in self.functions
            if function.kind == "timerTrigger"
        }
        self._sql_triggers = {
            function.name: SqlTrigger(
                str(function.trigger["tableName"]),
                problem="disabled by an app setting" if settings.disabled(function.name) else None,
            )
            for function in self.functions
            if function.kind == "sqlTrigger"
        }
        state = HostState(settings, self.functions, self._invoker.book, self._timers, self._sql_triggers, config.hub_name, clock)
        self._front = HttpFront(
            self.functions,
            settings.host_json,
            self._invoker,
            management,
            self.trigger_by_hand,
            Keys(data / "keys.json", [function.name for function in self.functions if function.kind == "httpTrigger"]),
            enable_auth,
            Console(state, DurableReader(data / "durable.sqlite"), recent),
            clock,
            logger,
        )
        self._listeners: list[Any] = []

    async def run(self, port: int, rpc_port: int) -> None:
        """Start, announce the ports in one line on standard output, and run until SIGTERM or SIGINT."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: loop.call_soon_threadsafe(stop.set))
        await self._clock.start()
        with self._clock.busy():
            public, rpc = await self._front.start(port, rpc_port)
            self._engine.start(self._orchestrations.run_episode, self._entities.run_batch)
            for function in self.functions:
                if self._settings.disabled(function.name):
                    self._logger.info("function '%s' is disabled", function.name)
                elif function.kind == "timerTrigger":
                    self._work.spawn(self._timers[function.name].run())
                elif function.kind == "sqlTrigger":
                    self._work.spawn(self._listen(function))
        self._logger.info("listening on http://localhost:%d with %d functions", public, len(self.functions))
        for kind in dict.fromkeys(function.kind for function in self.functions):
            names = ", ".join(function.name for function in self.functions if function.kind == kind)
            self._logger.info("%s: %s", kind, names)
        self._logger.info("status page: http://localhost:%d%s/", public, CONSOLE_PATH)
        ready = {"port": public, "rpc_port": rpc, "functions": [function.name for function in self.functions]}
        print(json.dumps(ready), flush=True)
        await stop.wait()
        self._logger.info("stopping")
        await self._stop()

    async def _listen(self, function: IndexedFunction) -> None:
        """Start the SQL listener of a function; again after a pause while that fails."""
        pause = _FIRST_RETRY_SECONDS
        shown = self._sql_triggers[function.name]
        while True:
            try:
                listener = self._sql_listener(function)
                await listener.start()
            except Exception as problem:
                shown.problem = f"{type(problem).__name__}: {problem}"
                self._logger.error(
                    "The listener for function '%s' was unable to start, again in %g s: %s: %s",
                    function.name,
                    pause,
                    type(problem).__name__,
                    problem,
                )
                await self._clock.sleep(pause)
                pause = min(_LAST_RETRY_SECONDS, pause * 2)
                continue
            self._listeners.append(listener)  # it has told the log that it has started, and on what
            shown.inspector, shown.problem = listener.inspector, None
            return

    def _sql_listener(self, function: IndexedFunction) -> Any:
        from emulators.functions_host.sql_trigger import SqlTriggerListener  # apps without SQL triggers run without a driver

        settings, trigger = self._settings, function.trigger
        leases = trigger.get("leasesTableName")

        async def invoke(text: str) -> bool:
            try:
                await self._invoker.invoke(function, Datum(text, "string"), "SQL changes")
            except FunctionFailed:
                return False
            return True

        return SqlTriggerListener(
            function_name=function.name,
            table_name=settings.resolve(str(trigger["tableName"])),
            connection_string=settings.connection_string(str(trigger["connectionStringSetting"])),
            leases_table_name=settings.resolve(str(leases)) if leases else None,
            settings=settings.values,
            host_json=settings.host_json,
            host_id=settings.host_id,
            clock=self._clock,
            invoke=invoke,
            logger=self._logger.getChild("Host.Triggers.Sql"),
        )

    def trigger_by_hand(self, name: str, text: str | None) -> bool:
        """Run a timer or SQL function now, as the admin endpoint asks; False if there is no such function."""
        function = next((f for f in self.functions if f.name.lower() == name.lower()), None)
        if function is None or function.kind not in ("timerTrigger", "sqlTrigger"):
            return False
        timer = self._timers.get(function.name)
        value = timer.trigger_value(False) if timer else Datum(text or "[]", "string")

        async def run() -> None:
            with contextlib.suppress(FunctionFailed):  # it is in the log
                await self._invoker.invoke(function, value, "started by hand")

        self._work.spawn(run())
        return True

    async def _stop(self) -> None:
        """Take no more work, let running functions end for a while, close the files."""
        self._work.closed = True
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _GRACE_SECONDS
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(*(listener.stop() for listener in self._listeners), return_exceptions=True), 5)
        while self._invoker.running and loop.time() < deadline:
            await asyncio.sleep(0.02)
        await asyncio.sleep(0)  # what just ended commits its completion
        if self._invoker.running:
            self._logger.warning("%d invocations still run: what they do is done again at the next start", self._invoker.running)
        with contextlib.suppress(TimeoutError):  # a listener may be connecting to a database that does not answer
            await asyncio.wait_for(self._work.close(), 2)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._front.stop(), 2)
        self._invoker.close()
        self._store.close()
        self._logger.info("stopped")
        logging.shutdown()
        sys.stdout.flush()
        os._exit(0)  # threads in functions that do not end must not hold the process
