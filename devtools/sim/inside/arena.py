"""What outlives a seed in process: a prepared database for each shape of plan, with everything that is compiled for it."""

from __future__ import annotations

import itertools
import os
import shutil
import sqlite3
import tempfile
from collections import OrderedDict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Self

from devtools.sim.lane import MAIN
from devtools.sim.plan import Plan
from emulators.clock import Clock
from emulators.sql_server.catalogue.model import Catalogue
from emulators.sql_server.engine.database import Database
from emulators.sql_server.storage.locks import LockManager

FIRST_INSTANT = datetime(2026, 3, 2, 6, tzinfo=UTC)
_MEMORY = Path("/dev/shm")


class _FixedClock(Clock):
    def now(self) -> datetime:
        return FIRST_INSTANT


class Arena:
    """Databases, one for each shape; each is put back to its prepared state before a seed.

    Args:
        parent: where files are made; without it, in memory where the system has a place for that.
    """

    def __init__(self, parent: Path | None = None) -> None:
        where = parent or (_MEMORY if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK) else None)
        self.directory = Path(tempfile.mkdtemp(prefix="rowpost-sim-", dir=where))
        self._databases: OrderedDict[str, tuple[Database, sqlite3.Connection, int]] = OrderedDict()

    @staticmethod
    def shape(plan: Plan) -> str:
        """Plans of one shape share a database."""
        lanes = "" if plan.lanes == (MAIN,) else "".join(f"-{lane.app}{lane.table}{lane.target}" for lane in plan.lanes)
        return f"{plan.policy}-{plan.settings.key}{'-computed' * plan.settings.computed}{lanes}"

    def fresh(self, shape: str) -> Database | None:
        """The database of a shape as it was when it was kept; None if none was kept yet."""
        found = self._databases.get(shape)
        if found is None:
            return None
        database, template, version = found
        self.reset(database)
        template.backup(database._keeper)
        if database.catalogue.version != version:  # a seed has changed rights or the like
            database.catalogue = Catalogue.load(database._keeper)
            self._databases[shape] = (database, template, database.catalogue.version)
        return database

    def new(self, shape: str) -> Database:
        """An empty database."""
        path = self.directory / f"{shape}-{len(self._databases)}.db"
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)
        return Database(path, _FixedClock(), "rowpost")

    def keep(self, shape: str, database: Database) -> None:
        """Remember a database as it is now."""
        template = sqlite3.connect(":memory:")
        database._keeper.backup(template)
        self._databases[shape] = (database, template, database.catalogue.version)

    @staticmethod
    def reset(database: Database) -> None:
        """Forget what the engine remembers beside its file."""
        for session in database.sessions():
            session.close()
        database.clock = _FixedClock()
        database.offset = timedelta(0)
        database.locks = LockManager()
        database.writes.clear()
        database.identities.clear()
        database.cleanup.due = None
        database._spids = itertools.count(51)

    def close(self) -> None:
        """Remove the files."""
        for database, template, _ in self._databases.values():
            database.close()
            template.close()
        shutil.rmtree(self.directory, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.close()

    def settings_file(self, name: str, text: str) -> Path:
        """A file for the app to read."""
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return path
