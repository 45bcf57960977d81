"""A world for tests of the SQL trigger: a SQL Server emulator in its own process, virtual time, listeners on a loop in a thread.

Test modules assign the fixtures ``virtual_time``, ``sql_server`` and ``world`` to names of their own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import threading
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TypeVar

import pyodbc

from emulators.clock import Clock, VirtualTime
from emulators.functions_host.sql_trigger import SqlTriggerListener
from emulators.functions_host.sql_trigger.connection_string import APPLICATION_NAME
from emulators.launch import SqlServer

T = TypeVar("T")
ROOT = Path(__file__).parents[3]
SITE = "trigger-tests"
HOST_ID = "host-of-the-tests"
START = datetime(2026, 3, 2, 8, 0, tzinfo=UTC)
INSERT, UPDATE, DELETE = 0, 1, 2
PATIENCE_SECONDS = 60.0


class LoopThread:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="listeners", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine there and wait for its result."""
        return asyncio.run_coroutine_threadsafe(work, self.loop).result(PATIENCE_SECONDS)

    def close(self) -> None:
        """Cancel what is left and stop."""

        async def cancel_all() -> None:
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        self.run(cancel_all())
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(PATIENCE_SECONDS)
        self.loop.close()


@dataclass
class Invocation:
    """One run of a function."""

    at: datetime
    changes: list[dict[str, Any]]

    @property
    def ids(self) -> list[Any]:
        """The column Id of each change."""
        return [change["Item"]["Id"] for change in self.changes]


Body = Callable[[list[dict[str, Any]]], Awaitable[None]]


class Function:
    """A function that records its invocations and then does what ``body`` says; it fails when ``body`` raises."""

    def __init__(self, clock: Clock, body: Body | None = None) -> None:
        self._clock = clock
        self.body = body
        self.invocations: list[Invocation] = []
        self.texts: list[str] = []
        self.running = 0

    async def __call__(self, text: str) -> bool:
        changes = json.loads(text)
        self.texts.append(text)
        self.invocations.append(Invocation(self._clock.now(), changes))
        self.running += 1
        try:
            if self.body is not None:
                await self.body(changes)
            return True
        except RuntimeError:
            return False
        finally:
            self.running -= 1

    @property
    def changes(self) -> list[dict[str, Any]]:
        """All changes received, in order."""
        return [change for invocation in self.invocations for change in invocation.changes]

    @property
    def ids(self) -> list[Any]:
        """The column Id of all changes received, in order."""
        return [identifier for invocation in self.invocations for identifier in invocation.ids]

    def clear(self) -> None:
        """Forget the invocations."""
        self.invocations.clear()
        self.texts.clear()


class Failure(RuntimeError):
    """Raised by a function under test."""


def failing_on(*ids: int) -> Body:
    """A body that fails when one of the rows is in the batch."""

    async def body(changes: list[dict[str, Any]]) -> None:
        if any(change["Item"]["Id"] in ids for change in changes):
            raise Failure

    return body


def failing_times(count: int) -> Body:
    """A body that fails the first ``count`` times."""
    left = count

    async def body(changes: list[dict[str, Any]]) -> None:
        nonlocal left
        if left > 0:
            left -= 1
            raise Failure

    return body


@dataclass
class Lease:
    """A row of a lease table; ``seconds`` to its end, None without a lease."""

    version: int
    attempts: int
    seconds: float | None


class _LogHandler(logging.Handler):
    def __init__(self, entries: list[tuple[str, str]]) -> None:
        super().__init__(logging.DEBUG)
        self._entries = entries

    def emit(self, record: logging.LogRecord) -> None:
        self._entries.append((record.levelname, record.getMessage()))


