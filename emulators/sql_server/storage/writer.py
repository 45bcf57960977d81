"""Rows into tables: validation, identity, rowversion, unique keys, CHECK and FOREIGN KEY, change tracking."""

from __future__ import annotations

import sqlite3
from decimal import Decimal
from typing import Any

from emulators.sql_server.catalogue.model import has_equal_forms, quote, unique_term
from emulators.sql_server.catalogue.objects import ForeignKey, Index, Table, TableColumn
from emulators.sql_server.catalogue.sizes import require_entry_fits, wide_indexes
from emulators.sql_server.compiler.scope import Bound, BoundColumn, Scope, Unit
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.compiler.tracking import key_columns
from emulators.sql_server.parser.batches import parse_condition, parse_expression
from emulators.sql_server.runtime.masks import mask_of
from emulators.sql_server.storage.store import Store
from emulators.sql_server.values.datatypes import (
    BINARIES,
    DECIMALS,
    INTEGER_RANGES,
    STRINGS,
    decode_decimal,
    encode_decimal,
    to_external,
)
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.utf16 import cut, merged, units

AUTOMATIC = object()
"""Stands for an identity value that the writer chooses."""

Row = list[Any]


def shown(value: Any, column: TableColumn) -> str:
    """A key value as error messages show it."""
    if value is None:
        return "<NULL>"
    convert = to_external(column.type)
    if isinstance(value, bytes):
        return f"0x{value.hex()}"
    return str(convert(value) if convert else value).rstrip(" ")


