"""One database connection, used from an event loop: pyodbc runs in a thread of its own.

Times come as ISO texts with all seven digits that the server has (Python's own types end at microseconds); the rest is
as pyodbc gives it.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from typing import Any, TypeVar

import pyodbc

from emulators.functions_host.sql_trigger.connection_string import OdbcConnection
from emulators.functions_host.sql_trigger.errors import DatabaseError

T = TypeVar("T")
ResultSets = list[list[tuple[Any, ...]]]

_SESSION = "SET NOCOUNT ON; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ;"
_BEGIN = "BEGIN TRANSACTION;"
ANY_ERROR = -1  # of all errors, to keep the transaction after each
_ROLLBACK = "IF @@TRANCOUNT > 0 ROLLBACK TRANSACTION;"
_NATIVE_NUMBER = re.compile(r"\((-?\d+)\) \(SQL")
_DRIVER_PREFIX = re.compile(r"^\[\w{5}\] (\[[^\]]*\])+")
_LOST = {596, 10053, 10054, 10060}  # session killed; the three ways a socket ends
_DIED_AFTER_LOSS = re.compile(r"connection.*(broken|closed)|communication link failure", re.IGNORECASE | re.DOTALL)

# As binary values the driver gives datetime2, time and datetimeoffset as ODBC's C structures (fraction in nanoseconds), but the two
# older types as the wire has them: days since 1900 with 300ths of a second, or with minutes.
_TIMESTAMP = struct.Struct("<h5HI")
_DATETIME = struct.Struct("<iI")
_SMALLDATETIME = struct.Struct("<2H")
_ERA = datetime(1900, 1, 1)
_TIMESTAMP_OFFSET = struct.Struct("<h5HI2h")
_TIME = struct.Struct("<3H2xI")
_SQL_TYPE_TIMESTAMP, _SQL_SS_TIME2, _SQL_SS_TIMESTAMPOFFSET, _SQL_SS_VARIANT = 93, -154, -155, -150


def _iso_date_time(year: int, month: int, day: int, hour: int, minute: int, second: int, nanoseconds: int) -> str:
    return f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{nanoseconds // 100:07}"


def _variant(data: bytes | None) -> str | None:
    """The bytes of a sql_variant, in hexadecimal. The real trigger gives the value; pyodbc cannot read it of each type."""
    return None if data is None else data.hex()


def _text(data: bytes | None) -> str | None:
    """A .NET string is UTF-16, and may hold half a surrogate pair."""
    return None if data is None else data.decode("utf-16-le", "surrogatepass")


def _timestamp(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    if len(raw) == _TIMESTAMP.size:
        return _iso_date_time(*_TIMESTAMP.unpack(raw))
    if len(raw) == _DATETIME.size:
        days, ticks = _DATETIME.unpack(raw)
        seconds, rest = divmod(ticks, 300)
        moment = _ERA + timedelta(days=days, seconds=seconds, milliseconds=round(rest * 10 / 3))
    else:
        days, minutes = _SMALLDATETIME.unpack(raw)
        moment = _ERA + timedelta(days=days, minutes=minutes)
    return f"{moment.isoformat(timespec='microseconds')}0"


def _timestamp_offset(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    *moment, hours, minutes = _TIMESTAMP_OFFSET.unpack(raw)
    sign = "-" if hours < 0 or minutes < 0 else "+"
    return f"{_iso_date_time(*moment)}{sign}{abs(hours):02}:{abs(minutes):02}"


def _time(raw: bytes | None) -> str | None:
    if raw is None:
        return None
    hour, minute, second, nanoseconds = _TIME.unpack(raw)
    return f"{hour:02}:{minute:02}:{second:02}.{nanoseconds // 100:07}"


def _as_database_error(error: pyodbc.Error) -> DatabaseError:
    state = str(error.args[0]) if len(error.args) > 1 else ""
    text = str(error.args[-1]) if error.args else type(error).__name__
    match = _NATIVE_NUMBER.search(text)
    number = int(match[1]) if match else None
    broken = state.startswith("08") or number in _LOST or _DIED_AFTER_LOSS.search(text) is not None
    return DatabaseError(_DRIVER_PREFIX.sub("", text), state, number, broken)


class Connection:
    """A connection that can be opened again after a loss. One statement batch at a time.

    Args:
        target: where and how to connect.
    """

    def __init__(self, target: OdbcConnection) -> None:
        self._target = target
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="sql-trigger")
        self._connection: pyodbc.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether statements can be sent, as far as known."""
        return self._connection is not None

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    async def open(self) -> None:
        """Connect, unless connected. Raises DatabaseError."""
        if self._connection is None:
            await self._in_thread(self._open)

    def _open(self) -> None:
        try:
            connection = pyodbc.connect(self._target.text, autocommit=True, timeout=self._target.connect_seconds)
            connection.timeout = self._target.command_seconds
            connection.add_output_converter(_SQL_TYPE_TIMESTAMP, _timestamp)
            connection.add_output_converter(_SQL_SS_TIME2, _time)
            connection.add_output_converter(_SQL_SS_TIMESTAMPOFFSET, _timestamp_offset)
            for sql_type in (pyodbc.SQL_WCHAR, pyodbc.SQL_WVARCHAR, pyodbc.SQL_WLONGVARCHAR):
                connection.add_output_converter(sql_type, _text)
            connection.add_output_converter(_SQL_SS_VARIANT, _variant)
            connection.execute(_SESSION)
        except pyodbc.Error as error:
            raise _as_database_error(error) from error
        self._connection = connection

    async def run(self, sql: str, *parameters: str, keep_transaction: int | None = None) -> ResultSets:
        """Run a batch and give all its result sets. After an error no transaction is open.

        Args:
            sql: the batch; a ``?`` for each parameter.
            parameters: texts, sent as nvarchar(max).
            keep_transaction: number of an error after which the transaction is left as the server left it; or ANY_ERROR.

        Raises:
            DatabaseError: the batch failed. If the connection is lost it is closed, and ``open`` makes a new one.
        """
        return await self._in_thread(lambda: self._run(sql, parameters, keep_transaction))

    def _run(self, sql: str, parameters: Sequence[str], keep_transaction: int | None) -> ResultSets:
        if self._connection is None:
            raise DatabaseError("The connection is closed.", "08003", None, True)
        try:
            cursor = self._connection.cursor()
            try:
                if parameters:
                    cursor.setinputsizes([(pyodbc.SQL_WVARCHAR, 0, 0)] * len(parameters))
                cursor.execute(sql, *parameters)
                results: ResultSets = []
                while True:
                    if cursor.description is not None:
                        results.append([tuple(row) for row in cursor.fetchall()])
                    if not cursor.nextset():
                        return results
            finally:
                with contextlib.suppress(pyodbc.Error):
                    cursor.close()
        except pyodbc.Error as error:
            failure = _as_database_error(error)
            if failure.broken:
                self._close()
            elif keep_transaction != ANY_ERROR and (failure.number is None or failure.number != keep_transaction):
                self._roll_back()
                failure.broken = self._connection is None  # some errors are the last words of a connection
            raise failure from error

    async def begin(self) -> None:
        """Begin a transaction: a request of its own, with the time that connecting may take. Raises DatabaseError."""
        await self._in_thread(self._begin)

    def _begin(self) -> None:
        if self._connection is not None:
            self._connection.timeout = self._target.connect_seconds
        try:
            self._run(_BEGIN, (), None)
        finally:
            if self._connection is not None:
                self._connection.timeout = self._target.command_seconds

    def _roll_back(self) -> None:
        """End the transaction now: an abandoned one would keep the application lock."""
        try:
            if self._connection is not None:
                self._connection.execute(_ROLLBACK)
        except pyodbc.Error:
            self._close()

    async def roll_back(self) -> None:
        """Undo what the open transaction did, if there is one."""
        await self._in_thread(self._roll_back)

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with contextlib.suppress(pyodbc.Error):
                connection.close()

    async def close(self) -> None:
        """Close the connection and end its thread; it cannot be opened again."""
        await self._in_thread(self._close)
        self._thread.shutdown(wait=False)
