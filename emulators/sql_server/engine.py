"""The database and its sessions: what the wire talks to.

Where it differs from the real server, on purpose:

* one writer at a time for the whole database: a transaction holds the write lock from its first write to its end. Readers never
  wait and see committed rows, statement by statement; NOLOCK sees no uncommitted rows, READPAST skips none. REPEATABLE READ
  takes no locks: a table that was read, then overtaken, then written gives 1205. SERIALIZABLE and UPDLOCK, XLOCK, HOLDLOCK,
  TABLOCKX take the write lock.
* a lock is waited for 30 s, then 1222 (the real server waits for ever); SET LOCK_TIMEOUT and sp_getapplock count real time.
* errors of names (207, 22105, …) come when the statement is reached, not before the batch starts.
* strings sort by code point without case, uniqueidentifiers as text; varchar has code page 1252.
* CHANGETABLE(VERSION …) gives no row for a key that is neither in the table nor in the retained history.
* procedures, functions, triggers, cursors, sequences, synonyms, FORMAT, PIVOT, GROUPING SETS, TOP PERCENT and WITH TIES, FOR
  XML, half of a surrogate pair and what else is not here are refused by name with error 40517.
"""

from __future__ import annotations

import itertools
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import security
from .catalogue import Catalogue, Table, View
from .catalogue_columns import SYSTEM_VIEWS
from .catalogue_views import ViewRows
from .change_tracking import Cleanup
from .compile_dml import StatementCompiler
from .compiler import Unit
from .datatypes import INT, encode_decimal, to_external, to_internal
from .datetimes import instant_text, make, ticks_of
from .describing import describe
from .errors import sql_error
from .interpreter import Frame, Interpreter
from .locks import LockManager
from .options import option_bits
from .parser import parse_batch, parse_query
from .plans import DmlPlan, Plan
from .results import Column, Event, Parameter, SqlError, SqlType
from .store import Store
from .syntax import Statement
from .system_procedures import call

if TYPE_CHECKING:
    from ..clock import Clock

from .session_tables import SessionTables

VERSION = "Microsoft SQL Server 2022 (RTM-CU17) (stand-in) - 16.0.4165.4 (X64) \n\tDeveloper Edition (64-bit) on Linux <X64>"
_MAX_BATCHES = 2000
_MAX_CACHED_TEXT = 200_000
_VOLATILE_VIEWS = frozenset(
    {
        "sys.change_tracking_tables",
        "sys.dm_tran_commit_table",
        "sys.dm_exec_sessions",
        "sys.dm_exec_connections",
        "sys.dm_tran_locks",
        "sys.partitions",
        "sys.dm_db_partition_stats",
        "sys.identity_columns",
    }
)

_SCHEMA = """
CREATE TABLE IF NOT EXISTS "$state" (key TEXT PRIMARY KEY, value INTEGER) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "$catalogue" (kind TEXT, id TEXT, body TEXT, PRIMARY KEY (kind, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS "$identity" (object_id INTEGER PRIMARY KEY, last INTEGER);
CREATE TABLE IF NOT EXISTS "$tracking"
    (object_id INTEGER PRIMARY KEY, min_valid INTEGER, begin_version INTEGER, cleanup_version INTEGER);
CREATE TABLE IF NOT EXISTS "$commits" (version INTEGER PRIMARY KEY, time TEXT);
CREATE INDEX IF NOT EXISTS "$commits_time" ON "$commits" (time);
CREATE TABLE IF NOT EXISTS "$probe" (x);
"""


