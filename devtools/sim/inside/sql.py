"""The SQL Server of the simulation: one engine, and what stands between it and a client that believes it has pyodbc.

What a driver makes of the server's errors and values stands here as tables; a test sends the same statements over the wire.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any

import pyodbc

from devtools.sim.inside.scheduler import Scheduler, Strand
from devtools.sim.inside.waiting import Condition
from emulators.sql_server.engine.database import Database, Session
from emulators.sql_server.values.results import Column, Parameter, ResultSet, SqlError, SqlType
from emulators.sql_server.wire.faults import Fault, Faults

APPLICATIONS = ("rowpost", "functions-host")  # the app, and its trigger
_SERVER = "rowpost-sql-emulator"
_DRIVER = "[Microsoft][ODBC Driver 18 for SQL Server]"
_FATAL_SEVERITY = 20
_TEXT, _INT, _BIGINT = SqlType("nvarchar", -1), SqlType("int"), SqlType("bigint")
_STATES = {
    **dict.fromkeys((515, 547, 2601, 2627), "23000"),
    **dict.fromkeys((241, 242), "22007"),
    245: "22018",
    208: "42S02",
    207: "42S22",
    1205: "40001",
    2714: "42S01",
    8134: "22012",
    8115: "22003",
    **dict.fromkeys((18456, 18487, 18488), "28000"),
    3906: "25000",
    916: "08004",
}
_CLASSES: tuple[tuple[str, type[pyodbc.Error]], ...] = (
    ("08", pyodbc.OperationalError),
    ("22", pyodbc.DataError),
    ("23", pyodbc.IntegrityError),
    ("25", pyodbc.ProgrammingError),
    ("28", pyodbc.InterfaceError),
    ("42", pyodbc.ProgrammingError),
    ("HYT0", pyodbc.OperationalError),
)
_MARK = re.compile(r"\?|'(?:[^']|'')*'|\[(?:[^\]]|\]\])*\]|--[^\n]*|/\*[\s\S]*?\*/")
_TIMESTAMP = struct.Struct("<h5HI")
_LOGIN_TIMEOUT_SECONDS = 15


def odbc_error(state: str, text: str, function: str, number: int = 0, *, by_server: bool = False) -> pyodbc.Error:
    """The exception that pyodbc raises for a diagnostic record."""
    kind = next((kind for prefix, kind in _CLASSES if state.startswith(prefix)), pyodbc.Error)
    source = f"{_DRIVER}[SQL Server]" if by_server else _DRIVER
    return kind(state, f"[{state}] {source}{text} ({number}) ({function})")


def server_error(error: SqlError, function: str) -> pyodbc.Error:
    """The exception for an error of the server."""
    state = "HY000" if error.severity >= _FATAL_SEVERITY else _STATES.get(error.number, "42000")
    return odbc_error(state, error.text, function, error.number, by_server=True)


@lru_cache(maxsize=4000)
def numbered(sql: str) -> str:
    """A statement with its question marks as @P1, @P2, …, as the driver sends it."""
    count = 0

    def name(match: re.Match[str]) -> str:
        nonlocal count
        if match[0] != "?":
            return match[0]
        count += 1
        return f"@P{count}"

    return _MARK.sub(name, sql)


def _parameter(value: Any) -> Parameter:
    if value is None or isinstance(value, str):
        return Parameter(value, _TEXT)
    if isinstance(value, int):
        return Parameter(int(value), _INT if -(2**31) <= value < 2**31 else _BIGINT)
    raise TypeError(f"no parameter of type {type(value).__name__} is sent inside the simulation")


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text[:26])


def _timestamp_bytes(text: str) -> bytes:
    moment = datetime.fromisoformat(text[:19])
    fraction = int((text[20:] or "0").ljust(9, "0"))
    return _TIMESTAMP.pack(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second, fraction)


_VALUES: dict[str, Callable[[Any], Any]] = {
    "bit": bool,
    "datetime2": _moment,
    "datetime": _moment,
    "smalldatetime": _moment,
    "date": date.fromisoformat,
    "binary": bytes,
    "varbinary": bytes,
}
_PYTHON_TYPES = {"bit": bool, "int": int, "bigint": int, "smallint": int, "tinyint": int, "float": float, "real": float}
_SQL_TYPE_TIMESTAMP = 93


class SqlServer:
    """The server: connections are made with :meth:`connect`.

    Args:
        database: the engine; its locks are made to wait in virtual time.
        scheduler: of the simulation.
        pause: draws how long a round trip takes one way, in seconds.
    """

    user, password = "sa", "Rowpost!2026"

    def __init__(self, database: Database, scheduler: Scheduler, pause: Callable[[], float], condition: Condition) -> None:
        self.database, self.scheduler, self.pause = database, scheduler, pause
        self.condition = condition
        self.faults = Faults()
        self.connections: dict[Connection, None] = {}
        self.watchers: list[Callable[[str, str], None]] = []  # told of each batch that ran: application, text
        self.struck: Callable[[str], None] = lambda action: None  # told of each fault that strikes
        self.failed: Callable[[str, int], None] = lambda application, number: None  # told of each error of a statement or a login
        self.app_user = self.user  # who the app and its trigger are
        self.refuses: Fault | None = None  # what every login of the app and its trigger meets
        self.statements = 0

    def connect(self, text: str, autocommit: bool = False, timeout: int = 0, **_: Any) -> Connection:
        """pyodbc.connect.

        Raises:
            pyodbc.Error: the login is refused.
        """
        match = re.search(r"APP=\{?([^;}]*)", text)
        application = match[1] if match else "pyodbc"
        self.scheduler.effect("login", self.pause(), application)
        fault = self.faults.strike(None, application)
        if fault is not None:
            self.struck(fault.action)
            raise server_error(fault.error(0, self.user, self.database.name, _SERVER), "SQLDriverConnect")
        if self.refuses is not None and application in APPLICATIONS:
            self.failed(application, self.refuses.number)
            raise server_error(self.refuses.error(0, self.user, self.database.name, _SERVER), "SQLDriverConnect")
        strand = self.scheduler.current
        session = self.database.open_session(self.app_user if application in APPLICATIONS else self.user, application, "host", None)
        connection = Connection(self, session, application, strand.owner if strand is not None else None)
        self.connections[connection] = None
        self.scheduler.effect("logged in", self.pause(), application)
        return connection

    def break_all(self) -> None:
        """The server goes down and comes back: every connection is lost, and what was not committed is undone."""
        for connection in list(self.connections):
            connection.sever()

    def break_of(self, owner: object) -> None:
        """A client's process has died."""
        for connection in [each for each in self.connections if each.owner is owner]:
            connection.sever()


