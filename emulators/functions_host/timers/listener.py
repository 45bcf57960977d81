"""Timer triggers: one task per function, so that a function never overlaps with itself."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from azure.functions.meta import Datum

from emulators.clock import Clock
from emulators.functions_host.app.indexing import IndexedFunction
from emulators.functions_host.app.invocation import Invoker
from emulators.functions_host.settings import AppSettings, ConfigurationError
from emulators.functions_host.timers.schedules import Schedule, parse_schedule


class ScheduleMonitor:
    """The recorded past of the timers, one JSON file each, so that an occurrence missed while the host was down is made up for."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    def load(self, function: str) -> dict[str, str] | None:
        """The last recorded status, None without one."""
        try:
            content = json.loads((self._directory / f"{function}.json").read_text())
        except FileNotFoundError:
            return None
        return {str(key): str(value) for key, value in content.items()}

    def save(self, function: str, status: Mapping[str, str]) -> None:
        """Record a status."""
        draft = self._directory / f"{function}.new"
        draft.write_text(json.dumps(dict(status)))
        os.replace(draft, self._directory / f"{function}.json")


def _text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat()


class TimerListener:
    """Runs one timer function when it is due.

    Raises:
        ConfigurationError: its schedule is not valid.
    """

    def __init__(
        self,
        function: IndexedFunction,
        settings: AppSettings,
        monitor: ScheduleMonitor,
        invoker: Invoker,
        clock: Clock,
        logger: logging.Logger,
    ) -> None:
        self._function, self._invoker, self._clock, self._logger = function, invoker, clock, logger
        text = settings.resolve(str(function.trigger["schedule"]))
        try:
            self._schedule: Schedule = parse_schedule(text, settings.values.get("WEBSITE_TIME_ZONE"))
        except ValueError as problem:
            raise ConfigurationError(f"function {function.name}: {problem}") from None
        self._on_startup = bool(function.trigger.get("runOnStartup", False))
        wanted = bool(function.trigger.get("useMonitor", True))
        self._monitor = monitor if wanted and not self._schedule.sub_minute else None
        self._status: dict[str, str] | None = None
        self.due: datetime | None = None  # the next occurrence, None if it never comes or the timer has not started

    async def run(self) -> None:
        """Run for ever; to be cancelled."""
        name = self._function.name
        now = self._clock.now()
        self._status = self._monitor.load(name) if self._monitor else None
        due = self._schedule.next_after(now)
        past_due = False
        if self._status is not None:
            last = datetime.fromisoformat(self._status.get("Last") or self._status["LastUpdated"])
            missed = self._schedule.next_after(last)
            if missed is not None and missed != datetime.fromisoformat(self._status["Next"]) and missed < now:
                missed = due  # the schedule has changed since: what it never promised was not missed
            past_due = missed is not None and missed < now
            due = due if past_due else missed
        elif self._monitor and due is not None:
            self._status = {"Next": _text(due), "LastUpdated": _text(now)}
            self._monitor.save(name, self._status)
        if past_due:
            self._logger.info("timer %s is past due: an occurrence was missed while the host was down", name)
            due = await self._occur(past_due=True)
        elif self._on_startup:
            due = await self._occur(past_due=False)
        self.due = due
        while due is not None:
            self._logger.debug("timer %s is due at %s", name, due)
            while self._clock.now() < due:
                await self._clock.sleep_until(due)
            self.due = due = await self._occur(past_due=False)
        self._logger.warning("timer %s has no next occurrence", name)

    async def _occur(self, *, past_due: bool) -> datetime | None:
        """Run the function; when it is due next."""
        instant = self._clock.now()
        await self._invoker.invoke_with_retries(
            self._function, lambda: self.trigger_value(past_due), "timer fired" if not past_due else "timer past due"
        )
        due = self._schedule.next_after(instant)
        if due is not None:
            self._status = {"Last": _text(instant), "Next": _text(due), "LastUpdated": _text(instant)}
            if self._monitor:
                self._monitor.save(self._function.name, self._status)
        return due

    def trigger_value(self, past_due: bool) -> Datum:
        """What the function receives."""
        nothing = "0001-01-01T00:00:00+00:00"
        status: dict[str, Any] | None = None
        if self._monitor and self._status is not None:
            status = {"Last": nothing, **self._status}
        value = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": past_due}
        return Datum(json.dumps(value), "json")