@dataclass
class World:
    """Everything a scenario needs. Times in seconds of virtual time."""

    server: SqlServer
    time: VirtualTime
    clock: Clock
    loop: LoopThread
    connection: pyodbc.Connection
    log: list[tuple[str, str]] = field(default_factory=list)
    listeners: list[SqlTriggerListener] = field(default_factory=list)
    tables: list[str] = field(default_factory=list)

    def sql(self, text: str, *parameters: Any) -> list[tuple[Any, ...]]:
        """Run a batch and give the rows of its last result set."""
        cursor = self.connection.execute(text, *parameters)
        rows: list[tuple[Any, ...]] = []
        while True:
            if cursor.description is not None:
                rows = [tuple(row) for row in cursor.fetchall()]
            if not cursor.nextset():
                return rows

    def scalar(self, text: str, *parameters: Any) -> Any:
        """The first value of a batch's last result set."""
        return self.sql(text, *parameters)[0][0]

    def fault(self, action: str, pattern: str, **values: Any) -> None:
        """Plan a fault for the listeners' statements that match ``pattern``."""
        self.server.inject(action=action, pattern=pattern, application=APPLICATION_NAME, **values)

    def requests(self) -> int:
        """Round trips of the listeners so far."""
        return int(self.server.stats()["applications"][APPLICATION_NAME]["requests"])

    def create_table(
        self,
        name: str = "dbo.Item",
        columns: str = "Id int NOT NULL PRIMARY KEY, Name nvarchar(50) NULL",
        tracked: bool = True,
    ) -> str:
        """Create a table, tracked unless told otherwise."""
        self.sql(f"CREATE TABLE {name} ({columns});")
        self.tables.append(name)
        if tracked:
            self.sql(f"ALTER TABLE {name} ENABLE CHANGE_TRACKING;")
        return name

    def insert(self, *ids: int, table: str = "dbo.Item") -> int:
        """Insert rows, each in a transaction of its own; returns the version of the last."""
        for identifier in ids:
            self.sql(f"INSERT INTO {table} (Id, Name) VALUES ({identifier}, N'row {identifier}');")
        return self.version()

    def update(self, *ids: int, name: str = "changed", table: str = "dbo.Item") -> int:
        """Update rows, each in a transaction of its own; returns the version of the last."""
        for identifier in ids:
            self.sql(f"UPDATE {table} SET Name = N'{name}' WHERE Id = {identifier};")
        return self.version()

    def delete(self, *ids: int, table: str = "dbo.Item") -> int:
        """Delete rows, each in a transaction of its own; returns the version of the last."""
        for identifier in ids:
            self.sql(f"DELETE FROM {table} WHERE Id = {identifier};")
        return self.version()

    def version(self) -> int:
        """The version of the newest tracked transaction."""
        return int(self.scalar("SELECT CHANGE_TRACKING_CURRENT_VERSION();"))

    def function(self, body: Body | None = None) -> Function:
        """A function that records."""
        return Function(self.clock, body)

    def listener(
        self,
        function: Function,
        name: str = "ItemsTrigger",
        table: str = "dbo.Item",
        leases: str | None = None,
        settings: dict[str, str] | None = None,
        host_json: dict[str, Any] | None = None,
        on_cancel: Callable[[], None] | None = None,
    ) -> SqlTriggerListener:
        """A listener that is not started yet."""
        logger = logging.Logger("sql-trigger-test", logging.DEBUG)
        logger.addHandler(_LogHandler(self.log))
        listener = SqlTriggerListener(
            name,
            table,
            self.server.ado_net_connection_string,
            leases,
            {"WEBSITE_SITE_NAME": SITE, **(settings or {})},
            host_json or {},
            HOST_ID,
            self.clock,
            function,
            logger,
            on_cancel,
        )
        self.listeners.append(listener)
        return listener

    def start(self, function: Function, **options: Any) -> SqlTriggerListener:
        """Start a listener and let it look once; options as for :meth:`listener`."""
        listener = self.listener(function, **options)
        self.loop.run(listener.start())
        self.advance(0)
        return listener

    def stop(self, listener: SqlTriggerListener) -> None:
        """Stop a listener."""
        self.loop.run(listener.stop())

    def metric(self, listener: SqlTriggerListener) -> int:
        """Rows that wait."""
        return self.loop.run(listener.metric())

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.time.advance(seconds, patience_seconds=PATIENCE_SECONDS)

    def until(self, predicate: Callable[[], bool], seconds: float) -> None:
        """Let time pass until something holds; fails after ``seconds``."""
        held = self.time.advance(seconds, until=predicate, patience_seconds=PATIENCE_SECONDS)
        assert held or predicate(), f"did not happen within {seconds} s; log: {self.log[-10:]}"

    def leases(self, listener: SqlTriggerListener) -> dict[int, Lease]:
        """The rows of a lease table whose key is Id."""
        rows = self.sql(
            "SELECT Id, _az_func_ChangeVersion, _az_func_AttemptCount, "
            "DATEDIFF_BIG(millisecond, SYSDATETIME(), _az_func_LeaseExpirationTime) "
            f"FROM {listener.lease_table} ORDER BY Id;"
        )
        return {key: Lease(version, attempts, None if end is None else end / 1000) for key, version, attempts, end in rows}

    def cursor(self, listener: SqlTriggerListener, table: str = "dbo.Item") -> int:
        """The function's LastSyncVersion."""
        return int(
            self.scalar(
                "SELECT LastSyncVersion FROM az_func.GlobalState WHERE UserFunctionID = ? AND UserTableID = OBJECT_ID(?)",
                listener.function_id,
                table,
            )
        )

    def logged(self, text: str, level: str | None = None) -> list[str]:
        """Log messages that contain ``text``."""
        return [message for kind, message in self.log if text in message and level in (None, kind)]

    def clean_up(self) -> None:
        """Stop the listeners and drop everything."""
        self.server.clear_faults()
        for listener in self.listeners:
            self.loop.run(listener.stop())
        self.loop.close()
        for table in self.tables:
            self.sql(f"IF OBJECT_ID(N'{table}') IS NOT NULL DROP TABLE {table};")
        leftovers = self.sql(
            "SELECT t.name FROM sys.tables t JOIN sys.schemas s ON s.schema_id = t.schema_id WHERE s.name = N'az_func';"
        )
        for (name,) in leftovers:
            quoted = name.replace("]", "]]")
            self.sql(f"DROP TABLE az_func.[{quoted}];")
        self.sql("IF SCHEMA_ID(N'az_func') IS NOT NULL EXEC(N'DROP SCHEMA az_func');")
        self.connection.close()
