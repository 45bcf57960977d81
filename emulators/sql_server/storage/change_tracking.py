"""Change tracking: switching it on and off, clean-up by retention."""

from __future__ import annotations

import copy
from datetime import datetime, timedelta
from typing import Any

from emulators.sql_server.catalogue.model import collate_clause
from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.compiler.tracking import key_columns, version_index
from emulators.sql_server.parser.tree import AlterTable
from emulators.sql_server.storage.locks import LockTimeout
from emulators.sql_server.storage.session import Database, Session
from emulators.sql_server.storage.store import Store
from emulators.sql_server.values.datetimes import instant_text
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError

CLEANUP_INTERVAL = timedelta(minutes=1)
_UNIT = {"DAYS": "days", "HOURS": "hours", "MINUTES": "minutes"}


def configure_database(session: Session, options: dict[str, Any]) -> None:
    """ALTER DATABASE … SET CHANGE_TRACKING. Raises SqlError 5088, 5089, 5092, 22115."""
    catalogue = session.store.change_catalogue()
    settings = catalogue.options
    state = options.get("state")
    if state == "OFF":
        if not settings.change_tracking:
            raise sql_error(5089, session.owner.name)
        if any(table.tracking is not None for table in catalogue.tables.values()):
            raise sql_error(22115, session.owner.name)
        settings.change_tracking = False
        # What was committed is forgotten too: versions begin again when it is switched on.
        session.store.run('DELETE FROM "$commits"')
        session.store.run("UPDATE \"$state\" SET value = 0 WHERE key = 'version'")
        return
    if state == "ON":
        if settings.change_tracking:
            raise sql_error(5088, session.owner.name)
        settings.change_tracking, settings.retention, settings.retention_unit, settings.auto_cleanup = True, 2, "DAYS", True
    elif not settings.change_tracking:
        raise sql_error(5089, session.owner.name)
    if "retention" in options:
        minutes = options["retention"] * {"DAYS": 1440, "HOURS": 60, "MINUTES": 1}[options["unit"]]
        if not 1 <= minutes <= 2**31 - 1:
            raise SqlError(
                5092,
                "The value for change tracking option 'change_retention' is not valid. The value must be between 1 and "
                "2147483647 minutes.",
            )
        settings.retention, settings.retention_unit = options["retention"], options["unit"]
    if "auto_cleanup" in options:
        settings.auto_cleanup = options["auto_cleanup"]


def alter_table(session: Session, table: Table, node: AlterTable) -> None:
    """ALTER TABLE … ENABLE | DISABLE CHANGE_TRACKING. Raises SqlError 1718, 4996, 4997, 4998."""
    store = session.store
    catalogue = store.change_catalogue()
    changed = copy.copy(table)
    if node.enable:
        if not catalogue.options.change_tracking or table.temporary:
            raise SqlError(1718, "Change tracking must be enabled on a database before it can be enabled on its tables.")
        if table.tracking is not None:
            raise sql_error(4996, table.name)
        if table.primary_key is None:
            raise sql_error(4997, table.name)
        changed.tracking = {
            "columns": bool(node.track_columns),
            "object_id": catalogue.new_id(),
            "created": session.owner.local_text(),
        }
        create_history(store, table)
        store.run(
            'INSERT OR REPLACE INTO "$tracking" SELECT ?, value, value, 0 FROM "$state" WHERE key = \'version\'', (table.object_id,)
        )
    else:
        if table.tracking is None:
            raise sql_error(4998, table.name)
        changed.tracking = None
        drop_history(store, table)
    catalogue.put_table(changed)


def create_history(store: Store, table: Table) -> None:
    """The table that keeps every change, with an index for polls and one for look-ups by key."""
    keys = key_columns(table)
    columns = ", ".join(f"k{number}{collate_clause(column)}" for number, column in enumerate(keys))
    names = ", ".join(f"k{number}" for number in range(len(keys)))
    store.run(
        f"CREATE TABLE {table.history} "
        f"(id INTEGER PRIMARY KEY AUTOINCREMENT, version INTEGER, op TEXT, mask BLOB, context BLOB, {columns})"
    )
    store.run(f"CREATE INDEX {version_index(table)} ON {table.history} (version)")
    store.run(f'CREATE INDEX "h{table.object_id}_key" ON {table.history} ({names}, id)')


def drop_history(store: Store, table: Table) -> None:
    """Forget all changes of a table."""
    store.run(f"DROP TABLE IF EXISTS {table.history}")
    store.run('DELETE FROM "$tracking" WHERE object_id = ?', (table.object_id,))


def truncated(store: Store, table: Table) -> None:
    """TRUNCATE TABLE: no deletions are recorded; versions before now are no longer valid."""
    if table.tracking is None:
        return
    store.run(f"DELETE FROM {table.history}")
    version = "(SELECT value FROM \"$state\" WHERE key = 'version')"
    store.run(f'UPDATE "$tracking" SET min_valid = {version}, begin_version = {version} WHERE object_id = ?', (table.object_id,))


class Cleanup:
    """Removes changes older than the retention, at most once a minute of the clock, and never while somebody else writes."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.due: datetime | None = None

    def maybe(self, session: Session) -> None:
        """Run if it is time; called between statements, outside of transactions."""
        options = self.database.catalogue.options
        if not (options.change_tracking and options.auto_cleanup) or options.read_only:
            return
        now = self.database.clock.now()
        if self.due is not None and now < self.due:
            return
        self.due = now + CLEANUP_INTERVAL
        cutoff = instant_text(now.replace(tzinfo=None) - timedelta(**{_UNIT[options.retention_unit]: options.retention}))
        store = session.store
        row = store.run('SELECT MAX(version) FROM "$commits" WHERE time < ?', (cutoff,)).fetchone()
        if row[0] is None:
            return
        try:
            self._remove(session, row[0])
        except (LockTimeout, SqlError):
            self.due = now

    def _remove(self, session: Session, version: int) -> None:
        """Everything up to ``version`` goes; the oldest valid version to ask from is ``version`` itself."""
        store = session.store
        timeout, store.lock_timeout_seconds = store.lock_timeout_seconds, 0
        try:
            with store.writing():
                for table in store.catalogue.tables.values():
                    if table.tracking is None:
                        continue
                    store.run(f"DELETE FROM {table.history} WHERE version <= ?", (version,))
                    store.run(
                        'UPDATE "$tracking" SET min_valid = MAX(min_valid, ?), cleanup_version = ? WHERE object_id = ?',
                        (version, version, table.object_id),
                    )
                store.run('DELETE FROM "$commits" WHERE version <= ?', (version,))
        finally:
            store.lock_timeout_seconds = timeout
