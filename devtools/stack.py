"""All emulators and the app, wired together: what the demo, ``start`` and the tests run.

The database is prepared with the very scripts that prepare a real one (infra/sql/), and the app is the unmodified
function_app.py: it sees nothing but its settings.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyodbc

from devtools.data import DEMO_CONFIG, TABLES_SQL
from devtools.scripts import run_script
from emulators.clock import clock_from_spec
from emulators.downstream.api import Downstream
from emulators.email_service.service import EmailService
from emulators.launch import FunctionsHost, SqlServer
from emulators.odbc import odbc_driver
from infra.prepare_database import prepare
from rowpost.config.loading import load_config
from rowpost.config.sections import Config

ROOT = Path(__file__).resolve().parents[1]
API_KEY = "local-key"


class Stack:
    """The whole of it. Parts are started in order by :meth:`start`, and stopped by :meth:`stop`.

    Args:
        directory: for data and logs.
        clock_spec: the clock that all share.
        config: the app's relay.toml.
        tables_sql: a script that makes the user's tables, or None to leave that to the caller.
        settings: app settings over those that the wiring needs.
        own_settings: further ones, under those: of the user's own.
        downstream_url: an API of the user's instead of the emulated one.
        sql_port, port: of the database and of the app's HTTP; 0 is any free one.
        data: whether the emulators of the API and of the mail service keep what they took in ``directory``.
        sql_server: a database that runs already, for a second stack on it.
    """

    def __init__(
        self,
        directory: Path,
        clock_spec: str,
        *,
        config: Path = DEMO_CONFIG,
        tables_sql: Path | None = TABLES_SQL,
        settings: Mapping[str, str] | None = None,
        own_settings: Mapping[str, str] | None = None,
        downstream_url: str | None = None,
        sql_port: int = 0,
        port: int = 0,
        keep: bool = False,
        time_zone_offset_minutes: int = 0,
        sql_server: SqlServer | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory, self.clock_spec, self.config_path, self.tables_sql = directory, clock_spec, config, tables_sql
        self._extra, self._downstream_url, self._port = dict(settings or {}), downstream_url, port
        self._own = dict(own_settings or {})
        clock = clock_from_spec(clock_spec)
        self.owns_sql = sql_server is None
        self.sql = sql_server or SqlServer(directory, clock_spec, sql_port, time_zone_offset_minutes=time_zone_offset_minutes)
        self.downstream = Downstream(clock, directory / "downstream.jsonl" if keep else None)
        self.email = EmailService(clock, directory / "email.jsonl" if keep else None)
        self.host: FunctionsHost | None = None
        self._connection: pyodbc.Connection | None = None

    @property
    def settings(self) -> dict[str, str]:
        """The app settings, as local.settings.json would hold them."""
        return {
            "FUNCTIONS_WORKER_RUNTIME": "python",
            "WEBSITE_SITE_NAME": "rowpost-local",
            "ODBC_DRIVER": odbc_driver().strip("{}"),
            "ROWPOST_CONFIG": str(self.config_path.resolve()),
            "SqlConnectionString": self.sql.ado_net_connection_string,
            "DOWNSTREAM_URL": self._downstream_url or f"{self.downstream.url}/rows",
            "DOWNSTREAM_API_KEY": API_KEY,
            "EMAIL_CONNECTION_STRING": self.email.connection_string,
            "EMAIL_SENDER": "rowpost@example.com",
            "ALERT_WEBHOOK_URL": f"{self.downstream.url}/alerts",
            **self._extra,
        }

    def change_settings(self, settings: Mapping[str, str]) -> None:
        """Set app settings for the next start of the host."""
        self._extra |= settings

    @property
    def config(self) -> Config:
        """The app's configuration as it is read with these settings."""
        return load_config(self.config_path, self._own | self.settings)

    @property
    def connection(self) -> pyodbc.Connection:
        """An administrator's connection, autocommit on."""
        if self._connection is None:
            self._connection = self.sql.connect(application="person")
        return self._connection

    def restore(self, backup: Path) -> None:
        """Put a backup in place of the database: all connections end."""
        self.sql.restore(backup)
        self.reconnect()

    def reconnect(self) -> None:
        """The administrator's connection has ended: the next statement makes another one."""
        self._connection = None

    def instant(self, database_utc: datetime) -> datetime:
        """The scenario's instant of a time that the database wrote (UTC, naive)."""
        return database_utc.replace(tzinfo=UTC)

    def start_services(self) -> None:
        """Database, downstream API and e-mail service."""
        if self.owns_sql:
            self.sql.start()
        self.downstream.start()
        self.downstream.set_settings(auth={"header": "X-Api-Key", "value": API_KEY, "path": "/rows"})
        self.email.start()

    def prepare(self) -> None:
        """The user's tables, then what infra/sql/ makes."""
        if self.tables_sql is not None:
            run_script(self.connection, self.tables_sql)
        prepare(self.connection, self.config)

    def start_host(self) -> FunctionsHost:
        """The Functions host with the app."""
        own = {name: value for name, value in self._own.items() if name not in os.environ}  # the host has the environment
        self.host = FunctionsHost(ROOT, self.directory, self.clock_spec, self.settings, self._port, own_settings=own)
        return self.host.start()

    def start(self) -> Self:
        """Everything, in order."""
        self.start_services()
        self.prepare()
        self.start_host()
        return self

    def stop(self) -> None:
        """Everything, in reverse order; data stay in the directory."""
        if self.host is not None:
            self.host.stop()
        if self._connection is not None:
            self._connection.close()
        self.email.stop()
        self.downstream.stop()
        if self.owns_sql:
            self.sql.stop()

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stop()

    @property
    def ended(self) -> list[str]:
        """What has ended by itself since it was started, and how: one text for each process."""
        return [text for each in (self.sql, self.host) if each is not None and (text := each.end) is not None]

    def execute(self, sql: str, *parameters: Any) -> list[Any]:
        """Run a statement as a person would, and fetch its rows, if it has any."""
        cursor = self.connection.execute(sql, *parameters)
        return list(cursor.fetchall()) if cursor.description else []