class Connection:
    """What pyodbc.connect returns, as far as the app and the listener use it."""

    def __init__(self, server: SqlServer, session: Session, application: str, owner: object) -> None:
        self.server, self.session, self.application, self.owner = server, session, application, owner
        self.timeout = 0
        self.closed = False
        self.broken = False
        self._told = False
        self._converters: dict[int, Callable[[bytes | None], Any]] = {}

    def cursor(self) -> Cursor:
        """A cursor."""
        self._check_open()
        return Cursor(self)

    def execute(self, sql: str, *parameters: Any) -> Cursor:
        """Run a batch on a cursor of its own."""
        return self.cursor().execute(sql, *parameters)

    def add_output_converter(self, sql_type: int, function: Callable[[bytes | None], Any]) -> None:
        """Use a function for the values of a type."""
        self._converters[sql_type] = function

    def close(self) -> None:
        """End the connection; what is open is undone."""
        self._check_open()
        self.closed = True
        self.sever()

    def __enter__(self) -> Connection:
        return self

    def __exit__(self, *_: object) -> None:
        """Autocommit is on: nothing to commit."""

    def _check_open(self) -> None:
        if self.closed:
            raise pyodbc.ProgrammingError("Attempt to use a closed connection.")

    def sever(self) -> None:
        """The connection is gone, at the server at once."""
        if not self.broken:
            self.broken = True
            self.server.connections.pop(self, None)
            self.session.cancel_event.set()  # whoever waits for a lock in it gives up
            self.session.close()
            self.server.database.locks.wake()

    def lost(self) -> pyodbc.Error:
        """What a statement on a lost connection raises; the first one is told by the socket."""
        text = "Communication link failure" if self._told else "TCP Provider: Error code 0x2746 (10054)"
        self._told = True
        return (
            odbc_error("08S01", text, "SQLExecDirectW")
            if text[0] == "C"
            else pyodbc.OperationalError("08S01", f"[08S01] {_DRIVER}{text} (SQLExecDirectW)")
        )

    def run(self, sql: str, parameters: Sequence[Any]) -> tuple[list[ResultSet], pyodbc.Error | None]:
        """One round trip: the result sets, and the error that came behind them.

        Raises:
            pyodbc.Error: the connection is lost, or an error came before any result.
            Crash: the client's process died.
        """
        server, scheduler = self.server, self.server.scheduler
        self._check_open()
        scheduler.effect("sql", server.pause(), sql)
        if self.broken:
            raise self.lost()
        server.statements += 1
        text = numbered(sql) if parameters else sql
        fault = server.faults.strike(text, self.application)
        if fault is not None:
            server.struck(fault.action)
        if fault is not None and fault.action == "drop_before":
            self.sever()
            raise self.lost()
        if fault is not None and fault.action == "error":
            error = fault.error(self.session.spid, server.user, server.database.name, _SERVER)
            if fault.rolls_back and self.session.in_transaction:
                self.session.rollback()
            if fault.closes:
                self.sever()
            scheduler.effect("sql answer", server.pause(), sql)
            raise server_error(error, "SQLExecDirectW")
        results, problem = self._perform(text, parameters)
        if fault is not None and fault.action == "drop_after":
            self.sever()
        scheduler.effect("sql answer", server.pause(), sql)
        if self.broken and (fault is None or fault.action == "drop_after") and problem is None:
            raise self.lost()
        if problem is not None and not results:
            raise problem
        return results, problem

    def _perform(self, text: str, parameters: Sequence[Any]) -> tuple[list[ResultSet], pyodbc.Error | None]:
        server, session = self.server, self.session
        named = {f"p{index}": _parameter(value) for index, value in enumerate(parameters, 1)}
        results: list[ResultSet] = []
        problem: SqlError | None = None
        expired = False

        def expire() -> None:
            nonlocal expired
            expired = True
            session.cancel_event.set()

        strand = server.scheduler.current
        if self.timeout and strand is not None:
            server.condition.deadlines[strand] = (server.scheduler.monotonic() + self.timeout, expire)
        try:
            for event in session.execute(text, named):
                if isinstance(event, ResultSet):
                    results.append(event)
                elif isinstance(event, SqlError):
                    problem = problem or event
        except SqlError as error:
            problem = problem or error
        except Exception:
            if not self.broken:
                raise
            return results, None  # its session was closed under its feet
        finally:
            if strand is not None:
                server.condition.deadlines.pop(strand, None)
            if self.broken:
                server.database.locks.release_all(session.spid)
        for watcher in server.watchers:
            watcher(self.application, text)
        function = "SQLMoreResults" if results else "SQLExecDirectW"
        if problem is None:
            return results, None
        if expired:
            return results, odbc_error("HYT00", "Query timeout expired", function)
        server.failed(self.application, problem.number)
        if problem.severity >= _FATAL_SEVERITY:
            self.sever()
        return results, server_error(problem, function)


