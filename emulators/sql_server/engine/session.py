"""One connection of a client: its state, and what the wire calls."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Protocol

from emulators.sql_server.catalogue.masking import masked
from emulators.sql_server.catalogue.objects import Table, View
from emulators.sql_server.catalogue.view_columns import SYSTEM_VIEWS
from emulators.sql_server.compiler.plans import DmlPlan, Plan
from emulators.sql_server.compiler.scope import Unit
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.engine.describing import describe
from emulators.sql_server.engine.interpreter import Interpreter
from emulators.sql_server.engine.options import option_bits
from emulators.sql_server.engine.session_functions import register_session_functions
from emulators.sql_server.engine.temporary_tables import TemporaryTables
from emulators.sql_server.objects import security
from emulators.sql_server.parser.batches import parse_query
from emulators.sql_server.procedures.system import call
from emulators.sql_server.storage.change_tracking import Cleanup
from emulators.sql_server.storage.frame import Frame
from emulators.sql_server.storage.session import Database
from emulators.sql_server.storage.store import Store
from emulators.sql_server.system_views.rows import ViewRows
from emulators.sql_server.values.datatypes import INT, STRINGS, encode_decimal, to_external, to_internal
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import Column, Event, Parameter, SqlError, SqlType
from emulators.sql_server.values.utf16 import outer
from emulators.sql_server.values.variants import external

VERSION = "Microsoft SQL Server 2022 (RTM-CU17) (emulator) - 16.0.4165.4 (X64) \n\tDeveloper Edition (64-bit) on Linux <X64>"
_VOLATILE_VIEWS = frozenset(
    {
        "sys.change_tracking_tables",
        "sys.sequences",
        "sys.dm_tran_commit_table",
        "sys.dm_exec_sessions",
        "sys.dm_exec_connections",
        "sys.dm_tran_locks",
        "sys.partitions",
        "sys.dm_db_partition_stats",
        "sys.identity_columns",
    }
)


_SETTINGS = ("database", "nocount", "xact_abort", "lock_timeout", "deadlock_priority")


class SessionOwner(Database, Protocol):
    """What a session uses of the database."""

    cleanup: Cleanup
    """Of change tracking."""

    def forget(self, session: Any) -> None:
        """The session is closed."""


def _just_commit(commit: Callable[[], None]) -> None:
    commit()


class Session(TemporaryTables):
    """One connection of a client. Used by one thread at a time, except :meth:`cancel`."""

    def __init__(self, owner: SessionOwner, spid: int, login: str, application: str, host: str, database: str) -> None:
        self.owner, self.spid, self.login = owner, spid, login
        self.application, self.host, self.database = application, host, database
        self.cancel_event = threading.Event()
        self.around_commit: Callable[[Callable[[], None]], None] = _just_commit
        self.encrypted = False
        self.on_end: Callable[[], None] = self.close
        self.return_value = 0
        self.finished_frame = Frame()
        self._spare: dict[int, Table] = {}
        self._user: tuple[int, str] | None = None
        self._reset_state()
        self.store = Store(owner, self)
        register_session_functions(self, self.store.connection, self.store.report)
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
        self.context: dict[str, tuple[str | None, bool]] = {}
        self._filled: dict[str, int] = {}
        self.redacting = False

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
                if self.is_administrator
                else next(
                    (p.name for p in catalogue.principals.values() if p.kind != "R" and p.login.lower() == self.login.lower()), ""
                )
            )
            self._user = (catalogue.version, name)
        return self._user[1]

    @property
    def other_database(self) -> str:
        """The current database, where it is not the one that has the tables, else ''."""
        return "" if self.database == self.owner.name else self.database

    @property
    def is_administrator(self) -> bool:
        """Whether the login may do what sysadmins may."""
        return self.login.lower() == "sa" or self.login.lower() in self.owner.passwords

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
        except GeneratorExit:  # the client has given the request up while it was being answered
            if self.xact_abort:
                self.store.abandon()
            raise
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
        self.cancel_event.clear()
        return describe(self, sql, parameters)

    def output_values(self) -> Mapping[str, tuple[Any, SqlType]]:
        """Variables of the last batch, as in results.py."""
        values = {}
        for name, kind in self.finished_frame.types.items():
            value = self.finished_frame.values[name]
            convert = external if kind.name == "sql_variant" else outer if kind.name in STRINGS else to_external(kind)
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

    def reset(self, keep_transaction: bool = False) -> None:
        """sp_reset_connection: as a new connection would be, but for the transaction if it is to be kept."""
        self.cancel_event.clear()
        if not keep_transaction:
            self.store.abandon()
        self.owner.locks.release_session(self.spid)
        for table in self.temporary.values():
            self.store.run(f"DROP TABLE IF EXISTS {table.storage}")
        filled = dict.fromkeys(self._filled, -1)  # of no version: they are filled anew
        self._reset_state()
        self._filled = filled
        if not self.in_transaction:
            self.store.isolation = "READ COMMITTED"
        self.store.lock_timeout_seconds = 30.0
        self.database = self._initial_database

    def settings(self) -> dict[str, Any]:
        """The database and the SET options."""
        own = {name: getattr(self, name) for name in _SETTINGS}
        store = (self.store.isolation, self.store.lock_timeout_seconds)
        return own | {"options": dict(self.options), "store": store}

    def restore(self, settings: dict[str, Any]) -> None:
        """What dynamic SQL has set ends with it."""
        for name in (*_SETTINGS, "options"):
            setattr(self, name, settings[name])
        self.store.isolation, self.store.lock_timeout_seconds = settings["store"]

    def cancel(self) -> None:
        """Stop what runs; from any thread."""
        self.cancel_event.set()
        self.store.interrupt()
        self.owner.locks.wake()

    def end(self) -> None:
        """Somebody else ends the connection, as WITH ROLLBACK IMMEDIATE does."""
        self.on_end()

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
        if plan.filtered:
            self.redacting = True
        if plan.masks or plan.doubts:
            self._refuse_doubts(plan)
        if plan.permissions and self.user.lower() != "dbo":
            security.require(self, plan.permissions)
        for key in plan.views:
            self._fill_view(key)
        if isinstance(plan, DmlPlan):
            return  # it reads under the write lock
        if plan.reads or plan.locking or self.store.isolation == "SNAPSHOT":
            self.store.reading(plan.reads, plan.locking)

    @contextmanager
    def drawing(self, sequences: Sequence[int]) -> Iterator[None]:
        """A statement draws from sequences: what was given last is known before and kept behind it, also by a rollback."""
        known = self.owner.identities
        for number in sequences:
            if number not in known:
                row = self.store.run('SELECT last FROM "$identity" WHERE object_id = ?', (number,)).fetchone()
                if row is not None:
                    known[number] = row[0]
        yield
        for number in sequences:
            if number in known:
                self.store.run('INSERT OR REPLACE INTO "$identity" VALUES (?, ?)', (number, known[number]))

    def last_drawn(self, number: int) -> int | None:
        """What a sequence gave last."""
        known = self.owner.identities.get(number)
        row = self.store.run('SELECT last FROM "$identity" WHERE object_id = ?', (number,)).fetchone() if known is None else None
        return row[0] if row is not None else known

    def _refuse_doubts(self, plan: Plan) -> None:
        """Raises SqlError 40517 where it is not known how the real server would mask a value."""
        for mask in plan.doubts:
            if not security.unmasks(self, mask):
                raise unsupported(f"{mask.doubt} without UNMASK")
        if any(not security.unmasks(self, mask) for _, mask, _ in plan.masks):
            self.redacting = True

    def masked_rows(self, plan: Plan, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows as the user reads them."""
        hidden = [(place, mask.function, kind) for place, mask, kind in plan.masks if not security.unmasks(self, mask)]
        if not hidden:
            return rows
        found = []
        for row in rows:
            values = list(row)
            for place, function, kind in hidden:
                values[place] = masked(function, values[place], kind)
            found.append(tuple(values))
        return found

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