class TableWriter:
    """Changes one table within a write statement of the store."""

    def __init__(self, store: Store, table: Table, statement: str, context: bytes | None = None) -> None:
        self.store, self.table, self.statement, self.context = store, table, statement, context
        self.columns = table.stored
        self.names = [quote(column.name) for column in self.columns]
        self.validators = [
            (place, column)
            for place, column in enumerate(self.columns)
            if not column.nullable or column.type.name in STRINGS | BINARIES
        ]

        self.wide_indexes = wide_indexes(table)

    # --- validation ---

    def _validate(self, row: Row, only: set[int] | None = None) -> None:
        """NOT NULL and lengths; pads char and binary. Raises SqlError 515, 2628."""
        for place, column in self.validators:
            if only is not None and place not in only:
                continue
            value = row[place]
            if value is None:
                if not column.nullable:
                    raise sql_error(515, column.name, self._three_part(), self.statement)
                continue
            length = column.type.length
            if length <= 0 or column.type.name == "rowversion":
                continue
            if isinstance(value, str):
                size = len(value)
                if not value.isascii():
                    row[place] = value = merged(value)
                    size = units(value)
            else:
                size = len(value)
            if size > length:
                kept = cut(value, 0, length) if isinstance(value, str) else value[:length]
                if not isinstance(value, str) or units(value.rstrip(" ")) > length:
                    raise sql_error(2628, self._three_part(), column.name, kept if isinstance(kept, str) else "")
                row[place], size = kept, length  # only blanks are lost
            if column.type.name in ("char", "nchar") and size < length:
                row[place] = value + " " * (length - size)
            elif column.type.name == "binary" and len(value) < length:
                row[place] = value.ljust(length, b"\0")

    def _measure(self, rows: list[Row]) -> None:
        """Raises SqlError 1946."""
        for index in self.wide_indexes:
            places = [self._place(name) for name, _ in index.columns]
            for row in rows:
                require_entry_fits(index, [self.columns[place].type for place in places], [row[place] for place in places])

    def _three_part(self) -> str:
        if self.table.temporary:
            return f"tempdb.dbo.{self.table.name}" if not self.table.variable else self.table.name
        return f"{self.store.database.name}.{self.table.full_name}"

    # --- INSERT ---

    def insert(self, rows: list[Row]) -> list[Row]:
        """Store rows, given in the order of the stored columns; returns them as stored."""
        if not rows:
            return rows
        self._fill_identity(rows)
        self._stamp(rows)
        for row in rows:
            self._validate(row)
        self._measure(rows)
        text = f"INSERT INTO {self.table.storage} ({', '.join(self.names)}) VALUES ({', '.join('?' * len(self.names))})"
        execute = self.store.connection.execute
        rowids = []
        for row in rows:
            self.store.check_cancelled()
            try:
                rowids.append(execute(text, row).lastrowid)
            except sqlite3.IntegrityError:
                raise self._duplicate(row, None) from None
            except sqlite3.Error as error:
                raise self.store.translate(error) from None
        self._check_rows(rowids)
        self._check_parents(rows, None)
        self._track("I", [self._key(row) for row in rows], None)
        return rows

    def _fill_identity(self, rows: list[Row]) -> None:
        column = self.table.identity
        if column is None or column.identity is None:
            return
        place = self.columns.index(column)
        seed, step = column.identity
        before = last = self._last_identity(step)
        generated: int | None = None
        for row in rows:
            if row[place] is AUTOMATIC:
                last = seed if last is None else last + step
                generated = last
                row[place] = self._identity_form(last, column)
            else:
                generated = self._identity_number(row[place], column)
                if last is None or (generated > last if step > 0 else generated < last):
                    last = generated
        if last != before and last is not None:
            self.identities[self.table.object_id] = last
            if not self.table.temporary:
                self.store.run('INSERT OR REPLACE INTO "$identity" VALUES (?, ?)', (self.table.object_id, last))
        if generated is not None:
            self.store.session.set_identity(generated)

    @property
    def identities(self) -> dict[int, int]:
        """The newest identity values by table: a rollback does not give them back, as in the real server."""
        return self.store.session.temporary_identities if self.table.temporary else self.store.database.identities

    def _last_identity(self, step: int) -> int | None:
        known = self.identities.get(self.table.object_id)
        if self.table.temporary:
            return known
        stored = self.store.run('SELECT last FROM "$identity" WHERE object_id = ?', (self.table.object_id,)).fetchone()
        if stored is None or known is None:
            return known if stored is None else stored[0]
        return max(known, stored[0]) if step > 0 else min(known, stored[0])

    def _identity_form(self, number: int, column: TableColumn) -> Any:
        if column.type.name in DECIMALS:
            return encode_decimal(Decimal(number))
        low, high = INTEGER_RANGES[column.type.name]
        if not low <= number <= high:
            raise sql_error(8115, "IDENTITY", column.type.name)
        return number

    def _identity_number(self, value: Any, column: TableColumn) -> int:
        return int(decode_decimal(value)) if column.type.name in DECIMALS and value is not None else int(value or 0)

    def _stamp(self, rows: list[Row]) -> list[int]:
        """Fill rowversion columns."""
        places = [place for place, column in enumerate(self.columns) if column.type.name == "rowversion"]
        if places and rows:
            last = self.store.run("SELECT value FROM \"$state\" WHERE key = 'dbts'").fetchone()[0]
            for row in rows:
                last += 1
                for place in places:
                    row[place] = last.to_bytes(8, "big")
            self.store.run("UPDATE \"$state\" SET value = ? WHERE key = 'dbts'", (last,))
        return places

    # --- UPDATE ---

    def update(self, rows: list[tuple[int, Row, Row]], changed: list[int]) -> None:
        """Change rows given as rowid, old and new; ``changed``: places that SET names, in its order."""
        if not rows:
            return
        stamped = self._stamp([new for _, _, new in rows])
        order = changed + [place for place in stamped if place not in changed]
        places = set(order)
        for _, _, new in rows:
            self._validate(new, places)
        self._measure([new for _, _, new in rows])
        if self._touches_unique(places):
            self._replace(rows)
        else:
            text = f"UPDATE {self.table.storage} SET {', '.join(f'{self.names[p]} = ?' for p in order)} WHERE __rowid = ?"
            execute = self.store.connection.execute
            for rowid, _, new in rows:
                self.store.check_cancelled()
                try:
                    execute(text, [*(new[p] for p in order), rowid])
                except sqlite3.Error as error:
                    raise self.store.translate(error) from None
        self._check_rows([rowid for rowid, _, _ in rows])
        self._check_parents([new for _, _, new in rows], places)
        self._children([old for _, old, _ in rows], [new for _, _, new in rows], places)
        self._track_update(rows, order)

    def _touches_unique(self, places: set[int]) -> bool:
        names = {self.columns[place].name.lower() for place in places}
        return any(
            index.unique and (index.where or any(name.lower() in names for name, _ in index.columns))
            for index in self.table.indexes
        )

    def _replace(self, rows: list[tuple[int, Row, Row]]) -> None:
        """Keys may trade places within one statement: take all rows out, then put them back."""
        for rowid, _, _ in rows:
            self.store.run(f"DELETE FROM {self.table.storage} WHERE __rowid = ?", (rowid,))
        text = f"INSERT INTO {self.table.storage} (__rowid, {', '.join(self.names)}) VALUES (?, {', '.join('?' * len(self.names))})"
        for rowid, _, new in rows:
            self.store.check_cancelled()
            try:
                self.store.connection.execute(text, [rowid, *new])
            except sqlite3.IntegrityError:
                raise self._duplicate(new, rowid) from None
            except sqlite3.Error as error:
                raise self.store.translate(error) from None

    # --- DELETE ---

    def delete(self, rows: list[tuple[int, Row]]) -> None:
        """Remove rows given as rowid and values."""
        text = f"DELETE FROM {self.table.storage} WHERE __rowid = ?"
        for rowid, _ in rows:
            self.store.check_cancelled()
            self.store.run(text, (rowid,))
        self._children([old for _, old in rows], None, None)
        self._track("D", [self._key(old) for _, old in rows], None)

    # --- unique keys ---

    def _duplicate(self, row: Row, rowid: int | None) -> Exception:
        """Which unique index a row violates: 2627 for a constraint, 2601 for an index."""
        for index in self.table.indexes:
            if not index.unique or not self._conflicts(index, row):
                continue
            values = ", ".join(shown(row[self._place(name)], self.columns[self._place(name)]) for name, _ in index.columns)
            name = self.table.full_name if not self.table.temporary else f"dbo.{self.table.name}"
            if index.constraint:
                kind = "PRIMARY KEY" if index.constraint == "PRIMARY KEY" else "UNIQUE KEY"
                return sql_error(2627, kind, index.name, name, values)
            return sql_error(2601, name, index.name, values)
        return sql_error(8992, f"no unique index explains the conflict of row {rowid}")

    def _place(self, name: str) -> int:
        lower = name.lower()
        return next(place for place, column in enumerate(self.columns) if column.name.lower() == lower)

    def _conflicts(self, index: Index, row: Row) -> bool:
        own = [self.columns[self._place(name)] for name, _ in index.columns]
        tests = " AND ".join(f"{unique_term(column) if has_equal_forms(column) else quote(column.name)} IS ?" for column in own)
        where = f" AND ({index_condition(self.store, self.table, index.where)})" if index.where else ""
        values = [row[self._place(name)] for name, _ in index.columns]
        for place, column in enumerate(own):
            if has_equal_forms(column):
                values[place] = "NULL" if values[place] is None else values[place].hex().upper().rstrip("0")
        return self.store.run(f"SELECT 1 FROM {self.table.storage} WHERE {tests}{where}", values).fetchone() is not None

    # --- CHECK and FOREIGN KEY ---

    def _check_rows(self, rowids: list[int | None]) -> None:
        checks = self.table.cache.get("checks")
        if checks is None:
            checks = self.table.cache["checks"] = [
                (check, check_query(self.store, self.table, check.text)) for check in self.table.checks if not check.disabled
            ]
        for check, (text, bindings) in checks:
            for rowid in rowids:
                values = [rowid if kind == "rowid" else self.store.session.parameter(kind, value) for kind, value in bindings]
                if self.store.run(text, values).fetchone() is not None:
                    place = f", column '{check.column}'" if check.column else ""
                    raise sql_error(547, self.statement, "CHECK", check.name, self.store.database.name, self.table.full_name, place)

    def _check_parents(self, rows: list[Row], places: set[int] | None) -> None:
        for key in self.table.foreign_keys:
            if key.disabled:
                continue
            own = [self._place(name) for name in key.columns]
            if places is not None and not places & set(own):
                continue
            parent = self.store.catalogue.by_id[key.referenced_id]
            assert isinstance(parent, Table)
            text = f"SELECT 1 FROM {parent.storage} WHERE {' AND '.join(f'{quote(name)} = ?' for name in key.referenced_columns)}"
            seen: set[tuple[Any, ...]] = set()
            for row in rows:
                values = tuple(row[place] for place in own)
                if None in values or values in seen:
                    continue
                seen.add(values)
                if self.store.run(text, values).fetchone() is None:
                    same = "FOREIGN KEY SAME TABLE" if parent.object_id == self.table.object_id else "FOREIGN KEY"
                    column = f", column '{key.referenced_columns[0]}'" if len(key.columns) == 1 else ""
                    raise sql_error(547, self.statement, same, key.name, self.store.database.name, parent.full_name, column)

    def _children(self, old: list[Row], new: list[Row] | None, places: set[int] | None) -> None:
        """Rows that refer to keys that are gone: refuse, or carry the change on."""
        if self.table.temporary:
            return
        for child, key in self.store.catalogue.referencing(self.table.object_id):
            if key.disabled:
                continue
            own = [self._place(name) for name in key.referenced_columns]
            if places is not None and not places & set(own):
                continue
            for number, row in enumerate(old):
                values = [row[place] for place in own]
                if None in values:
                    continue
                follow = [new[number][place] for place in own] if new is not None else None
                if follow == values or self._still_there(key, values):
                    continue
                self._follow(child, key, values, follow)

    def _still_there(self, key: ForeignKey, values: list[Any]) -> bool:
        tests = " AND ".join(f"{quote(name)} = ?" for name in key.referenced_columns)
        return self.store.run(f"SELECT 1 FROM {self.table.storage} WHERE {tests}", values).fetchone() is not None

    def _follow(self, child: Table, key: ForeignKey, values: list[Any], follow: list[Any] | None) -> None:
        writer = TableWriter(self.store, child, self.statement, self.context)
        tests = " AND ".join(f"{quote(name)} = ?" for name in key.columns)
        found = self.store.rows(f"SELECT __rowid, {', '.join(writer.names)} FROM {child.storage} WHERE {tests}", values)
        if not found:
            return
        action = key.on_delete if follow is None else key.on_update
        if action == "NO ACTION":
            same = "SAME TABLE REFERENCE" if child.object_id == self.table.object_id else "REFERENCE"
            column = f", column '{key.columns[0]}'" if len(key.columns) == 1 else ""
            raise sql_error(547, self.statement, same, key.name, self.store.database.name, child.full_name, column)
        self.store.written.add(child.object_id)
        if action == "CASCADE" and follow is None:
            writer.delete([(row[0], list(row[1:])) for row in found])
            return
        places = [writer._place(name) for name in key.columns]
        changes = []
        for row in found:
            fresh = list(row[1:])
            for number, place in enumerate(places):
                fresh[place] = (
                    follow[number]
                    if action == "CASCADE" and follow is not None
                    else self._replacement(child, writer.columns[place], action)
                )
            changes.append((row[0], list(row[1:]), fresh))
        writer.update(changes, places)

    def _replacement(self, child: Table, column: TableColumn, action: str) -> Any:
        if action == "SET NULL" or column.default is None:
            return None
        unit = Unit(self.store.catalogue, {}, {}, self.store.database.name)
        compiler = StatementCompiler(unit)
        text = compiler.cast(compiler.value(parse_expression(column.default), Scope()), column.type, cut=False).sql
        return self.store.run(f"SELECT {text}", self.store.session.parameters(unit.bindings)).fetchone()[0]

    # --- change tracking ---

    def _key(self, row: Row) -> Row:
        if self.table.tracking is None:
            return []
        places = self.table.cache.get("key_places")
        if places is None:
            places = self.table.cache["key_places"] = [self._place(column.name) for column in key_columns(self.table)]
        return [row[place] for place in places]

    def _track(self, operation: str, keys: list[Row], mask: bytes | None) -> None:
        if self.table.tracking is None or not keys:
            return
        version = self.store.next_version()
        text = f"INSERT INTO {self.table.history} VALUES (NULL, ?, ?, ?, ?, {', '.join('?' * len(keys[0]))})"
        self.store.connection.executemany(text, [[version, operation, mask, self.context, *key] for key in keys])

    def _track_update(self, rows: list[tuple[int, Row, Row]], order: list[int]) -> None:
        """A change of key columns is a deletion and an insertion, as in the real server."""
        if self.table.tracking is None:
            return
        key = {column.name for column in key_columns(self.table)}
        if any(self.columns[place].name in key for place in order):
            self._track("D", [self._key(old) for _, old, _ in rows], None)
            self._track("I", [self._key(new) for _, _, new in rows], None)
            return
        mask = None
        if self.table.tracking.get("columns"):
            others = {place for place, column in enumerate(self.columns) if column.name not in key}
            if not others <= set(order):
                mask = mask_of([self.columns[place].column_id for place in order])
        self._track("U", [self._key(new) for _, _, new in rows], mask)


