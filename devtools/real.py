"""The demo's scenario on the real parts: a SQL Server that runs already, Core Tools (``func``) and Azurite, in real time.

``dev.py demo --real`` hands these to the same scenario that runs on the emulators in virtual time. The downstream API and the mail
service are the emulators: nobody else's would obey. Durations shrink: one hour of the scenario is five seconds, in a copy of
relay.toml that is written for the purpose. What cannot shrink is the trigger's own minute between two attempts.

The SQL Server is the one of the setting ``ROWPOST_REAL_SQL`` (SqlClient's connection string of an administrator), else that of
local.settings.json. Each run makes a database of its own there, and drops it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pyodbc
import requests

from devtools.data import DEMO_CONFIG
from devtools.npm_tools import Azurite, available
from devtools.real_database import RealDatabase
from devtools.stack import ROOT, Stack
from emulators.clock import Clock
from emulators.downstream.api import Downstream
from emulators.email_service.faults import Fault
from emulators.email_service.service import EmailService
from infra.prepare_database import known_settings

REAL_SECONDS_PER_HOUR = 5
SPEED = 3600 // REAL_SECONDS_PER_HOUR
_LOOK_SECONDS = 0.25
_HOST_READY_SECONDS = 240  # its first start may download the extension bundle
_SHORTENED = {
    "retry.attempts": "2",
    "retry.first_delay": '"5s"',
    "retry.max_delay": f'"{6 * REAL_SECONDS_PER_HOUR}s"',
    "retry.window": f'"{168 * REAL_SECONDS_PER_HOUR}s"',
    "notifications.after_rounds": "5",
    "watchdog.schedule": '"*/30 * * * * *"',
}
_HOST_OVERRIDES = {  # host.json, by the host's own rule for overriding it
    "AzureFunctionsJobHost__extensions__durableTask__storageProvider__maxQueuePollingInterval": "00:00:01",
    "FUNCTIONS_CORE_TOOLS_TELEMETRY_OPTOUT": "1",
}


def shortened(relay_toml: str) -> str:
    """The same configuration with durations for a run in real time.

    Raises:
        ValueError: a key that is to be shortened does not stand in the file exactly once.
    """
    section, counts = "", dict.fromkeys(_SHORTENED, 0)

    def changed(line: re.Match[str]) -> str:
        nonlocal section
        section = line["section"] or section
        key = f"{section}.{line['key']}"
        if key not in _SHORTENED:
            return line[0]
        counts[key] += 1
        return f"{line['key']} = {_SHORTENED[key]}"

    relay_toml = re.sub(r'(?m)^(?:\[+(?P<section>[^\]\n]+)\]+|(?P<key>\w+) = (?:"[^"\n]*"|\S+))', changed, relay_toml)
    for key, count in counts.items():
        if count != 1:
            raise ValueError(f"relay.toml: expected one line {key} = …, found {count}")
    return relay_toml


def require_parts() -> None:
    """End the program with a sentence if a part that this machine must have is missing."""
    missing = []
    if shutil.which("func") is None:
        missing.append("func (Azure Functions Core Tools 4: npm install --global azure-functions-core-tools@4)")
    if not available():
        missing.append("npm and node (Node.js 20 or newer), for Azurite")
    if missing:
        sys.exit("demo --real needs " + ", and ".join(missing) + "; docs/local.md has the commands")


class RealTime:
    """Real time in the place of virtual time: the scenario's instants, passed ``SPEED`` times as fast as they are.

    Args:
        start: the scenario's first instant.
        settle_seconds: the least that an advance takes: the trigger polls each second, mail and webhooks take a few.
        patience_seconds: the least that is waited for a condition.
    """

    def __init__(self, start: datetime, *, settle_seconds: float = 15.0, patience_seconds: float = 180.0) -> None:
        self._start, self._origin = start, datetime.now(UTC)
        self._settle_seconds, self._patience_seconds = settle_seconds, patience_seconds

    def begin(self) -> None:
        """The scenario's first instant is now."""
        self._origin = datetime.now(UTC)

    def scenario(self, real: datetime) -> datetime:
        """The scenario's instant at a real one (both aware)."""
        return self._start + (real - self._origin) * SPEED

    def now(self) -> datetime:
        """The scenario's present instant."""
        return self.scenario(datetime.now(UTC))

    def advance_to(
        self,
        instant: datetime,
        *,
        until: Callable[[], bool] | None = None,
        progress: Callable[[datetime], Any] | None = None,
    ) -> bool:
        """Wait for an instant of the scenario, or until ``until()`` holds; waits a little even if the instant has passed.

        Returns:
            True if ``until`` held; without ``until``, True always.
        """
        least = self._settle_seconds if until is None else self._patience_seconds
        deadline = time.monotonic() + max(least, (instant - self.now()).total_seconds() / SPEED)
        while time.monotonic() < deadline:
            if until is not None and until():
                return True
            if progress is not None:
                progress(self.now())
            time.sleep(_LOOK_SECONDS)
        return until is None or until()

    def close(self) -> None:
        """Nothing to end; virtual time has something."""


