"""Round trips to SQL Server: one function, one idea, no SQL of its own.

Every statement that the app sends is safe to send twice (guards, absolute values, no increments), so a connection that broke
may be replaced and the statement repeated without asking what had happened.
"""

from __future__ import annotations

import contextlib
import os
import queue
import re
from collections.abc import Iterator, Sequence
from typing import Any

import pyodbc

from rowpost.config.connection_string import OdbcConnection

Row = tuple[Any, ...]

# Errors whose text quotes names only. All others may quote the value of a column, and are told by number alone.
_NAMES_ONLY = {207, 208, 229, 230, 262, 297, 1205, 1222, 4060, 10928, 10929, 18456, 40197, 40501, 40613, 50001, 50002}
# Errors of the server, of its load, of a login or of a lock: no row is the reason.
_NOT_A_ROW = {701, 802, 1205, 1222, 3960, 4060, 4221, 8645, 8651, 9001, 9002, 10928, 10929, 18456, 40143, 40166, 40197, 40501}
_NOT_A_ROW |= {40540, 40549, 40550, 40551, 40552, 40553, 40613, 49918, 49919, 49920, 50001, 50002}
_NUMBER = re.compile(r"\((\d+)\) \(SQL\w+\)")
_MESSAGE = re.compile(r"\[SQL Server\](.*?) ?\(\d+\) \(SQL\w+\)", re.DOTALL)


class DatabaseError(Exception):
    """The database failed, or could not be reached. The text never holds a value of a row.

    Attributes:
        state: the SQLSTATE.
        number: SQL Server's error number, if it answered at all.
        results: the result sets that had arrived before.
        reason: the failure in a few words, without any text of the server or the driver.
        by_a_row: whether a row that the statement read may be the reason: else the database, the connection, or another session.
        lost: whether the connection is lost.
        said_by_server: its first message, which may quote a value of a row that the statement read. Only who knows that it read
            none may show it.
    """

    def __init__(self, error: Exception, results: Sequence[list[Row]] = ()) -> None:
        self.results = list(results)
        self.state, self.number = "", None
        self.by_a_row, self.lost = True, False
        self.reason = self.said_by_server = type(error).__name__
        if not isinstance(error, pyodbc.Error):  # reading what arrived; the text may quote it
            super().__init__(f"the answer of the database could not be read ({self.reason})")
            return
        self.state = str(error.args[0]) if error.args else ""
        text = str(error.args[1]) if len(error.args) > 1 else ""
        message = _MESSAGE.search(text)
        self.said_by_server = message[1].strip() if message else text
        found = _NUMBER.search(text)
        self.number = int(found[1]) or None if found else None  # 0: the driver manager speaks, not the server
        if self.number is None or self.number in _NAMES_ONLY:
            said = text
        else:
            said = f"SQL Server error {self.number}; its text may quote a value and is left out"
        self.lost = self.state.startswith(_BROKEN)
        self.by_a_row = not self.state.startswith(_NOT_THE_STATEMENT) and self.number not in _NOT_A_ROW
        self.reason = f"SQL Server error {self.number}" if self.number else f"SQLSTATE {self.state[:5]}"
        super().__init__(f"the database failed ({self.state}): {said}")


_DEADLOCK = "40001"
_BROKEN = ("08",)  # the SQLSTATE class of connection exceptions
_NOT_THE_STATEMENT = (*_BROKEN, "28", "40", "HYT", "HY008", "IM")  # logins, deadlocks, time-outs, cancellations, the driver itself
_TRIES = 3
DEFAULT_DRIVER = "ODBC Driver 18 for SQL Server"

_UTF16_TYPES = (pyodbc.SQL_WCHAR, pyodbc.SQL_WVARCHAR, pyodbc.SQL_WLONGVARCHAR)


def _decode(data: bytes | None) -> str | None:
    """UTF-16 with halves of surrogate pairs, which nvarchar may hold: pyodbc's own decoding fails at them, and a batch with it."""
    return None if data is None else data.decode("utf-16-le", "surrogatepass")


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
            DatabaseError: the statement failed, or the database cannot be reached, or what it sent cannot be read.
        """
        for last in (False,) * (_TRIES - 1) + (True,):
            results: list[list[Row]] = []
            try:
                with self._checked_out() as connection:
                    _fetch(connection, sql, parameters, results)
                return results
            except Exception as error:
                failure = DatabaseError(error, results)
                if failure.state.startswith(_BROKEN):
                    self._drop_idle()  # where one connection broke the others did: a failover breaks all of them
                if last or not (failure.state == _DEADLOCK or failure.state.startswith(_BROKEN)):
                    raise failure from None
        raise AssertionError("unreachable")

    def _drop_idle(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                connection = self._idle.get_nowait()
                with contextlib.suppress(pyodbc.Error):
                    connection.close()

    @contextlib.contextmanager
    def _checked_out(self) -> Iterator[pyodbc.Connection]:
        try:
            connection = self._idle.get_nowait()
        except queue.Empty:
            connection = pyodbc.connect(self._connection.text, autocommit=True, timeout=self._connection.login_timeout_seconds)
            for sql_type in _UTF16_TYPES:
                connection.add_output_converter(sql_type, _decode)
            connection.timeout = self._connection.command_timeout_seconds
        try:
            yield connection
        except BaseException:
            with contextlib.suppress(pyodbc.Error):  # closing rolls back whatever the batch had open
                connection.close()
            raise
        self._idle.put(connection)


def _fetch(connection: pyodbc.Connection, sql: str, parameters: tuple[Any, ...], results: list[list[Row]]) -> None:
    with connection.cursor() as cursor:
        # nvarchar(max) whatever the length: pyodbc would declare a long text as ntext, which is deprecated.
        cursor.setinputsizes([(pyodbc.SQL_WVARCHAR, 0, 0) if isinstance(p, str) else None for p in parameters])
        cursor.execute(sql, *parameters)
        while True:
            if cursor.description is not None:
                results.append([tuple(row) for row in cursor.fetchall()])
            if not cursor.nextset():
                return
