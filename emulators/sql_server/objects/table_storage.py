"""Tables and indexes in SQLite."""

from __future__ import annotations

import sqlite3

from emulators.sql_server.catalogue.model import has_equal_forms, quote, storage_column, unique_term
from emulators.sql_server.catalogue.objects import Index, Table
from emulators.sql_server.catalogue.sizes import is_wide, key_types, require_entry_fits
from emulators.sql_server.storage.store import Store
from emulators.sql_server.storage.writer import index_condition, shown
from emulators.sql_server.values.errors import sql_error


def create_storage(store: Store, table: Table) -> None:
    """The SQLite table of a table, and its indexes."""
    columns = ", ".join(["__rowid INTEGER PRIMARY KEY", *(storage_column(column) for column in table.stored)])
    store.run(f"CREATE TABLE {table.storage} ({columns})")
    for index in table.indexes:
        _create_index(store, table, index)


def _index_name(table: Table, index: Index, kind: str) -> str:
    return f'"i{table.object_id}_{index.index_id}{kind}"'


def _create_index(store: Store, table: Table, index: Index) -> None:
    """SQLite lets NULLs repeat in a unique index, and bytes that differ by zeros at the end. SQL Server does not: such an index
    gets a twin over expressions. One over computed columns is never unique, so that it needs no storage to be right."""
    if any(column is not None and column.computed is not None for column in (table.column(name) for name, _ in index.columns)):
        return
    where = f" WHERE {index_condition(store, table, index.where)}" if index.where else ""
    prefix = "temp." if table.temporary else ""
    columns = ", ".join(f"{quote(name)}{' DESC' if descending else ''}" for name, descending in index.columns)
    own = [table.column(name) for name, _ in index.columns]
    twin = index.unique and any(column is not None and (column.nullable or has_equal_forms(column)) for column in own)
    unique = "UNIQUE " if index.unique and not twin else ""
    on = f'"t{table.object_id}"'
    store.run(f"CREATE {unique}INDEX {prefix}{_index_name(table, index, '')} ON {on} ({columns}){where}")
    if twin:
        terms = ", ".join(unique_term(column) for column in own if column is not None)
        store.run(f"CREATE UNIQUE INDEX {prefix}{_index_name(table, index, 'u')} ON {on} ({terms}){where}")


def drop_index(store: Store, table: Table, index: Index) -> None:
    """Drop the SQLite indexes of an index."""
    for kind in ("", "u"):
        store.run(f"DROP INDEX IF EXISTS {_index_name(table, index, kind)}")


def build_index(store: Store, table: Table, index: Index) -> None:
    """Create an index over existing rows. Raises SqlError 1505, 1946."""
    if is_wide(table, index):
        kinds = key_types(table, index)
        for row in store.rows(f"SELECT {', '.join(quote(name) for name, _ in index.columns)} FROM {table.storage}"):
            require_entry_fits(index, kinds, list(row))
    try:
        _create_index(store, table, index)
    except sqlite3.IntegrityError:
        names = ", ".join(quote(name) for name, _ in index.columns)
        terms = ", ".join(unique_term(column) for name, _ in index.columns if (column := table.column(name)) is not None)
        row = store.rows(f"SELECT {names} FROM {table.storage} GROUP BY {terms} HAVING COUNT(*) > 1 LIMIT 1")[0]
        values = ", ".join(
            shown(value, column)
            for value, (name, _) in zip(row, index.columns, strict=True)
            if (column := table.column(name)) is not None
        )
        raise sql_error(1505, table.full_name, index.name, values) from None