class ScenarioClock(Clock):
    """Dates the record of the emulators as the scenario does."""

    def __init__(self, time: RealTime) -> None:
        self._time = time

    def now(self) -> datetime:
        return self._time.now()


class ShortenedEmail(EmailService):
    """The mail service, with Retry-After in real seconds."""

    def add_fault(self, **values: Any) -> Fault:
        if values.get("retry_after"):
            values["retry_after"] = max(1, values["retry_after"] // SPEED)
        return super().add_fault(**values)


class RealHost:
    """``func start`` on this repository, as a process group of its own.

    Args:
        settings: app settings; as environment variables they go before those of local.settings.json.
        log: file for what it prints.
    """

    def __init__(self, settings: dict[str, str], log: Path) -> None:
        self.settings, self.log = settings, log
        self.port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def command(self) -> list[str]:
        """What is run, in the repository's folder."""
        return [shutil.which("func") or "func", "start", "--port", str(self.port)]

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self, timeout_seconds: float = _HOST_READY_SECONDS) -> Self:
        """Start it and wait until it runs the app.

        Raises:
            RuntimeError: it ended, or was not ready within ``timeout_seconds``; the text holds the end of its log.
        """
        environment = {**os.environ, **_HOST_OVERRIDES, **self.settings}
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                self.command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        deadline = time.monotonic() + timeout_seconds
        while not self._ready():
            if not self.running or time.monotonic() > deadline:
                self.kill()
                tail = "\n".join(self.log.read_text(encoding="utf-8", errors="replace").splitlines()[-40:])
                raise RuntimeError(f"func start did not get as far as running the app; the end of {self.log}:\n{tail}")
            time.sleep(_LOOK_SECONDS)
        return self

    def _ready(self) -> bool:
        with contextlib.suppress(requests.RequestException, ValueError):
            return bool(requests.get(f"{self.url}/admin/host/status", timeout=5).json().get("state") == "Running")
        return False

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask the host over HTTP; ``path`` begins with a slash, options as of ``requests.request``."""
        return requests.request(method, f"{self.url}{path}", **{"timeout": 60, **options})

    def kill(self) -> None:
        """End it and its workers at once with SIGKILL."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """End it and its workers, as Ctrl-C would; after half a minute, at once."""
        self._end(signal.SIGINT)

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


class RealStack(Stack):
    """The same wiring as :class:`devtools.stack.Stack`, with the real parts in it.

    Args:
        directory: for logs, Azurite's data and the shortened relay.toml.
        time: the scenario's time; it begins when everything runs.
        administrator: SqlClient's connection string; None takes the setting, see above.
        ready_seconds: how long a server is waited for: its container may have just been started.
    """

    def __init__(self, directory: Path, time: RealTime, administrator: str | None = None, *, ready_seconds: float = 60.0) -> None:
        self._ready_seconds = ready_seconds
        require_parts()
        settings = known_settings()
        if administrator is None:
            administrator = settings.get("ROWPOST_REAL_SQL") or settings["SqlConnectionString"]
        directory.mkdir(parents=True, exist_ok=True)
        config = directory / "relay.toml"
        config.write_text(shortened(DEMO_CONFIG.read_text(encoding="utf-8")), encoding="utf-8")
        self.time = time
        self.database = RealDatabase(administrator, f"rowpost_demo_{datetime.now(UTC):%Y%m%d_%H%M%S}")
        self.azurite = Azurite(directory / "azurite")
        super().__init__(directory, "real", config=config, sql_server=self.database)  # type: ignore[arg-type]
        clock = ScenarioClock(time)
        self.downstream, self.email = Downstream(clock), ShortenedEmail(clock)

    def instant(self, database_utc: datetime) -> datetime:
        """The scenario's instant of a time that the database wrote."""
        return self.time.scenario(database_utc.replace(tzinfo=UTC))

    def start_services(self) -> None:
        """A database, Azurite, and the emulators of the API and the mail service; ends the program if there is no SQL Server."""
        try:
            self.database.create(self._ready_seconds)
        except pyodbc.Error as error:
            sys.exit(
                f"demo --real needs a SQL Server ({error.args[-1]})\n"
                "Start one with `docker compose up --detach sql`, or set ROWPOST_REAL_SQL to an administrator's connection string."
            )
        self.azurite.start()
        super().start_services()

    def prepare(self) -> None:
        """The demo's tables, what infra/sql/ makes, and the app's login."""
        self.database.prepare(self.config)

    def start_host(self) -> RealHost:  # type: ignore[override]
        """Core Tools with the app."""
        settings = {**self.settings, "AzureWebJobsStorage": self.azurite.connection_string}
        self.host = RealHost(settings, self.directory / "func.log")  # type: ignore[assignment]
        return self.host.start()  # type: ignore[return-value]

    def start(self) -> Self:
        """Everything, in order; then the scenario's time begins."""
        super().start()
        self.time.begin()
        return self

    def stop(self) -> None:
        """Everything, in reverse order; the database is dropped."""
        super().stop()
        self.azurite.stop()
        with contextlib.suppress(pyodbc.Error):  # the server may be what failed
            self.database.drop()


def _free_port() -> int:
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port: int = chosen.getsockname()[1]
        return port
