"""One worker: the own parts of the Functions host's emulator and the unmodified app, on the simulation's loop."""

from __future__ import annotations

import asyncio
import importlib
import json
import logging
import os
import sys
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

from azure.functions.meta import Datum

from devtools.sim.inside.clock import SimClock
from devtools.sim.inside.hub import DurableRequest, Hub, HubEngine
from devtools.sim.inside.loop import Loop
from devtools.sim.inside.scheduler import Crash, Scheduler, Strand
from emulators.functions_host.app.failures import FunctionFailed
from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.invocation import Invoker
from emulators.functions_host.app.loading import load_app
from emulators.functions_host.app.runner import Runner
from emulators.functions_host.durable.config import DurableConfig
from emulators.functions_host.durable.engine import Functions
from emulators.functions_host.durable.entities import EntityRunner
from emulators.functions_host.durable.operations import Operations
from emulators.functions_host.durable.orchestrations import OrchestrationRunner
from emulators.functions_host.durable.rpc import RPC_PATH, WEBHOOK_PATH, ManagementApi
from emulators.functions_host.durable.store import ActivityItem
from emulators.functions_host.durable.work import WorkSet
from emulators.functions_host.host import Host
from emulators.functions_host.http.routes import Route
from emulators.functions_host.settings import AppSettings
from emulators.functions_host.timers.listener import ScheduleMonitor, TimerListener

_LISTENER_PAUSES = (1.0, 60.0)


class TimerPast(ScheduleMonitor):
    """The recorded past of the timers, in memory."""

    def __init__(self, past: dict[str, dict[str, str]]) -> None:
        self._past = past

    def load(self, function: str) -> dict[str, str] | None:
        return self._past.get(function)

    def save(self, function: str, status: Mapping[str, str]) -> None:
        self._past[function] = dict(status)


