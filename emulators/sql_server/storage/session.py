"""The database, a session and its interpreter, as the rooms below the engine see them.

The engine has the classes; the rooms below take whatever has these attributes, so that no arrow points up.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol

from emulators.clock import Clock
from emulators.sql_server.catalogue.objects import Table, View
from emulators.sql_server.compiler.plans import Plan
from emulators.sql_server.compiler.scope import Unit
from emulators.sql_server.parser.tree import Statement
from emulators.sql_server.storage.frame import Frame
from emulators.sql_server.storage.store import SharedDatabase, Store, StoreSession
from emulators.sql_server.values.results import Column, Event, Parameter, SqlError, SqlType

Bindings = list[tuple[str, Any]]
"""What each parameter of a SQLite statement stands for: its kind, and a name or a value."""


class Database(SharedDatabase, Protocol):
    """What all sessions share."""

    clock: Clock
    passwords: dict[str, str]
    """Logins that may connect as ``sa`` does, by lower-case name."""

    def sessions(self) -> Sequence[Session]:
        """All open sessions."""

    def database_named(self, name: str) -> str | None:
        """The proper spelling of a database's name, or None."""

    def local_text(self) -> str:
        """The present local time."""

    def now(self, kind: str) -> str:
        """The present moment in the inner form."""

    def parse(self, sql: str) -> list[Statement]:
        """The statements of a batch."""


class Interpreter(Protocol):
    """What runs the statements of a session."""

    frame: Frame
    handled_error: SqlError | None
    """The error that the innermost CATCH block handles."""
    last_error: int
    nesting: int
    return_value: int

    @property
    def session(self) -> Session:
        """Whose statements it runs."""

    def batch(self, sql: str, parameters: dict[str, Parameter], dynamic: bool = False) -> Iterator[Event | SqlError]:
        """Run a batch with its own variables."""

    def unit(self) -> Unit:
        """What a statement may see now."""


class Session(StoreSession, Protocol):
    """One connection of a client."""

    login: str
    application: str
    host: str
    database: str
    """The name of the database that it uses."""
    encrypted: bool
    cancel_event: threading.Event
    finished_frame: Frame
    nocount: bool
    xact_abort: bool
    row_count: int
    redacting: bool
    """Errors of the present statement must name no value."""
    lock_timeout: int
    options: dict[str, str | int]
    identity_insert: int
    """The object_id of the table with IDENTITY_INSERT ON, or 0."""
    scope_identity: str | None
    temporary: dict[str, Table]
    """#tables and @tables, by lower-case name with its sign."""
    temporary_key: int
    context: dict[str, tuple[str | None, bool]]
    """Of SESSION_CONTEXT: values, and whether they are read-only, by key in lower case."""

    @property
    def owner(self) -> Database:
        """The database."""

    def describe(self, sql: str, parameters: Mapping[str, SqlType]) -> list[Column]:
        """The columns of the first result of a batch, without running it."""

    @property
    def store(self) -> Store:
        """Its connection to the file."""

    @property
    def interpreter(self) -> Interpreter:
        """What runs its statements."""

    @property
    def user(self) -> str:
        """The database user of the login; '' when there is none."""

    @property
    def other_database(self) -> str:
        """The current database, where it is not the one that has the tables, else ''."""

    @property
    def is_administrator(self) -> bool:
        """Whether the login may do what sysadmins may."""

    @property
    def default_schema(self) -> str:
        """The schema of names without one."""

    def execute(self, sql: str, parameters: Mapping[str, Parameter] | None = None) -> Iterator[Event | SqlError]:
        """Run a batch."""

    def last_drawn(self, number: int) -> int | None:
        """What a sequence gave last."""

    def drawing(self, sequences: Sequence[int]) -> AbstractContextManager[None]:
        """A statement draws from sequences; the caller holds the write lock."""

    def prepare(self, plan: Plan) -> None:
        """Before a plan runs: permissions, system views, isolation."""

    def masked_rows(self, plan: Plan, rows: list[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
        """The rows of a plan as the user reads them."""

    def prepare_permissions(self, needed: list[tuple[str, int]]) -> None:
        """Raises SqlError 229 when the user lacks one of the permissions."""

    def set_variable(self, name: str, value: Any) -> None:
        """UPDATE … SET @variable."""

    def view_columns(self, view: View) -> list[Column]:
        """The columns of a view."""

    def add_temporary(self, name: str, table: Table) -> None:
        """Make a #table or @table known."""

    def remove_temporary(self, name: str) -> None:
        """Forget a #table or @table."""

    def hide_table_variables(self) -> dict[str, Table]:
        """Dynamic SQL does not see the table variables of its caller."""

    def drop_table_variables(self, names: list[str], hidden: dict[str, Table]) -> None:
        """The end of the batch that declared them."""

    def settings(self) -> dict[str, Any]:
        """The database and the SET options."""

    def restore(self, settings: dict[str, Any]) -> None:
        """What dynamic SQL has set ends with it."""

    def rollback(self, name: str | None = None) -> None:
        """Roll back, or back to a savepoint."""

    def end(self) -> None:
        """Somebody else ends the connection."""

    def reset(self, keep_transaction: bool = False) -> None:
        """Make it as a new connection would be."""