def own_columns_scope(table: Table, prefix: str = "") -> Scope:
    """A scope in which a table's columns stand under their own names."""
    scope = Scope()
    scope.sources = [
        Bound(
            table.name,
            [BoundColumn(c.name, c.type, f"{prefix}{quote(c.name)}", c.nullable, False, c.sqlite_collation) for c in table.columns],
            (table.schema, table.name),
            explicit_alias=False,
        )
    ]
    return scope


def check_query(store: Store, table: Table, text: str) -> tuple[str, list[tuple[str, Any]]]:
    """A query that gives a row when the condition fails for the row bound as ``rowid``."""
    unit = Unit(store.catalogue, {}, {}, store.database.name)
    compiler = StatementCompiler(unit)
    scope = Scope()
    source = compiler.add_table(table, table.name, scope, (table.schema, table.name), False, filtered=False)
    bound = scope.sources[0]
    condition = compiler.condition(parse_condition(text), scope)
    return f"SELECT 1 FROM {source} WHERE {bound.rowid} = {unit.bind('rowid', 0)} AND NOT {condition}", unit.bindings


def index_condition(store: Store, table: Table, text: str) -> str:
    """The WHERE of a filtered index."""
    unit = Unit(store.catalogue, {}, {}, store.database.name)
    return StatementCompiler(unit).condition(parse_condition(text), own_columns_scope(table))
