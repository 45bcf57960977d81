"""One session's connection to the SQLite file: transactions, locks, errors, and the catalogue it sees.

A T-SQL transaction takes the write lock of the database at its first write and keeps it to its end; reads outside of that see the
newest committed rows, statement by statement (READ COMMITTED with row versions). SNAPSHOT transactions read from one snapshot.
"""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from emulators.sql_server.catalogue.model import Catalogue
from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.runtime.registration import register
from emulators.sql_server.storage.locks import WRITE, Deadlock, LockManager, LockTimeout, Owner
from emulators.sql_server.values.errors import LONE_SURROGATE, sql_error, unsupported
from emulators.sql_server.values.results import SqlError

DEFAULT_LOCK_TIMEOUT_SECONDS = 30.0


class SharedDatabase(Protocol):
    """What a store uses of the database."""

    name: str
    locks: LockManager
    catalogue: Catalogue
    """As committed."""
    writes: dict[int, int]
    """How often each table has changed, by object_id."""
    identities: dict[int, int]
    """The last identity value of each table, by object_id."""

    def connect(self) -> sqlite3.Connection:
        """A connection to the file."""

    def utc_text(self) -> str:
        """The present moment."""

    def count_writes(self, tables: set[int]) -> None:
        """Note that tables change."""


class StoreSession(Owner, Protocol):
    """What a store, and who writes through it, uses of its session."""

    around_commit: Callable[[Callable[[], None]], None]
    """Called with the function that commits."""
    temporary_identities: dict[int, int]

    def keep_table_variables(self) -> list[tuple[Table, list[tuple[Any, ...]]]]:
        """The rows of table variables, which outlive a rollback."""

    def restore_table_variables(self, kept: list[tuple[Table, list[tuple[Any, ...]]]]) -> None:
        """Put them back after a rollback."""

    def parameter(self, kind: str, value: Any) -> Any:
        """The value of one parameter of a SQLite statement."""

    def parameters(self, bindings: list[tuple[str, Any]]) -> list[Any]:
        """The values of all its parameters."""

    def set_identity(self, number: int) -> None:
        """What SCOPE_IDENTITY() gives next."""