class Cursor:
    """A cursor that holds all results."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._results: Iterator[ResultSet] = iter(())
        self._problem: pyodbc.Error | None = None
        self._rows: list[tuple[Any, ...]] = []
        self.description: list[tuple[Any, ...]] | None = None

    def setinputsizes(self, sizes: Sequence[Any]) -> None:
        """Texts go as nvarchar(max) in any case."""

    def execute(self, sql: str, *parameters: Any) -> Cursor:
        """Run a batch; the first result is at hand."""
        if len(parameters) == 1 and isinstance(parameters[0], list | tuple):
            parameters = tuple(parameters[0])
        results, self._problem = self._connection.run(sql, parameters)
        self._results = iter(results)
        self.nextset_now()
        return self

    def nextset_now(self) -> bool:
        """Take the next result set, if there is one."""
        result = next(self._results, None)
        if result is None:
            self.description, self._rows = None, []
            return False
        self.description = [
            (c.name, _PYTHON_TYPES.get(c.type.name, str), None, None, None, None, c.nullable) for c in result.columns
        ]
        converters = [self._converter(column) for column in result.columns]
        if any(converters):
            self._rows = [
                tuple(v if c is None or v is None else c(v) for c, v in zip(converters, row, strict=True)) for row in result.rows
            ]
        else:
            self._rows = [tuple(row) for row in result.rows]
        return True

    def _converter(self, column: Column) -> Callable[[Any], Any] | None:
        name = column.type.name
        given = self._connection._converters.get(_SQL_TYPE_TIMESTAMP) if name == "datetime2" else None
        if given is not None:
            return lambda value: given(_timestamp_bytes(value))
        return _VALUES.get(name)

    def nextset(self) -> bool:
        """Go to the next result set.

        Raises:
            pyodbc.Error: the batch failed behind the results so far.
        """
        if self.nextset_now():
            return True
        problem, self._problem = self._problem, None
        if problem is not None:
            raise problem
        return False

    def fetchall(self) -> list[tuple[Any, ...]]:
        """The rows that are left."""
        rows, self._rows = self._rows, []
        return rows

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row."""
        return self._rows.pop(0) if self._rows else None

    def fetchval(self) -> Any:
        """The first value of the next row."""
        row = self.fetchone()
        return None if row is None else row[0]

    def __iter__(self) -> Iterator[tuple[Any, ...]]:
        return iter(self.fetchall())

    def close(self) -> None:
        """Forget the results."""
        self._rows = []

    def __enter__(self) -> Cursor:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


__all__ = ["Connection", "SqlServer", "Strand", "numbered", "odbc_error", "server_error"]