class Worker:
    """One process of the app. It can be killed or frozen at any effect.

    Args:
        name: for the trace.
        scheduler, clock: of the simulation.
        hub: that it shares with the others.
        settings: of the app.
        on_effect: told each effect before it happens; may call :meth:`freeze`, or :meth:`kill` and raise :class:`Crash`.
        on_death: told when nothing of the process is left.
        logger: the host's log.
    """

    def __init__(
        self,
        name: str,
        scheduler: Scheduler,
        clock: SimClock,
        hub: Hub,
        settings: AppSettings,
        on_effect: Callable[[Worker, str, bool, str], None],
        on_death: Callable[[Worker], None],
        logger: logging.Logger,
    ) -> None:
        self.name, self.scheduler, self.clock, self.hub = name, scheduler, clock, hub
        self.dead = self.frozen = False
        self.asks = False  # whether the engine answers a request: what it looks up then and what it commits are one
        self.started = False
        self.deaf_since: float | None = None  # when its trigger ended without a word
        self.effects = 0
        self._on_effect, self._on_death = on_effect, on_death
        self._kept: list[Strand] = []
        self._settings, self._clock, self._logger = settings, clock, logger
        self.loop = Loop(scheduler, self)
        os.environ.update(settings.values)
        sys.modules.pop("function_app", None)
        importlib.invalidate_caches()
        loaded = load_app(settings)
        self.functions = [function.about for function in loaded]
        self._config = DurableConfig.read(settings)
        self._invoker = Invoker(Runner(loaded, settings.values), clock, logger)
        self._work = WorkSet(clock, logger)
        self._past = TimerPast(hub.timers)
        self._begin_term()
        self.loop.call_soon(self._start)

    # --- life ---

    def _start(self) -> None:
        self.started = True
        self.hub.joined(self)
        for function in self.functions:
            if function.kind == "sqlTrigger":
                self._work.spawn(self._listen(function))

    def _begin_term(self) -> None:
        """A new engine: what an earlier one believes to be running, or has cached of a history, others have gone on with since."""
        store, clock, logger = self.hub.store, self._clock, self._logger
        self._led_work = WorkSet(clock, logger)  # what it only does while it leads
        functions = Functions(self.functions)
        self.engine = HubEngine(store, self._config, functions, self._invoker, clock, self._led_work, logger)
        self.engine.bind(self.hub, self)
        self._orchestrations = OrchestrationRunner(self.engine)
        self._entities = EntityRunner(self.engine)
        self.management = ManagementApi(store, Operations(self.engine, self._orchestrations), self._config, clock)
        self.management.base_url = f"http://hub{WEBHOOK_PATH}"
        self.management.rpc_url = f"http://hub{RPC_PATH}/"
        self._invoker.client_text = self.management.client_text

    def take_the_lead(self) -> None:
        """Run the hub's engine and the timers from now on."""
        self._begin_term()
        self.engine.start(self._orchestrations.run_episode, self._entities.run_batch)
        for function in self.functions:
            if function.kind == "timerTrigger":
                timer = TimerListener(function, self._settings, self._past, self._invoker, self._clock, self._logger)
                self._led_work.spawn(timer.run())

    async def _listen(self, function: IndexedFunction) -> None:
        pause, longest = _LISTENER_PAUSES
        while True:
            listener = Host._sql_listener(cast(Host, self), function)
            try:
                await listener.start()
            except Exception:
                await self._clock.sleep(pause)
                pause = min(longest, pause * 2)
                continue
            await listener.wait_closed()
            self.deaf_since = self.scheduler.seconds()
            return

    def step_down(self) -> None:
        """Somebody else takes over: what it was about to commit is void."""
        self._led_work.closed = True
        for task in sorted(self._led_work._tasks, key=self.loop.age):
            task.cancel()

    def at_effect(self, kind: str, may_freeze: bool, detail: str) -> None:
        """See :class:`devtools.sim.inside.scheduler.Owner`."""
        self.effects += 1
        self._on_effect(self, kind, may_freeze, detail)

    def kill(self) -> None:
        """The process ends here and now. A strand of its own that calls this must raise :class:`Crash` next."""
        if self.dead:
            return
        self.dead, self.frozen = True, False
        self._work.closed = self._led_work.closed = True
        if self.scheduler.current is None:
            self._bury()
        else:
            self.scheduler.urgent.append(self._bury)

    def _bury(self) -> None:
        self._kept.clear()
        self.loop.die()
        self.hub.left(self)
        self._on_death(self)

    def freeze(self, seconds: float) -> None:
        """The process stands still for a while: nothing of it runs, nothing of it is lost."""
        self.frozen = True
        self.scheduler.after(seconds, self._thaw)
        self.hub.froze(self)

    def _thaw(self) -> None:
        if not self.dead:
            self.frozen = False
            kept, self._kept = self._kept, []
            for strand in kept:
                self.scheduler.spawn(strand)

    def keep(self, strand: Strand) -> None:
        """See :class:`devtools.sim.inside.scheduler.Owner`."""
        self._kept.append(strand)

    # --- what comes from outside ---

    def run_activity(self, item: ActivityItem, done: asyncio.Future[Any]) -> None:
        """Run an activity for the leader, who waits for ``done``."""

        async def run() -> None:
            try:
                result: Any = await self.engine.run_here(item)
            except FunctionFailed as failure:
                result = failure
            if not done.done() and not done.get_loop().is_closed():
                done.set_result((True, result))

        self._work.spawn(run())

    async def durable_request(self, method: str, url: str, body: Any) -> tuple[int, Any]:
        """What the SDK's client sends to the engine's endpoints."""
        self.scheduler.effect("durable call", detail=f"{method} {url}", may_freeze=True)
        await self._clock.sleep(self.hub.store._pause())
        self.asks = True
        try:
            response = await self.management.handle(cast(Any, DurableRequest(method, url, body)))
        finally:
            self.asks = False
        self.scheduler.effect("durable answer", detail=f"{method} {url}")
        await self._clock.sleep(self.hub.store._pause())
        text = response.text
        return response.status, json.loads(text) if text else None

    def request(self, method: str, path: str, body: Any, done: Callable[[int, str], None]) -> None:
        """An operator's or client's HTTP request; ``done`` is told status and body, unless the process dies."""

        async def run() -> None:
            status, text = await self._answer(method, path, body)
            done(status, text)

        self.loop.call_soon(lambda: self._work.spawn(run()))

    def order(self, what: str, instance: str) -> None:
        """An operator's order to Durable Functions about an instance, such as to suspend it."""

        async def run() -> None:
            url = f"http://hub{WEBHOOK_PATH}/instances/{instance}/{what}"
            await self.management.handle(cast(Any, DurableRequest("POST", url, None)))

        self.loop.call_soon(lambda: self._work.spawn(run()))

    async def _answer(self, method: str, path: str, body: Any) -> tuple[int, str]:
        below = path.removeprefix("/api/")
        for function in self.functions:
            if function.kind != "httpTrigger":
                continue
            methods = [str(each).upper() for each in function.trigger.get("methods") or [method]]
            values = Route(str(function.trigger.get("route") or function.name)).match(below)
            if method not in methods or values is None:
                continue
            value = Datum(
                {
                    "method": Datum(method, "string"),
                    "url": Datum(f"http://host{path}", "string"),
                    "headers": {"content-type": Datum("application/json", "string")},
                    "query": {},
                    "params": {name: Datum(text, "string") for name, text in values.items()},
                    "body": Datum(b"" if body is None else json.dumps(body).encode(), "bytes"),
                },
                "http",
            )
            try:
                returned = await self._invoker.invoke(function, value, f"{method} {path}")
            except FunctionFailed as failure:
                return HTTPStatus.INTERNAL_SERVER_ERROR, str(failure)
            if returned.type != "http":
                return HTTPStatus.OK, str(returned.value)
            content = returned.value["body"].value if returned.value.get("body") is not None else b""
            text = content.decode() if isinstance(content, bytes) else str(content or "")
            return int(returned.value["status_code"].value), text
        return HTTPStatus.NOT_FOUND, ""


__all__ = ["Crash", "Worker"]