class Store:
    """The SQLite side of a session."""

    def __init__(self, database: SharedDatabase, session: StoreSession) -> None:
        self.database = database
        self.session = session
        self.connection = database.connect()
        self.pending: SqlError | None = None
        self.count = 0
        """@@TRANCOUNT"""
        self.name = ""
        """Of the outermost transaction."""
        self.doomed = False
        self.isolation = "READ COMMITTED"
        self.lock_timeout_seconds: float | None = DEFAULT_LOCK_TIMEOUT_SECONDS
        self.sqlite_state = ""
        """'' none, 'read' a snapshot is open, 'write' the write transaction is open."""
        self.savepoints: list[tuple[str, bool]] = []
        self.own_catalogue: Catalogue | None = None
        self.tracked_version: int | None = None
        self.first_reads: dict[int, int] = {}
        self.written: set[int] = set()
        self.last_end = ""
        self.altering = False
        """ALTER DATABASE runs, which may write to a read-only database."""
        self._reading = False
        self._interruptible = threading.Lock()
        register(self.connection, self.report)

    def report(self, error: SqlError) -> None:
        """Keep the error of a function: SQLite only says that there was one."""
        self.pending = error

    # --- running SQL ---

    def run(self, sql: str, parameters: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run one SQLite statement; errors of functions come out as they were raised."""
        try:
            return self.connection.execute(sql, parameters)
        except sqlite3.Error as error:
            raise self.translate(error) from None

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows of a query, which :meth:`interrupt` may end. Raises SqlError 3617 and others."""
        with self._interruptible:
            self.check_cancelled()
            self._reading = True
        try:
            return self.connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise self.translate(error) from None
        finally:
            with self._interruptible:
                self._reading = False

    def interrupt(self) -> None:
        """End the query that runs. Any thread. A write is let through: SQLite would undo the whole transaction with it."""
        with self._interruptible:
            if self._reading:
                self.connection.interrupt()

    def check_cancelled(self) -> None:
        """Raises SqlError 3617 when the client has given the request up."""
        if self.session.cancelled:
            raise sql_error(3617)

    def translate(self, error: sqlite3.Error) -> Exception:
        """A SqlError for what SQLite reported; constraint errors go through for the writer to explain."""
        pending, self.pending = self.pending, None
        if pending is not None:
            return pending
        if isinstance(error, sqlite3.IntegrityError):
            return error
        text = str(error)
        if "interrupted" in text:
            return sql_error(3617)
        if "integer overflow" in text:
            return sql_error(8115, "expression", "bigint")
        if "parser stack overflow" in text or "Expression tree is too large" in text:
            return sql_error(191)
        if "no such table" in text:
            return sql_error(208, text.rpartition(" ")[2])
        if "UTF-8" in text or "user-defined function raised" in text:  # text in or out that is none; other failures are reported
            return unsupported(LONE_SURROGATE)
        if "locked" in text or "busy" in text:
            return sql_error(1222)
        return SqlError(8630, f"Internal Query Processor Error: {text}", 17)

    # --- the catalogue ---

    @property
    def catalogue(self) -> Catalogue:
        """What this session sees: its own uncommitted changes first."""
        return self.own_catalogue or self.database.catalogue

    def change_catalogue(self) -> Catalogue:
        """The catalogue to change; the caller is inside :meth:`writing`."""
        if self.own_catalogue is None:
            self.own_catalogue = self.database.catalogue.copy()
        return self.own_catalogue

    def save_catalogue(self) -> None:
        """Write the changed catalogue; call once at the end of a DDL statement."""
        assert self.own_catalogue is not None
        self.own_catalogue.touch()
        self.own_catalogue.save(self.connection)

    # --- transactions ---

    def begin(self, name: str = "") -> None:
        """BEGIN TRANSACTION: takes no lock."""
        self.count += 1
        if self.count == 1:
            self.name = name.lower()
            self.savepoints.clear()
            self.first_reads.clear()

    def commit(self) -> None:
        """COMMIT. Raises SqlError 3902, 3930."""
        if self.count == 0:
            raise sql_error(3902)
        if self.doomed:
            raise sql_error(3930)
        if self.count == 1:
            self.session.around_commit(self._commit_sqlite)
            self._ended("commit")
        else:
            self.count -= 1

    def rollback(self) -> None:
        """ROLLBACK of everything. Raises SqlError 3903."""
        if self.count == 0:
            raise sql_error(3903)
        self.abandon()

    def abandon(self) -> None:
        """Undo the transaction, if there is one."""
        open_before = self.count > 0
        self._rollback_sqlite()
        if open_before:
            self._ended("rollback")

    def _ended(self, how: str) -> None:
        self.count = 0
        self.doomed = False
        self.savepoints.clear()
        self.first_reads.clear()
        self.last_end = how
        self.database.locks.release_transaction(self.session.spid)

    def _commit_sqlite(self) -> None:
        if not self.sqlite_state:
            return
        if self.tracked_version is not None:
            self.run("UPDATE \"$state\" SET value = ? WHERE key = 'version'", (self.tracked_version,))
            self.run("UPDATE \"$state\" SET value = 0 WHERE key = 'tracking'")
            self.run('INSERT INTO "$commits" VALUES (?, ?)', (self.tracked_version, self.database.utc_text()))
        self.database.count_writes(self.written)
        self.run("COMMIT")
        self.database.count_writes(self.written)
        if self.own_catalogue is not None:
            self.database.catalogue = self.own_catalogue
        self._closed()

    def _rollback_sqlite(self) -> None:
        if not self.sqlite_state:
            return
        kept = self.session.keep_table_variables()
        if self.connection.in_transaction:
            self.connection.execute("ROLLBACK")
        self._closed()
        self.session.restore_table_variables(kept)

    def _closed(self) -> None:
        was_writing = self.sqlite_state == "write"
        self.sqlite_state = ""
        self.own_catalogue = None
        self.tracked_version = None
        self.written.clear()
        if was_writing:
            self.database.locks.release(self.session.spid, WRITE)

    def save(self, name: str) -> None:
        """SAVE TRANSACTION."""
        if self.count == 0:
            raise SqlError(628, "Cannot issue SAVE TRANSACTION when there is no active transaction.")
        real = self.sqlite_state == "write"
        if real:
            self.run(f'SAVEPOINT "p{len(self.savepoints)}"')
        self.savepoints.append((name.lower(), real))

    def rollback_to(self, name: str) -> bool:
        """ROLLBACK to a savepoint; False when there is none of that name. Raises SqlError 3931."""
        for place in range(len(self.savepoints) - 1, -1, -1):
            if self.savepoints[place][0] == name.lower():
                break
        else:
            return False
        if self.doomed:
            raise sql_error(3931)
        real = self.savepoints[place][1]
        if real:
            kept = self.session.keep_table_variables()
            self.run(f'ROLLBACK TO "p{place}"')
            self.refresh_after_rollback()
            self.session.restore_table_variables(kept)
        elif self.sqlite_state == "write":
            self._rollback_sqlite()
        del self.savepoints[place + 1 :]
        return True

    def refresh_after_rollback(self) -> None:
        """After a partial rollback: what was remembered of the transaction may be undone."""
        if self.own_catalogue is not None:
            self.own_catalogue = Catalogue.load(self.connection)
        if self.tracked_version is not None:
            left = self.run("SELECT value FROM \"$state\" WHERE key = 'tracking'").fetchone()
            self.tracked_version = self.tracked_version if left[0] else None

    # --- reading and writing ---

    def reading(self, tables: set[int], locking: bool) -> None:
        """Before a query: the isolation level's demands."""
        if self.count == 0:
            return
        if self.isolation == "SNAPSHOT" and not self.sqlite_state:
            if not self.catalogue.options.snapshot_isolation:
                raise sql_error(3952, self.database.name)
            self.run("BEGIN")
            self.run('SELECT value FROM "$state"').fetchone()
            self.sqlite_state = "read"
        elif locking or (self.isolation == "SERIALIZABLE" and tables):
            self.ensure_write()
        elif self.isolation == "REPEATABLE READ" and self.sqlite_state != "write":
            for table in tables:
                self.first_reads.setdefault(table, self.database.writes.get(table, 0))

    def ensure_write(self) -> None:
        """Take the write lock and open the write transaction. Raises SqlError 1205, 1222, 3617, 3960."""
        if self.sqlite_state == "write":
            return
        if self.doomed:
            raise sql_error(3930)
        try:
            self.database.locks.acquire(self.session, WRITE, "Exclusive", self.lock_timeout_seconds)
        except LockTimeout:
            raise sql_error(1222) from None
        except Deadlock:
            raise sql_error(1205, self.session.spid) from None
        try:
            if self.sqlite_state == "read":
                self.connection.execute('DELETE FROM "$probe" WHERE 0')
            else:
                self.connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            self.database.locks.release(self.session.spid, WRITE)
            if self.sqlite_state == "read" and "SNAPSHOT" in getattr(error, "sqlite_errorname", ""):
                raise sql_error(3960, "", self.database.name) from None
            raise self.translate(error) from None
        self.sqlite_state = "write"

    @contextlib.contextmanager
    def writing(self, table: Table | None = None) -> Iterator[None]:
        """One statement that writes: all or nothing; commits by itself outside a transaction."""
        if self.doomed:
            raise sql_error(3930)
        if self.catalogue.options.read_only and not self.altering and (table is None or not table.temporary):
            raise sql_error(3906, self.database.name)
        if table is not None and table.variable:
            yield from self._writing_variable()
            return
        self.ensure_write()
        if table is not None and not table.temporary:
            self._check_repeatable(table)
            self.written.add(table.object_id)
        automatic = self.count == 0
        if not automatic:
            self.run('SAVEPOINT "statement"')
        try:
            yield
        except BaseException:
            if automatic:
                self._rollback_sqlite()
                self.database.locks.release_transaction(self.session.spid)
            elif self.connection.in_transaction:
                self.connection.execute('ROLLBACK TO "statement"')
                self.connection.execute('RELEASE "statement"')
                self.refresh_after_rollback()
            raise
        if automatic:
            try:
                self.session.around_commit(self._commit_sqlite)
            except BaseException:
                self._rollback_sqlite()
                raise
        else:
            self.run('RELEASE "statement"')

    def _writing_variable(self) -> Iterator[None]:
        """A table variable is no part of the transaction and needs no lock."""
        self.run('SAVEPOINT "variable"')
        try:
            yield
        except BaseException:
            self.connection.execute('ROLLBACK TO "variable"')
            raise
        finally:
            self.connection.execute('RELEASE "variable"')

    def _check_repeatable(self, table: Table) -> None:
        """REPEATABLE READ: what was read of a table that is now written must not have changed since.

        The real server would have held locks and, with two such transactions, chosen a deadlock victim.
        """
        seen = self.first_reads.get(table.object_id)
        if (
            seen is not None
            and self.isolation == "REPEATABLE READ"
            and table.object_id not in self.written
            and self.database.writes.get(table.object_id, 0) != seen
        ):
            raise sql_error(1205, self.session.spid)

    def next_version(self) -> int:
        """The version that this transaction's tracked changes get."""
        if self.tracked_version is None:
            self.tracked_version = self.run("SELECT value + 1 FROM \"$state\" WHERE key = 'version'").fetchone()[0]
            self.run("UPDATE \"$state\" SET value = 1 WHERE key = 'tracking'")
        assert self.tracked_version is not None
        return self.tracked_version

    def close(self) -> None:
        """Undo what is open and close the connection."""
        with contextlib.suppress(sqlite3.Error):
            self.abandon()
        self.connection.close()
