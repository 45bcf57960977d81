"""Round trips to SQL Server: one function, one idea, no SQL of its own.

Every statement that the app sends is safe to send twice (guards, absolute values, no increments), so a connection that broke
may be replaced and the statement repeated without asking what had happened.
"""

from __future__ import annotations

import contextlib
import os
import queue
from collections.abc import Iterator
from typing import Any

import pyodbc

from rowpost.connection_string import OdbcConnection

Row = tuple[Any, ...]
_DEADLOCK = "40001"
_BROKEN = ("08",)  # the SQLSTATE class of connection exceptions
_TRIES = 3
DEFAULT_DRIVER = "ODBC Driver 18 for SQL Server"

pyodbc.pooling = False  # the pool below is ours: it survives drivers without pooling, and closes what broke


def odbc_driver() -> str:
    """The ODBC driver to use: the setting ``ODBC_DRIVER`` (a registered name or a path), else Microsoft's version 18."""
    return os.environ.get("ODBC_DRIVER") or DEFAULT_DRIVER


class Database:
    """A small pool of connections; safe to use from several threads."""

    def __init__(self, connection: OdbcConnection) -> None:
        self._connection = connection
        self._idle: queue.LifoQueue[pyodbc.Connection] = queue.LifoQueue()

    def run(self, sql: str, *parameters: Any) -> list[list[Row]]:
        """Run a batch in one round trip and return its result sets, in order.

        A batch chosen as deadlock victim, or sent over a connection that turned out to be broken, is sent again.

        Raises:
            pyodbc.Error: the statement failed; the message has the number and the text of SQL Server.
        """
        for last in (False,) * (_TRIES - 1) + (True,):
            try:
                with self._checked_out() as connection:
                    return _fetch(connection, sql, parameters)
            except pyodbc.Error as error:
                state = str(error.args[0]) if error.args else ""
                if last or not (state == _DEADLOCK or state.startswith(_BROKEN)):
                    raise
        raise AssertionError("unreachable")

    @contextlib.contextmanager
    def _checked_out(self) -> Iterator[pyodbc.Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = pyodbc.connect(self._connection.text, autocommit=True, timeout=self._connection.login_timeout_seconds)
            connection.timeout = self._connection.command_timeout_seconds
        try:
            yield connection
        except BaseException:
            with contextlib.suppress(pyodbc.Error):  # closing rolls back whatever the batch had open
                connection.close()
            raise
        self._idle.put(connection)


def _fetch(connection: pyodbc.Connection, sql: str, parameters: tuple[Any, ...]) -> list[list[Row]]:
    results: list[list[Row]] = []
    with connection.cursor() as cursor:
        # nvarchar(max) whatever the length: pyodbc would declare a long text as ntext, which is deprecated.
        cursor.setinputsizes([(pyodbc.SQL_WVARCHAR, 0, 0) if isinstance(p, str) else None for p in parameters])
        cursor.execute(sql, *parameters)
        while True:
            if cursor.description is not None:
                results.append([tuple(row) for row in cursor.fetchall()])
            if not cursor.nextset():
                return results
