"""Start, stop and kill the emulators as processes.

Each is used in a ``with`` statement, or through ``start()`` and ``stop()``::

    with SqlServer(folder, "real") as server, DownstreamProcess(folder, "real") as api:
        server.connect().execute("CREATE TABLE dbo.Notes (Id int PRIMARY KEY)")

An emulator that is started again keeps its ports and its data, so what was configured with them stays valid. None
outlives the process that started it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pyodbc
import requests
import simplejson

from emulators.odbc import odbc_driver
from emulators.process import Emulator


def _ask(method: str, url: str, body: Any = None) -> Any:
    """JSON from a control port, with every digit of its numbers.

    Raises:
        requests.HTTPError: it was refused; the text holds the answer.
    """
    answer = requests.request(method, url, data=None if body is None else simplejson.dumps(body), timeout=30)
    if answer.status_code >= 400:
        raise requests.HTTPError(f"{method} {url}: {answer.status_code} {answer.text}", response=answer)
    return simplejson.loads(answer.text, use_decimal=True) if answer.text else None


class SqlServer(Emulator):
    """The emulator of SQL Server. Its data file is ``<directory>/<name>.db``.

    Args:
        directory: for data and log.
        clock_spec: specification of its clock, see emulators/clock.py.
        port: of TDS; 0 is any free one.
        time_zone_offset_minutes: of SYSDATETIME to UTC.
        encrypt: whether the connection strings ask for TLS.
        certificate: PEM file with the server's key and certificate; None: it makes one beside the data file.
    """

    user = "sa"
    password = "Rowpost!2026"

    def __init__(
        self,
        directory: Path,
        clock_spec: str,
        port: int = 0,
        *,
        database: str = "rowpost",
        time_zone_offset_minutes: int = 0,
        encrypt: bool = False,
        certificate: Path | None = None,
        name: str = "sql_server",
    ) -> None:
        self.database = database
        self.encrypt = encrypt
        arguments = ["--data", str(directory.resolve() / f"{name}.db"), "--clock", clock_spec, "--database", database]
        arguments += ["--user", self.user, "--password", self.password]
        arguments += ["--time-zone-offset-minutes", str(time_zone_offset_minutes)]
        if certificate is not None:
            arguments += ["--certificate", str(certificate.resolve())]
        ports = {"--port": "port", "--control-port": "control_port"}
        super().__init__(name, "emulators.sql_server", directory, arguments, ports, {"port": port})

    @property
    def control_port(self) -> int:
        return self._ports["control_port"]

    @property
    def ado_net_connection_string(self) -> str:
        """As an app's setting holds it."""
        return (
            f"Server=tcp:127.0.0.1,{self.port};Database={self.database};User ID={self.user};Password={self.password};"
            f"Encrypt={self.encrypt};TrustServerCertificate=True"
        )

    @property
    def odbc_connection_string(self) -> str:
        """As ``pyodbc.connect`` takes it."""
        return (
            f"Driver={odbc_driver()};Server=tcp:127.0.0.1,{self.port};Database={self.database};UID={self.user};"
            f"PWD={{{self.password}}};Encrypt={'yes' if self.encrypt else 'no'};TrustServerCertificate=yes"
        )

    def connect(self, autocommit: bool = True, application: str = "tests", timeout_seconds: int = 15) -> pyodbc.Connection:
        """A new connection of the real driver.

        Raises:
            pyodbc.Error: it failed.
        """
        string = f"{self.odbc_connection_string};APP={application}"
        return pyodbc.connect(string, autocommit=autocommit, timeout=timeout_seconds)

    def _control(self, method: str, path: str, body: Any = None) -> Any:
        return _ask(method, f"http://127.0.0.1:{self.control_port}{path}", body)

    def stats(self) -> dict[str, Any]:
        """Connections, round trips and last statements, by application name."""
        found: dict[str, Any] = self._control("GET", "/stats")
        return found

    def reset_stats(self) -> None:
        """Counters to zero."""
        self._control("POST", "/stats/reset")

    def inject(self, **fault: Any) -> None:
        """Plan a fault on the wire; values as in :class:`emulators.sql_server.wire.faults.Fault`."""
        self._control("POST", "/faults", fault)

    def faults(self) -> list[dict[str, Any]]:
        """The planned faults that may still strike."""
        found: list[dict[str, Any]] = self._control("GET", "/faults")
        return found

    def clear_faults(self) -> None:
        """Forget all planned faults."""
        self._control("DELETE", "/faults")

    def backup(self, path: Path) -> None:
        """BACKUP DATABASE: what is committed now goes into a file, which is overwritten."""
        self._control("POST", "/backup", {"path": str(path.resolve())})

    def restore(self, path: Path) -> None:
        """RESTORE DATABASE … WITH REPLACE from such a file. All connections end, and what they had not committed is undone.

        Raises:
            requests.HTTPError: the file is no backup.
        """
        self._control("POST", "/restore", {"path": str(path.resolve())})


