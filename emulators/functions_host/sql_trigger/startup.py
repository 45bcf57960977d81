"""What a start leaves in the database: the schema, the table of cursors with this function's row, the lease table."""

from __future__ import annotations

import logging

from emulators.functions_host.sql_trigger.connection import Connection
from emulators.functions_host.sql_trigger.errors import DatabaseError, ListenerError
from emulators.functions_host.sql_trigger.identity import SCHEMA, Identity, lease_table
from emulators.functions_host.sql_trigger.names import literal, quote
from emulators.functions_host.sql_trigger.statements import GLOBAL_STATE, app_lock, cursor_condition
from emulators.functions_host.sql_trigger.table import ATTEMPT_COUNT, CHANGE_VERSION, LEASE_EXPIRATION, WatchedTable

_ALREADY_EXISTS = 2714


class StartUp:
    """Creates what is missing, in one transaction; nothing remains if a step fails.

    Args:
        connection: an open connection.
        table: the watched table.
        identity: the function's ids.
        leases: quoted name of the lease table.
        user_defined_leases: whether that name was chosen by the user; then there is none to take over from.
        lock_timeout_ms: longest wait for the application lock.
        logger: told what happens.
    """

    def __init__(
        self,
        connection: Connection,
        table: WatchedTable,
        identity: Identity,
        leases: str,
        user_defined_leases: bool,
        lock_timeout_ms: int,
        logger: logging.Logger,
    ) -> None:
        self._connection = connection
        self._table = table
        self._identity = identity
        self._leases = leases
        self._user_defined_leases = user_defined_leases
        self._lock = f"DECLARE @lock int;{app_lock(lock_timeout_ms)}\n"
        self._logger = logger

    async def run(self) -> None:
        """Do all steps.

        Raises:
            ListenerError: change tracking is off for the table (or its state may not be seen).
            DatabaseError: a statement failed.
        """
        await self._connection.begin()
        try:
            await self._create(f"IF SCHEMA_ID(N'az_func') IS NULL EXEC(N'CREATE SCHEMA {SCHEMA}');", "schema az_func")
            await self._create_cursors()
            await self._insert_cursor()
            await self._create_leases()
            await self._connection.run("COMMIT TRANSACTION;")
        except BaseException:
            await self._connection.roll_back()
            raise

    async def _create(self, sql: str, what: str) -> None:
        try:
            await self._connection.run(self._lock + sql, keep_transaction=_ALREADY_EXISTS)
        except DatabaseError as error:
            if error.number != _ALREADY_EXISTS:
                raise
            self._logger.warning("Failed to create %s: it exists already. %s", what, error)

    async def _create_cursors(self) -> None:
        await self._create(
            f"""
IF OBJECT_ID({literal(GLOBAL_STATE)}, N'U') IS NULL
    CREATE TABLE {GLOBAL_STATE} (
        UserFunctionID char(16) NOT NULL,
        UserTableID int NOT NULL,
        LastSyncVersion bigint NOT NULL,
        LastAccessTime datetime NOT NULL DEFAULT GETUTCDATE(),
        PRIMARY KEY (UserFunctionID, UserTableID)
    );
ELSE IF NOT EXISTS (
    SELECT 1 FROM sys.columns WHERE object_id = OBJECT_ID({literal(GLOBAL_STATE)}, N'U') AND name = N'LastAccessTime'
)
    ALTER TABLE {GLOBAL_STATE} ADD LastAccessTime datetime NOT NULL DEFAULT GETUTCDATE();""",
            f"table {GLOBAL_STATE}",
        )

    async def _insert_cursor(self) -> None:
        table_id = self._table.object_id
        results = await self._connection.run(f"SELECT CHANGE_TRACKING_MIN_VALID_VERSION({table_id});")
        oldest = results[0][0][0]
        if oldest is None:
            raise ListenerError(f"Could not find change tracking enabled for table: '{self._table.name.display}'.")
        own = cursor_condition(self._identity.function_id, table_id)
        former = cursor_condition(self._identity.former_id, table_id)
        take_over = "" if own == former else f"DELETE FROM {GLOBAL_STATE} WHERE {former};"
        await self._connection.run(
            f"""{self._lock}
IF NOT EXISTS (SELECT 1 FROM {GLOBAL_STATE} WHERE {own})
BEGIN
    DECLARE @version bigint = {oldest};
    SELECT @version = LastSyncVersion FROM {GLOBAL_STATE} WHERE {former};
    {take_over}
    INSERT INTO {GLOBAL_STATE} (UserFunctionID, UserTableID, LastSyncVersion)
    VALUES ({literal(self._identity.function_id)}, {table_id}, @version);
END;"""
        )

    async def _create_leases(self) -> None:
        keys = self._table.keys
        declarations = ", ".join(f"{quote(key.name)} {key.declaration} NOT NULL" for key in keys)
        sql = f"""
IF OBJECT_ID({literal(self._leases)}, N'U') IS NULL
BEGIN
    CREATE TABLE {self._leases} (
        {declarations},
        {quote(CHANGE_VERSION)} bigint NOT NULL,
        {quote(ATTEMPT_COUNT)} int NOT NULL,
        {quote(LEASE_EXPIRATION)} datetime2 NULL,
        PRIMARY KEY ({", ".join(quote(key.name) for key in keys)})
    );
END;"""
        await self._create(sql, f"lease table {self._leases}")
        former = lease_table(self._identity.former_id, self._table.object_id, None)
        if self._user_defined_leases or former == self._leases:
            return
        results = await self._connection.run(f"SELECT OBJECT_ID({literal(former)}, N'U');")
        if results[0][0][0] is not None:
            await self._connection.run(f"{self._lock}INSERT INTO {self._leases} SELECT * FROM {former}; DROP TABLE {former};")
            self._logger.info("Moved the leases of table %s, named after the host, to %s.", former, self._leases)
