"""#tables and table variables of a session."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.objects.table_storage import create_storage
from emulators.sql_server.storage.store import Store

_TEMPORARY_KEYS: dict[tuple[tuple[str, int, int], ...], int] = {(): 0}


class TemporaryTables:
    """What a session knows of its temporary tables."""

    store: Store
    temporary: dict[str, Table]
    temporary_key: int
    _filled: dict[str, int]

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
                self.store.run(f"DROP TABLE IF EXISTS {table.storage}")
        self.temporary.update(hidden)
        if names or hidden:
            self._temporary_changed()

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
        for table, rows in kept:
            if f"t{table.object_id}" not in existing:
                create_storage(self.store, table)
            else:
                self.store.run(f"DELETE FROM {table.storage}")
            if rows:
                self.store.connection.executemany(f"INSERT INTO {table.storage} VALUES ({', '.join('?' * len(rows[0]))})", rows)
