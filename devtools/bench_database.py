"""A database with the app's tables, an app in this process that uses it, and a trigger whose hand-outs are made one at a time.

The app's own functions run against the emulator of SQL Server over the wire. The emulated listener makes its tables, and is stopped
then: what is measured is measured without its company.
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyodbc

from devtools.stack import Stack
from emulators.functions_host.sql_trigger.names import TableName
from emulators.functions_host.sql_trigger.payload import Column as TableColumn
from emulators.functions_host.sql_trigger.statements import Statements, key_rows
from emulators.functions_host.sql_trigger.table import KeyColumn, WatchedTable
from rowpost.app import App
from rowpost.config.connection_string import translate
from rowpost.database.connection import Database, Row

TABLE = "dbo.Orders"
_FILL_ROWS = 20_000  # of one statement of the set-up
LOCK_MS = 100_000
_DATABASE = "SqlConnectionString"


class CountingDatabase(Database):
    """The app's database access, with a list of what was sent."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        super().__init__(translate(settings[_DATABASE], _DATABASE, settings["ODBC_DRIVER"]))
        self.sent: list[str] = []

    def run(self, sql: str, *parameters: Any) -> list[list[Row]]:
        self.sent.append(sql)
        return super().run(sql, *parameters)


class BenchDatabase:
    """The database, and the app.

    Args:
        directory: for the data.
        config, tables_sql: the app's configuration, and the script that makes dbo.Orders (OrderId, Customer, Total).
        downstream_url: a target in another process than this one; without it the emulated one runs here.
    """

    def __init__(self, directory: Path, config: Path, tables_sql: Path, downstream_url: str | None = None) -> None:
        self.stack = Stack(directory, "real", config=config, tables_sql=tables_sql, downstream_url=downstream_url)
        self._orders = 0

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self.stack.stop()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.stack.stop()

    def _start(self) -> None:
        self.stack.start()
        site = self.stack.settings["WEBSITE_SITE_NAME"]
        self.leases = f"az_func.{self.stack.config.relays[0].lease_table(site)}"
        cursors = "SELECT UserFunctionID, UserTableID FROM az_func.GlobalState"
        leases = f"SELECT OBJECT_ID(N'{self.leases}', N'U')"
        while self.stack.execute(leases)[0][0] is None:  # the listener makes its tables in one transaction when it starts
            time.sleep(0.1)
        assert self.stack.host is not None
        self.stack.host.stop()
        self.stack.host = None
        self.database = CountingDatabase(self.stack.settings)
        self.app = App(self.stack.config, self.database, site)
        self.table = self.app.table(TABLE)
        ((function_id, object_id),) = self.stack.execute(cursors)
        name, keys = TableName.parse(TABLE), (KeyColumn("OrderId", "int", "int"),)
        columns = tuple(TableColumn(column.name, column.type) for column in self.table.columns)
        self.trigger = Statements(WatchedTable(name, object_id, keys, columns), function_id, self.leases, LOCK_MS)

    # --- rows, by plain SQL ---

    def insert_orders(self, count: int) -> None:
        """Let the table have ``count`` rows, if it has fewer, with the keys from 1 on."""
        for first in range(self._orders + 1, count + 1, _FILL_ROWS):
            ids = [{"i": i} for i in range(first, min(first + _FILL_ROWS, count + 1))]
            self.many("INSERT INTO dbo.Orders SELECT i, N'customer', 10.5 FROM OPENJSON(?) WITH (i int '$.i')", ids)
        self._orders = max(self._orders, count)

    def many(self, sql: str, rows: Sequence[Mapping[str, Any]]) -> None:
        """A statement with one parameter: rows, as JSON."""
        with self.stack.connection.cursor() as cursor:
            cursor.setinputsizes([(pyodbc.SQL_WVARCHAR, 0, 0)])
            cursor.execute(sql, json.dumps(rows))

    # --- the trigger, statement by statement ---

    def poll(self, batch_rows: int) -> int:
        """One look of the trigger; it leases nothing."""
        rows = self._look(batch_rows)
        self.stack.execute("ROLLBACK TRANSACTION" if rows else self.trigger.commit)
        return len(rows)

    def hand_out(self, batch_rows: int) -> list[int]:
        """Change the first rows and lease them as the trigger does when it hands them out: their keys, in the trigger's order."""
        self.stack.execute(f"UPDATE dbo.Orders SET Total = Total + 1 WHERE OrderId <= {batch_rows}")
        orders = [(row.OrderId, row.SYS_CHANGE_VERSION) for row in self._look(batch_rows)]
        leased = key_rows((((order,), version) for order, version in orders), self.trigger.table.keys)
        self.stack.execute(self.trigger.acquire(), leased)
        self.stack.execute(self.trigger.commit)
        return [order for order, _ in orders]

    def release(self) -> None:
        """Let go of all leases, as the trigger does after a batch that has returned."""
        self.stack.execute(f"UPDATE {self.leases} SET _az_func_LeaseExpirationTime = NULL, _az_func_AttemptCount = 0")

    def _look(self, batch_rows: int) -> list[Any]:
        self.stack.execute("BEGIN TRANSACTION")
        self._rows(self.trigger.pre_invocation())
        return self._rows(self.trigger.changes(batch_rows))

    def _rows(self, batch: str) -> list[Any]:
        """The rows of a batch, which may have other results without rows."""
        rows: list[Any] = []
        cursor = self.stack.connection.execute(batch)
        more: bool | None = True
        while more:
            rows += cursor.fetchall() if cursor.description else []
            more = cursor.nextset()
        return rows