class FunctionsHost(Emulator):
    """The emulator of the Functions host, with one app. Its data lie in ``<directory>/<name>/``.

    Args:
        app_dir: folder of ``function_app.py`` and ``host.json``.
        directory: for data and log.
        clock_spec: specification of its clock, see emulators/clock.py.
        settings: app settings, over those of ``local.settings.json``.
        port: of HTTP; 0 is any free one.
        own_settings: further ones, which the environment and ``settings`` have precedence over; they are in a file that only this
            user can read.
        enable_auth: whether HTTP functions ask for their access keys.
    """

    def __init__(
        self,
        app_dir: Path,
        directory: Path,
        clock_spec: str,
        settings: Mapping[str, str],
        port: int = 0,
        *,
        own_settings: Mapping[str, str] | None = None,
        enable_auth: bool = False,
        name: str = "functions_host",
    ) -> None:
        directory = directory.resolve()
        directory.mkdir(parents=True, exist_ok=True)
        self.data = directory / name
        # Never the app's own file: one developer's settings must not decide what a test sees.
        local_settings = directory / f"{name}.settings.json"
        local_settings.touch()
        local_settings.chmod(0o600)
        local_settings.write_text(json.dumps({"IsEncrypted": False, "Values": dict(own_settings or {})}), encoding="utf-8")
        arguments = ["--app", str(app_dir.resolve()), "--data", str(self.data), "--clock", clock_spec]
        arguments += ["--settings", str(local_settings.resolve())]
        if enable_auth:
            arguments.append("--enable-auth")
        arguments += [part for key, value in settings.items() for part in ("--setting", f"{key}={value}")]
        ports = {"--port": "port", "--rpc-port": "rpc_port"}
        super().__init__(name, "emulators.functions_host", directory, arguments, ports, {"port": port})

    def request(self, method: str, path: str, **options: Any) -> requests.Response:
        """Ask the host over HTTP; ``path`` begins with a slash, options as of ``requests.request``."""
        return requests.request(method, f"{self.url}{path}", **{"timeout": 60, **options})

    def add_durable_fault(self, action: str, **values: Any) -> None:
        """Let calls of the durable client fail; values as in :class:`emulators.functions_host.http.faults.Fault`."""
        self.request("POST", "/admin/host/durableFaults", json={"action": action, **values}).raise_for_status()

    def clear_durable_faults(self) -> None:
        """Forget the planned faults of the durable client's calls."""
        self.request("DELETE", "/admin/host/durableFaults").raise_for_status()


class DownstreamProcess(Emulator):
    """The downstream API; the methods are those of :class:`emulators.downstream.api.Downstream`, over HTTP."""

    def __init__(self, directory: Path, clock_spec: str, port: int = 0, *, name: str = "downstream") -> None:
        arguments = ["--clock", clock_spec, "--data", str(directory.resolve() / f"{name}.jsonl")]
        super().__init__(name, "emulators.downstream", directory, arguments, {"--port": "port"}, {"port": port})

    def set_mode(self, mode: str = "up", **values: Any) -> None:
        """Behave so from now on; values as in :class:`emulators.downstream.rules.Mode`."""
        _ask("POST", f"{self.url}/_control/mode", {"mode": mode, **values})

    def set_rules(self, rules: list[dict[str, Any]]) -> None:
        """Replace the rules; each as in :class:`emulators.downstream.rules.Rule`."""
        _ask("POST", f"{self.url}/_control/rules", rules)

    def set_settings(self, **values: Any) -> None:
        """Replace the settings; values as in :class:`emulators.downstream.rules.Settings`."""
        _ask("POST", f"{self.url}/_control/settings", values)

    def state(self, table: str | None = None) -> list[dict[str, Any]]:
        """The latest accepted state of each row."""
        query = "" if table is None else f"?table={quote(table)}"
        found: list[dict[str, Any]] = _ask("GET", f"{self.url}/_control/state{query}")
        return found

    def attempts(self, since: int = 0) -> list[dict[str, Any]]:
        """Attempts with a number above ``since``, oldest first."""
        found: list[dict[str, Any]] = _ask("GET", f"{self.url}/_control/attempts?since={since}")
        return found

    def counters(self) -> dict[str, int]:
        """Totals since the start, or since the last reset."""
        found: dict[str, int] = _ask("GET", f"{self.url}/_control/counters")
        return found

    def reset(self) -> None:
        """Forget all that came, answer normally again."""
        _ask("POST", f"{self.url}/_control/reset")


class EmailServiceProcess(Emulator):
    """The e-mail service; the methods are those of :class:`emulators.email_service.service.EmailService`, over HTTP."""

    def __init__(
        self,
        directory: Path,
        clock_spec: str,
        port: int = 0,
        *,
        running_seconds: float = 0.0,
        name: str = "email_service",
    ) -> None:
        arguments = ["--clock", clock_spec, "--data", str(directory.resolve() / f"{name}.jsonl")]
        arguments += ["--running-seconds", str(running_seconds)]
        super().__init__(name, "emulators.email_service", directory, arguments, {"--port": "port"}, {"port": port})

    @property
    def connection_string(self) -> str:
        """Endpoint and key; see emulators/email_service.py on plain HTTP."""
        return f"endpoint={self.url}/;accesskey=cm93cG9zdC1lbXVsYXRvcg=="

    def set_mode(self, mode: str = "up", **values: Any) -> None:
        """Behave so from now on; values as in :class:`emulators.email_service.faults.EmailMode`."""
        _ask("POST", f"{self.url}/_control/mode", {"mode": mode, **values})

    def set_faults(self, faults: list[dict[str, Any]]) -> None:
        """Replace the faults; each as in :class:`emulators.email_service.faults.Fault`."""
        _ask("POST", f"{self.url}/_control/faults", faults)

    def messages(self, mailbox: str | None = None) -> list[dict[str, Any]]:
        """Delivered messages (to one mailbox), oldest first."""
        query = "" if mailbox is None else f"?mailbox={quote(mailbox)}"
        found: list[dict[str, Any]] = _ask("GET", f"{self.url}/_control/messages{query}")
        return found

    def attempts(self) -> list[dict[str, Any]]:
        """Every send that was asked for, oldest first."""
        found: list[dict[str, Any]] = _ask("GET", f"{self.url}/_control/attempts")
        return found

    def reset(self) -> None:
        """Forget all that came, answer normally again."""
        _ask("POST", f"{self.url}/_control/reset")
