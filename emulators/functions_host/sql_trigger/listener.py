"""The listener of one function with a SQL trigger."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from emulators.clock import Clock
from emulators.functions_host.sql_trigger.connection import Connection
from emulators.functions_host.sql_trigger.connection_string import translate
from emulators.functions_host.sql_trigger.errors import DatabaseError, ListenerError
from emulators.functions_host.sql_trigger.identity import Identity, lease_table
from emulators.functions_host.sql_trigger.inspection import Inspector
from emulators.functions_host.sql_trigger.monitor import ChangeMonitor
from emulators.functions_host.sql_trigger.names import TableName
from emulators.functions_host.sql_trigger.scaling import target_worker_count
from emulators.functions_host.sql_trigger.settings import TriggerSettings
from emulators.functions_host.sql_trigger.startup import StartUp
from emulators.functions_host.sql_trigger.statements import Statements
from emulators.functions_host.sql_trigger.table import (
    WatchedTable,
    check_compatibility_level,
    find_object_id,
    read_keys,
    read_table,
)

_INVALID_OBJECT = 208


class SqlTriggerListener:
    """Hands the changes of a table to a function.

    Args:
        function_name: name of the function; part of its identity in the database.
        table_name: ``table`` or ``schema.table``, brackets allowed.
        connection_string: ADO.NET text.
        leases_table_name: name of the lease table inside the schema az_func; None derives one.
        settings: the app's settings.
        host_json: the parsed host.json.
        host_id: id of the host: part of the function's identity when there is no site name.
        clock: the clock of pauses and renewals.
        invoke: runs the function with a JSON text; True if it succeeded. Busy in virtual time except while it sleeps on
            ``clock`` or waits through it.
        logger: told what happens.
        on_cancel: called once in a batch when its leases have been renewed ten times; Python does not notice.
    """

    def __init__(
        self,
        function_name: str,
        table_name: str,
        connection_string: str,
        leases_table_name: str | None,
        settings: Mapping[str, str],
        host_json: Mapping[str, Any],
        host_id: str,
        clock: Clock,
        invoke: Callable[[str], Awaitable[bool]],
        logger: logging.Logger,
        on_cancel: Callable[[], None] | None = None,
    ) -> None:
        self._function_name = function_name
        self._table_name = table_name
        self._connection_string = connection_string
        self._leases_table_name = leases_table_name
        self._app_settings = settings
        self._host_json = host_json
        self._clock = clock
        self._invoke = invoke
        self._logger = logger
        self._on_cancel = on_cancel if on_cancel is not None else lambda: None
        self._identity = Identity.of(function_name, settings, host_id)
        self._lease_table: str | None = None
        self._monitor: ChangeMonitor | None = None
        self._inspector: Inspector | None = None
        self._starting = False
        self._stopped = False

    @property
    def function_id(self) -> str:
        """Key of the function's cursor in the database."""
        return self._identity.function_id

    @property
    def lease_table(self) -> str | None:
        """Quoted name of the lease table, once started."""
        return self._lease_table

    @property
    def inspector(self) -> Inspector | None:
        """Shows cursor and leases to people, once started."""
        return self._inspector

    async def start(self) -> None:
        """Check the table, create what is missing in the database, and start to poll.

        Raises:
            ListenerError: wrong settings, a table that cannot be watched, no connection, or started before. After
                an error the listener is not started, and starting can be tried again.
        """
        if self._monitor is not None or self._starting or self._stopped:
            raise ListenerError(f"The listener of function '{self._function_name}' has already been started.")
        self._starting = True
        try:
            with self._clock.busy():
                await self._start()
        except DatabaseError as error:
            raise ListenerError(self._explain(error)) from error
        finally:
            self._starting = False

    async def _start(self) -> None:
        settings = TriggerSettings(self._app_settings, self._host_json)
        max_changes_per_worker, lock_timeout_ms = settings.max_changes_per_worker, settings.app_lock_timeout_ms
        target = translate(self._connection_string)
        name = TableName.parse(self._table_name)
        if not self._identity.from_site:
            self._logger.warning("WEBSITE_SITE_NAME is not set: the id of function '%s' depends on the host.", self._function_name)
        connection = Connection(target)
        try:
            await connection.open()
            await check_compatibility_level(connection)
            table = await read_table(connection, name)
            leases = lease_table(self.function_id, table.object_id, self._leases_table_name)
            await StartUp(
                connection, table, self._identity, leases, bool(self._leases_table_name), lock_timeout_ms, self._logger
            ).run()
        finally:
            await connection.close()
        statements = Statements(table, self.function_id, leases, lock_timeout_ms)
        # These two are read after the tables were made: a wrong value leaves them behind.
        batch_size, interval = settings.batch_size, settings.polling_interval_seconds
        self._lease_table = leases
        self._inspector = Inspector(self._connection_string, statements)
        self._monitor = ChangeMonitor(
            target, statements, batch_size, interval, self._clock, self._invoke, self._on_cancel, self._logger
        )
        self._monitor.start()
        self._logger.info(
            "Started the SQL trigger of function '%s' (id %s) on table %s (object %s); leases table: %s; "
            "batch size %s, polling interval %s s, %s changes per worker.",
            self._function_name,
            self.function_id,
            name.display,
            table.object_id,
            leases,
            batch_size,
            interval,
            max_changes_per_worker,
        )

    @staticmethod
    def _explain(error: DatabaseError) -> str:
        text = str(error)
        if "certificate" in text.lower():
            return f"{text} Connections are encrypted by default: see the keywords Encrypt and TrustServerCertificate."
        return text

    async def stop(self) -> None:
        """Stop polling. A function that runs goes on, but its rows are not released: they come again."""
        self._stopped = True
        if self._monitor is not None:
            await self._monitor.stop()

    async def wait_closed(self) -> None:
        """After :meth:`stop`: wait for the function that was running and for the end of the connections."""
        if self._monitor is not None:
            await self._monitor.wait_closed()

    async def metric(self) -> int:
        """Count of rows that wait to be handed out: neither leased nor out of attempts.

        Raises:
            DatabaseError: the count failed; before the first start of the function there is nothing to count in.
            ListenerError: there is no such table or it has no primary key.
        """
        return await self._metric(before_the_first_start=False)

    async def _metric(self, *, before_the_first_start: bool) -> int:
        settings = TriggerSettings(self._app_settings, self._host_json)
        name = TableName.parse(self._table_name)
        connection = Connection(translate(self._connection_string))
        with self._clock.busy():
            try:
                await connection.open()
                object_id = await find_object_id(connection, name)
                keys = await read_keys(connection, name, object_id)
                leases = lease_table(self.function_id, object_id, self._leases_table_name)
                table = WatchedTable(name, object_id, keys, ())
                statements = Statements(table, self.function_id, leases, settings.app_lock_timeout_ms)
                try:
                    return int((await connection.run(statements.count_unprocessed()))[0][0][0])
                except DatabaseError as error:
                    if error.number != _INVALID_OBJECT or not before_the_first_start:
                        raise
                    tracked = int((await connection.run(statements.count_tracked()))[0][0][0])
                    if tracked == 0:
                        raise
                    return tracked
            finally:
                await connection.close()

    async def target_workers(self, instance_concurrency: int | None = None) -> int:
        """Workers that the rows which wait ask for. Before the first start of the function all tracked changes count.

        Args:
            instance_concurrency: rows for one worker; None takes the setting.

        Raises:
            DatabaseError, ListenerError: as :meth:`metric`.
            ValueError: the concurrency is below 1.
        """
        settings = TriggerSettings(self._app_settings, self._host_json)
        return target_worker_count(
            await self._metric(before_the_first_start=True), settings.max_changes_per_worker, instance_concurrency
        )
