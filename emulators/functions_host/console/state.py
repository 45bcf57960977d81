"""What the status page tells of the host and its functions, as JSON values."""

from __future__ import annotations

import asyncio
import contextlib
import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

from emulators.clock import AcceleratedClock, Clock, VirtualClock
from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.invocation_book import InvocationBook
from emulators.functions_host.settings import AppSettings, ConfigurationError, section
from emulators.functions_host.timers.listener import TimerListener

if TYPE_CHECKING:
    from emulators.functions_host.sql_trigger.inspection import Inspector  # apps without SQL triggers run without a driver

_WORKER = ("azure-functions", "azure-functions-durable")
_HIDDEN = frozenset({"type", "name", "direction", "dataType"})  # every binding has them
_TEMPLATED = frozenset({"schedule", "tableName", "leasesTableName"})  # the host resolves %NAME% in them


@dataclass
class SqlTrigger:
    """How the listener of a SQL function fares.

    Attributes:
        table: name of the table, as configured.
        inspector: shows its state, None before it has started.
        problem: why it could not start, None if it is starting or has started.
    """

    table: str
    inspector: Inspector | None = None
    problem: str | None = None


def _text(instant: datetime | None) -> str | None:
    return None if instant is None else instant.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def clock_kind(clock: Clock) -> dict[str, Any]:
    """Which clock it is; ``factor`` is how many times as fast as real time it runs, None if it jumps."""
    if isinstance(clock, VirtualClock):
        return {"kind": "virtual", "factor": None}
    if isinstance(clock, AcceleratedClock):
        return {"kind": "accelerated", "factor": clock.factor}
    return {"kind": "real", "factor": 1.0}


class HostState:
    """Describes one host.

    Args:
        settings: of the app.
        functions: of the app.
        book: what they have done.
        timers: the listeners of timer functions, by function.
        sql_triggers: the SQL functions, by name.
        hub: name of the task hub.
        clock: of the host.
    """

    def __init__(
        self,
        settings: AppSettings,
        functions: list[IndexedFunction],
        book: InvocationBook,
        timers: Mapping[str, TimerListener],
        sql_triggers: Mapping[str, SqlTrigger],
        hub: str,
        clock: Clock,
    ) -> None:
        self._settings, self._functions, self._book, self._timers = settings, functions, book, timers
        self._sql_triggers, self._hub, self._clock = sql_triggers, hub, clock
        self._started = clock.now()
        self._versions = ", ".join(f"{name} {version(name)}" for name in _WORKER)

    def host(self) -> dict[str, Any]:
        """The host itself."""
        return {
            "name": self._settings.values.get("WEBSITE_SITE_NAME") or self._settings.host_id,
            "hub": self._hub,
            "app": str(self._settings.app),
            "process": os.getpid(),
            "started": _text(self._started),
            "now": _text(self._clock.now()),
            "clock": clock_kind(self._clock),
            "worker": f"Python {platform.python_version()}, {self._versions}",
        }

    def functions(self) -> list[dict[str, Any]]:
        """The functions, in order of registration."""
        return [self._function(function) for function in self._functions]

    def _function(self, function: IndexedFunction) -> dict[str, Any]:
        record = self._book.of(function.name)
        timer = self._timers.get(function.name)
        last = None
        if record.last_start is not None:
            last = {"at": _text(record.last_start), "milliseconds": record.last_milliseconds, "error": record.last_error}
        return {
            "name": function.name,
            "kind": function.kind.removesuffix("Trigger"),
            "parameters": self._parameters(function),
            "running": record.running,
            "done": record.done,
            "failed": record.failed,
            "last": last,
            "next": _text(timer.due) if timer else None,
        }

    def _parameters(self, function: IndexedFunction) -> dict[str, Any]:
        found = {}
        for key, value in function.trigger.items():
            if key in _HIDDEN:
                continue
            found[key] = value
            if key in _TEMPLATED:
                with contextlib.suppress(ConfigurationError):  # a listener that cannot start says so where it is shown
                    found[key] = self._settings.resolve(str(value))
        if function.kind == "httpTrigger":
            prefix = str(section(self._settings.host_json, "extensions", "http").get("routePrefix", "api")).strip("/")
            found["route"] = "/".join(["", *filter(None, [prefix, str(found.get("route") or function.name).lstrip("/")])])
        return found

    async def triggers(self) -> list[dict[str, Any]]:
        """The SQL triggers, each with its cursor and leases."""
        return list(await asyncio.gather(*(self._trigger(name, trigger) for name, trigger in self._sql_triggers.items())))

    @staticmethod
    async def _trigger(name: str, trigger: SqlTrigger) -> dict[str, Any]:
        about = {"function": name, "table": trigger.table}
        if trigger.inspector is None:
            return about | {"problem": trigger.problem or "the listener is starting"}
        return about | await trigger.inspector.look()
