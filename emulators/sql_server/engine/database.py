"""The database: one SQLite file, its clock, and its open sessions."""

from __future__ import annotations

import contextlib
import itertools
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from emulators.clock import Clock
from emulators.sql_server.catalogue.model import Catalogue
from emulators.sql_server.engine.session import Session
from emulators.sql_server.objects import security
from emulators.sql_server.parser.batches import parse_batch
from emulators.sql_server.parser.tree import Statement
from emulators.sql_server.storage.change_tracking import Cleanup
from emulators.sql_server.storage.locks import LockManager
from emulators.sql_server.values.datetimes import instant_text, make, ticks_of
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError

_MAX_BATCHES = 2000
_MAX_CACHED_TEXT = 200_000
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
        if catalogue.options.name_itself():  # a file from before databases had identifiers
            catalogue.save(connection)
        connection.execute("COMMIT")
        return catalogue

    # --- backups ---

    def backup(self, path: Path) -> None:
        """BACKUP DATABASE: what is committed now, as a file."""
        path.unlink(missing_ok=True)
        with contextlib.closing(self.connect()) as source, contextlib.closing(sqlite3.connect(path)) as target:
            source.backup(target)

    def restore(self, path: Path) -> None:
        """RESTORE DATABASE … WITH REPLACE over this database.

        All sessions end, as SET SINGLE_USER WITH ROLLBACK IMMEDIATE ends them.

        Raises:
            ValueError: the file is no backup.
        """
        if not path.is_file():
            raise ValueError(f"there is no backup {path}")
        with contextlib.closing(sqlite3.connect(path)) as source:
            try:
                options = Catalogue.load(source).options
                log = source.execute("SELECT value FROM \"$state\" WHERE key = 'version'").fetchone()[0]
            except sqlite3.Error as error:
                raise ValueError(f"{path} is no backup: {error}") from error
            for session in self.sessions():
                session.close()
            options.restored(self.catalogue.options, 34_000_000_000_000_000 + log)
            source.backup(self._keeper)
        catalogue = Catalogue.load(self._keeper)
        catalogue.options = options
        self._keeper.execute("BEGIN IMMEDIATE")
        catalogue.save(self._keeper)
        self._keeper.execute("COMMIT")
        self.identities.clear()
        self.count_writes({*self.writes, *catalogue.by_id})
        self.cleanup.due = None
        self.catalogue = catalogue

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
            if self.catalogue.options.single_user and self._sessions:
                raise SqlError(924, f"Database '{self.name}' is already open and can only have one user at a time.", 14)
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