class Database:
    """One SQLite file that stands for the server's database; ``master`` and ``tempdb`` exist by name."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        name: str = "rowpost",
        utc_offset_minutes: int = 0,
        passwords: Mapping[str, str] | None = None,
    ) -> None:
        self.path, self.clock, self.name = path, clock, name
        self.offset = timedelta(minutes=utc_offset_minutes)
        self.passwords = {login.lower(): password for login, password in (passwords or {}).items()}
        self.locks = LockManager()
        self.writes: dict[int, int] = {}
        self.identities: dict[int, int] = {}
        self.cleanup = Cleanup(self)
        self._lock = threading.Lock()
        self._spids = itertools.count(51)
        self._sessions: dict[int, Session] = {}
        self._batches: OrderedDict[str, list[Statement]] = OrderedDict()
        self._keeper = self.connect()
        self.catalogue = self._initialize()

    def _initialize(self) -> Catalogue:
        connection = self._keeper
        connection.execute("BEGIN IMMEDIATE")
        for statement in _SCHEMA.split(";\n"):
            connection.execute(statement)
        for key, value in (("version", 0), ("dbts", 2000), ("tracking", 0)):
            connection.execute('INSERT OR IGNORE INTO "$state" VALUES (?, ?)', (key, value))
        if connection.execute('SELECT COUNT(*) FROM "$catalogue"').fetchone()[0] == 0:
            Catalogue.fresh(self.local_text()).save(connection)
        catalogue = Catalogue.load(connection)
        connection.execute("COMMIT")
        return catalogue

    def connect(self) -> sqlite3.Connection:
        """A connection to the file. Killed at any instant, the file keeps what was committed: WAL, and NORMAL suffices while the
        operating system lives on."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False, cached_statements=1024, timeout=30)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = OFF")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA recursive_triggers = OFF")
        connection.execute("PRAGMA cache_size = -8000")
        return connection

    # --- sessions ---

    def authenticate(self, user: str, password: str) -> bool:
        """Whether the login may connect."""
        known = self.passwords.get(user.lower())
        if known is not None:
            return known == password
        login = self.catalogue.logins.get(user.lower())
        return login is not None and bool(login.get("enabled", True)) and security.check_password(login, password)

    def database_named(self, name: str) -> str | None:
        """The proper spelling of a database's name, or None."""
        return {"master": "master", "tempdb": "tempdb", self.name.lower(): self.name}.get(name.lower())

    def open_session(self, user: str, application: str, host: str, database: str | None) -> Session:
        """Raises SqlError 4060 for an unknown database, or when the login has no user in it."""
        name = self.database_named(database) if database else self.name
        if name is None:
            raise sql_error(4060, database)
        with self._lock:
            spid = next(self._spids)
        session = Session(self, spid, user, application, host, name)
        self._sessions[spid] = session
        return session

    def forget(self, session: Session) -> None:
        self._sessions.pop(session.spid, None)

    def sessions(self) -> list[Session]:
        """All open sessions."""
        return sorted(self._sessions.values(), key=lambda session: session.spid)

    def close(self) -> None:
        """Close all sessions and the file."""
        for session in self.sessions():
            session.close()
        self._keeper.close()

    # --- time ---

    def utc_text(self) -> str:
        return instant_text(self.clock.now())

    def local_text(self) -> str:
        return instant_text(self.clock.now() + self.offset)

    def now(self, kind: str) -> str:
        """The present moment in the inner form: local, utc, each with 3 for datetime's precision, or offset."""
        if kind == "offset":
            minutes = int(self.offset.total_seconds() // 60)
            return f"{self.utc_text()} {'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
        text = self.local_text() if kind.startswith("local") else self.utc_text()
        if kind.endswith("3"):
            return make(ticks_of(text), None, "datetime", 3)
        return text

    # --- shared by sessions ---

    def parse(self, sql: str) -> list[Statement]:
        """The statements of a batch; kept, since clients repeat themselves."""
        with self._lock:
            found = self._batches.get(sql)
            if found is not None:
                self._batches.move_to_end(sql)
                return found
        statements = parse_batch(sql)
        if len(sql) <= _MAX_CACHED_TEXT:
            with self._lock:
                self._batches[sql] = statements
                if len(self._batches) > _MAX_BATCHES:
                    self._batches.popitem(last=False)
        return statements

    def count_writes(self, tables: set[int]) -> None:
        """Note that tables change; done before and after each commit, under the write lock."""
        for table in tables:
            self.writes[table] = self.writes.get(table, 0) + 1


def _just_commit(commit: Callable[[], None]) -> None:
    commit()


class Session(SessionTables):
    """One connection of a client. Used by one thread at a time, except :meth:`cancel`."""

    def __init__(self, owner: Database, spid: int, login: str, application: str, host: str, database: str) -> None:
        self.owner, self.spid, self.login = owner, spid, login
        self.application, self.host, self.database = application, host, database
        self.cancel_event = threading.Event()
        self.around_commit: Callable[[Callable[[], None]], None] = _just_commit
        self.encrypted = False
        self.return_value = 0
        self.finished_frame = Frame()
        self.int_type = INT
        self._user: tuple[int, str] | None = None
        self._reset_state()
        self.store = Store(owner, self)
        self.interpreter = Interpreter(self)
        self._initial_database = database
        if login.lower() != "sa" and self.user == "":
            self.store.close()
            raise sql_error(4060, database)

    def _reset_state(self) -> None:
        self.nocount = self.xact_abort = False
        self.row_count = 0
        self.lock_timeout = -1
        self.deadlock_priority = 0
        self.options: dict[str, str | int] = {}
        self.identity_insert = 0
        self.scope_identity: str | None = None
        self.temporary: dict[str, Table] = {}
        self.temporary_key = 0
        self.temporary_identities: dict[int, int] = {}
        self.context: dict[str, Any] = {}
        self._filled: dict[str, int] = {}

    # --- state ---

    @property
    def in_transaction(self) -> bool:
        """@@TRANCOUNT > 0"""
        return self.store.count > 0

    @property
    def last_transaction_end(self) -> str:
        """How the last outermost transaction ended: commit, rollback, or '' if none has."""
        return self.store.last_end

    @property
    def cancelled(self) -> bool:
        return self.cancel_event.is_set()

    @property
    def user(self) -> str:
        """The database user of the login: dbo for sa; '' when there is none."""
        catalogue = self.store.catalogue
        if self._user is None or self._user[0] != catalogue.version:
            name = (
                "dbo"
                if self.login.lower() == "sa" or self.login.lower() in self.owner.passwords
                else next(
                    (p.name for p in catalogue.principals.values() if p.kind != "R" and p.login.lower() == self.login.lower()), ""
                )
            )
            self._user = (catalogue.version, name)
        return self._user[1]

    @property
    def default_schema(self) -> str:
        principal = self.store.catalogue.principals.get(self.user.lower())
        return principal.default_schema if principal else "dbo"

    # --- what the wire calls ---

    def execute(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> Iterator[Event | SqlError]:
        """Run a batch. Raises SqlError when an error ends it; errors after which it goes on are yielded."""
        self.cancel_event.clear()
        self._tidy()
        try:
            yield from self.interpreter.batch(sql, dict(parameters or {}))
        except SqlError as error:
            if error.number == 3617 and self.xact_abort:
                self.store.abandon()
            if self.store.doomed:
                self.store.abandon()
            raise
        if self.store.doomed:
            self.store.abandon()
            raise sql_error(3998)

    def call(self, procedure: str, arguments: Sequence[tuple[str, Parameter]]) -> Iterator[Event | SqlError]:
        """Run a system procedure. Raises SqlError 2812 if it is unknown."""
        self.cancel_event.clear()
        self._tidy()
        name = procedure.rpartition(".")[2].strip("[]").lower()
        given = [
            (argument.lstrip("@").lower(), to_internal(parameter.value, parameter.type), parameter.type, "")
            for argument, parameter in arguments
        ]
        self.interpreter.return_value = 0
        try:
            yield from call(self.interpreter, name, procedure, given)
        except SqlError as error:
            if self.store.count and (self.xact_abort or error.number == 1205):
                self.store.abandon()
            raise
        finally:
            self.return_value = self.interpreter.return_value

    def describe(self, sql: str, parameters: Mapping[str, SqlType]) -> list[Column]:
        """The columns of the first result of a batch, without running it."""
        return describe(self, sql, parameters)

    def output_values(self) -> Mapping[str, tuple[Any, SqlType]]:
        """Variables of the last batch, as in results.py."""
        values = {}
        for name, kind in self.finished_frame.types.items():
            value = self.finished_frame.values[name]
            convert = to_external(kind)
            values[name] = (convert(value) if convert is not None and value is not None else value, kind)
        return values

    def begin(self) -> None:
        """BEGIN of the transaction manager; takes no lock."""
        self.store.begin()

    def commit(self) -> None:
        """Raises SqlError 3902, 3930."""
        self.store.commit()

    def rollback(self, name: str | None = None) -> None:
        """Raises SqlError 3903, 6401."""
        if name and self.store.count and self.store.rollback_to(name):
            return
        if name and self.store.count and name.lower() != self.store.name:
            raise sql_error(6401, name)
        self.store.rollback()

    def save(self, name: str) -> None:
        """SAVE of the transaction manager."""
        self.store.save(name)

    def reset(self) -> None:
        """sp_reset_connection: as a new connection would be."""
        self.store.abandon()
        self.owner.locks.release_all(self.spid)
        for table in self.temporary.values():
            self.store.run(f"DROP TABLE IF EXISTS {table.storage}")
        for key in self._filled:
            self.store.run(f'DROP TABLE IF EXISTS temp."{key}"')
        self._reset_state()
        self.store.isolation = "READ COMMITTED"
        self.store.lock_timeout_seconds = 30.0
        self.database = self._initial_database

    def cancel(self) -> None:
        """Stop what runs; from any thread."""
        self.cancel_event.set()
        self.store.connection.interrupt()
        self.owner.locks.wake()

    def close(self) -> None:
        """End the connection: what is not committed is undone."""
        self.store.close()
        self.owner.locks.release_all(self.spid)
        self.owner.forget(self)

    def _tidy(self) -> None:
        if self.store.count == 0 and not self.store.sqlite_state:
            self.owner.cleanup.maybe(self)

    # --- what the interpreter and the writer call ---

    def prepare(self, plan: Plan) -> None:
        """Before a plan runs: permissions, system views, isolation."""
        if plan.permissions and self.user.lower() != "dbo":
            security.require(self, plan.permissions)
        for key in plan.views:
            self._fill_view(key)
        if isinstance(plan, DmlPlan):
            return  # it reads under the write lock
        if plan.reads or plan.locking or self.store.isolation == "SNAPSHOT":
            self.store.reading(plan.reads, plan.locking)

    def prepare_permissions(self, needed: list[tuple[str, int]]) -> None:
        security.require(self, needed)

    def _fill_view(self, key: str) -> None:
        """Put the rows of a system view into its temporary table."""
        version = self.store.catalogue.version
        if self._filled.get(key) == version and key not in _VOLATILE_VIEWS:
            return
        columns = SYSTEM_VIEWS[key]
        listed = ", ".join(
            f'"{name}"{" COLLATE CI" if kind.name in ("nvarchar", "char", "nchar", "varchar") else ""}' for name, kind in columns
        )
        if key not in self._filled:
            self.store.run(f'CREATE TABLE IF NOT EXISTS temp."{key}" ({listed})')
        rows = ViewRows(self).rows(key)
        self.store.run(f'DELETE FROM temp."{key}"')
        self.store.connection.executemany(f'INSERT INTO temp."{key}" VALUES ({", ".join("?" * len(columns))})', rows)
        if self.store.connection.in_transaction:
            self._filled.pop(key, None)  # a rollback would take the rows away again
        else:
            self._filled[key] = version

    def view_columns(self, view: View) -> list[Column]:
        """The columns of a view."""
        compiler = StatementCompiler(Unit(self.store.catalogue, {}, {}, self.owner.name))
        try:
            compiled = compiler.compile_query(parse_query(view.text), None)
        except SqlError:
            return []
        names = view.columns or [name for name, _ in compiled.columns]
        return [Column(name, typed.type or INT, typed.nullable) for name, (_, typed) in zip(names, compiled.columns, strict=True)]

    def parameters(self, bindings: list[tuple[str, Any]]) -> list[Any]:
        """Values for the parameters of a SQLite statement."""
        values = self.interpreter.frame.values
        return [values[value] if kind == "variable" else self.parameter(kind, value) for kind, value in bindings]

    def parameter(self, kind: str, value: Any) -> Any:
        """One parameter: a variable, a constant, the time, or a global."""
        if kind == "variable":
            return self.interpreter.frame.values[value]
        if kind == "constant":
            return value
        if kind == "now":
            return self.owner.now(value)
        return self._global(value)

    def _global(self, name: str) -> Any:
        match name:
            case "rowcount":
                return self.row_count
            case "trancount":
                return self.store.count
            case "error":
                return self.interpreter.last_error
            case "spid" | "procid":
                return self.spid if name == "spid" else 0
            case "version":
                return VERSION
            case "identity":
                return self.scope_identity
            case "servername" | "servicename":
                return "rowpost-sql" if name == "servername" else "MSSQLSERVER"
            case "options":
                return option_bits(self)
            case "textsize":
                return self.options.get("TEXTSIZE", -1)
            case "lock_timeout":
                return self.lock_timeout
            case "nestlevel":
                return max(0, self.interpreter.nesting - 1)
            case "dbts":
                return self.store.run("SELECT value FROM \"$state\" WHERE key = 'dbts'").fetchone()[0].to_bytes(8, "big")
        return {
            "max_precision": 38,
            "language": "us_english",
            "langid": 0,
            "datefirst": 7,
            "microsoftversion": 0x10001045,
            "max_connections": 32767,
        }[name]

    def set_variable(self, name: str, value: Any) -> None:
        """UPDATE … SET @variable."""
        self.interpreter.frame.values[name] = value

    def set_identity(self, number: int) -> None:
        """What SCOPE_IDENTITY() gives next."""
        self.scope_identity = encode_decimal(Decimal(number))
