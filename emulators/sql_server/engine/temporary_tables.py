"""#tables and table variables of a session."""

from __future__ import annotations

import sqlite3
from typing import Any

from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.objects.table_storage import create_storage
from emulators.sql_server.storage.store import Store

_SPARE = 64  # storages that a session keeps
_TEMPORARY_KEYS: dict[tuple[tuple[str, int, int], ...], int] = {(): 0}


class TemporaryTables:
    """What a session knows of its temporary tables.

    The storage of a table variable is emptied when its batch ends, and kept for the next run of that batch. To create or drop it
    would change SQLite's schema of the session, and each of its statements would be compiled anew.
    """

    store: Store
    temporary: dict[str, Table]
    temporary_key: int
    temporary_identities: dict[int, int]
    _filled: dict[str, int]
    _spare: dict[int, Table]

    def put_temporary(self, table: Table) -> None:
        """Give a #table or table variable its storage, and make it known."""
        if self._spare.pop(table.object_id, None) is None or not self._emptied(table):  # a rollback may have filled it again
            create_storage(self.store, table)
        self.temporary_identities.pop(table.object_id, None)
        self.add_temporary(f"@{table.name}" if table.variable else table.name, table)

    def add_temporary(self, name: str, table: Table) -> None:
        """Make a #table or @table known."""
        self.temporary[name.lower()] = table
        self._temporary_changed()

    def remove_temporary(self, name: str) -> None:
        self.temporary.pop(name.lower(), None)
        self._temporary_changed()

    def _temporary_changed(self) -> None:
        key = tuple(sorted((name, table.object_id, len(table.indexes)) for name, table in self.temporary.items()))
        self.temporary_key = _TEMPORARY_KEYS.setdefault(key, len(_TEMPORARY_KEYS))

    def hide_table_variables(self) -> dict[str, Table]:
        """Dynamic SQL does not see the table variables of its caller."""
        hidden = {name: table for name, table in self.temporary.items() if table.variable}
        if hidden:
            self.temporary = {name: table for name, table in self.temporary.items() if not table.variable}
            self._temporary_changed()
        return hidden

    def drop_table_variables(self, names: list[str], hidden: dict[str, Table]) -> None:
        """The end of the batch that declared them; ``hidden``: those of its caller, which come back."""
        for name in names:
            table = self.temporary.pop(name, None)
            if table is not None:
                self._set_aside(table)
        self.temporary.update(hidden)
        if names or hidden:
            self._temporary_changed()

    def _set_aside(self, table: Table) -> None:
        if not self._emptied(table):
            return
        self._spare[table.object_id] = table
        if len(self._spare) > _SPARE:
            oldest = next(iter(self._spare))
            self.store.run(f"DROP TABLE IF EXISTS {self._spare.pop(oldest).storage}")

    def _emptied(self, table: Table) -> bool:
        """Empty a storage; False if there is none any more."""
        try:
            self.store.connection.execute(f"DELETE FROM {table.storage}")
        except sqlite3.OperationalError as error:
            if "no such table" not in str(error):
                raise
            return False
        return True

    def keep_table_variables(self) -> list[tuple[Table, list[tuple[Any, ...]]]]:
        """The rows of table variables, which outlive a rollback."""
        kept = []
        for table in self.temporary.values():
            if table.variable:
                kept.append((table, self.store.run(f"SELECT * FROM {table.storage}").fetchall()))
        return kept

    def restore_table_variables(self, kept: list[tuple[Table, list[tuple[Any, ...]]]]) -> None:
        """After a rollback; a #table that was created inside the transaction is gone."""
        existing = {row[0] for row in self.store.run("SELECT name FROM sqlite_temp_master WHERE type = 'table'").fetchall()}
        for name, table in list(self.temporary.items()):
            if not table.variable and f"t{table.object_id}" not in existing:
                self.remove_temporary(name)
        self._filled = {key: version for key, version in self._filled.items() if key in existing}
        self._spare = {number: table for number, table in self._spare.items() if f"t{number}" in existing}
        for table, rows in kept:
            if f"t{table.object_id}" not in existing:
                create_storage(self.store, table)
            else:
                self.store.run(f"DELETE FROM {table.storage}")
            if rows:
                self.store.connection.executemany(f"INSERT INTO {table.storage} VALUES ({', '.join('?' * len(rows[0]))})", rows)
