"""CREATE, ALTER, DROP, TRUNCATE."""

from __future__ import annotations

import copy
import itertools
import zlib
from typing import TYPE_CHECKING, Any

from . import change_tracking, security
from .catalogue import Check, ForeignKey, Index, Schema, Table, TableColumn, View, constraints_of, quote, storage_column
from .compile_dml import StatementCompiler
from .compiler import Scope, Typed, Unit
from .datatypes import INTEGERS, STRINGS
from .errors import sql_error, unsupported
from .parser import parse_expression, parse_query
from .results import SqlError
from .syntax import (
    AlterDatabase,
    AlterTable,
    ConstraintSyntax,
    CreateIndex,
    CreateSchema,
    CreateTable,
    CreateView,
    DropObjects,
    Name,
    TableColumnSyntax,
    TableDefinition,
    TruncateTable,
)
from .writer import check_query, index_condition, own_columns_scope, shown

if TYPE_CHECKING:
    from .engine import Session

_TEMPORARY_IDS = itertools.count(1)
_IGNORED_OPTIONS = frozenset(
    {
        "ANSI_NULLS",
        "ANSI_PADDING",
        "ANSI_WARNINGS",
        "ANSI_NULL_DEFAULT",
        "ARITHABORT",
        "QUOTED_IDENTIFIER",
        "CONCAT_NULL_YIELDS_NULL",
        "NUMERIC_ROUNDABORT",
        "AUTO_CLOSE",
        "AUTO_SHRINK",
        "AUTO_CREATE_STATISTICS",
        "AUTO_UPDATE_STATISTICS",
        "AUTO_UPDATE_STATISTICS_ASYNC",
        "PAGE_VERIFY",
        "QUERY_STORE",
        "MULTI_USER",
        "ONLINE",
        "READ_WRITE",
        "RECURSIVE_TRIGGERS",
        "TRUSTWORTHY",
        "DELAYED_DURABILITY",
        "ACCELERATED_DATABASE_RECOVERY",
    }
)


class Ddl:
    """Runs data definition for one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.store = session.store

    # --- tables ---

    def create_table(self, node: CreateTable) -> None:
        """Raises SqlError 2714, 2760 and those of constraints."""
        name = node.name[-1]
        if name.startswith("##"):
            raise unsupported("global temporary tables")
        if name.startswith("#"):
            self.create_temporary(name, node)
            return
        security.require_database(self.session, "CREATE TABLE")
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            schema = self._schema(node.name)
            if catalogue.object_named(schema.name, name) is not None:
                raise sql_error(2714, name)
            table = self.build(node.definition, schema.name, name, catalogue.new_id())
            self._create_storage(table)
            catalogue.put_table(table)
            self.store.save_catalogue()

    def _schema(self, name: Name) -> Schema:
        wanted = (name[-2] if len(name) > 1 else "") or self.session.default_schema
        schema = self.store.catalogue.schemas.get(wanted.lower())
        if schema is None or schema.name in ("sys", "INFORMATION_SCHEMA"):
            raise sql_error(2760, wanted)
        return schema

    def create_temporary(self, name: str, node: CreateTable) -> Table:
        """A #table of this session."""
        if name.lower() in self.session.temporary:
            raise sql_error(2714, name)
        table = node.plans.get("table")
        if table is None:
            table = self.build(node.definition, "dbo", name, -next(_TEMPORARY_IDS), temporary=True)
            node.plans["table"] = table
        self.put_temporary(table)
        return table

    def put_temporary(self, table: Table) -> None:
        """Create the storage of a #table or table variable and make it known."""
        self._create_storage(table)
        self.session.add_temporary(f"@{table.name}" if table.variable else table.name, table)

    def table_variable(self, name: str, definition: TableDefinition) -> Table:
        """DECLARE @name TABLE: the table, without storage."""
        return self.build(definition, "dbo", name, -next(_TEMPORARY_IDS), temporary=True, variable=True)

    def build(
        self, definition: TableDefinition, schema: str, name: str, object_id: int, temporary: bool = False, variable: bool = False
    ) -> Table:
        """The table that a definition describes."""
        now = self.session.owner.local_text()
        table = Table(object_id, schema, name, [], created=now, modified=now, temporary=temporary, variable=variable)
        for column in definition.columns:
            self._add_column(table, column)
        if sum(column.identity is not None for column in table.columns) > 1:
            raise sql_error(2744, name)
        constraints = list(definition.constraints)
        for column in definition.columns:
            constraints += column.constraints
        constraints.sort(key=lambda constraint: constraint.kind != "PRIMARY KEY")
        for constraint in constraints:
            self._add_constraint(table, constraint)
        return table

    def _new_id(self, table: Table) -> int:
        return -next(_TEMPORARY_IDS) if table.temporary else self.store.change_catalogue().new_id()

    def _system_name(self, prefix: str, table: Table, middle: str, number: int) -> str:
        tail = f"{zlib.crc32(f'{table.object_id}/{number}/{middle}'.encode()):08X}"
        parts = [
            prefix,
            table.name.lstrip("#")[:9],
            middle[:5],
            tail + f"{abs(number) & 0xFFFFFFFF:08X}"[-8 if prefix in ("PK", "UQ") else 8 :],
        ]
        return "__".join(part for part in parts if part)

    def _add_column(self, table: Table, node: TableColumnSyntax) -> TableColumn:
        if table.column(node.name) is not None:
            raise sql_error(2705, node.name, table.name)
        if node.name.lower() == "__rowid":
            raise unsupported("a column called __rowid")
        if node.type is None:
            return self._add_computed(table, node)
        primary = any(constraint.kind == "PRIMARY KEY" for constraint in node.constraints)
        if primary and node.nullable:
            raise sql_error(8111, table.name)
        nullable = node.nullable if node.nullable is not None else not (primary or node.identity or node.type.name == "rowversion")
        if node.identity:
            whole = node.type.name in INTEGERS - {"bit"} or node.type.name in ("decimal", "numeric") and node.type.scale == 0
            if not whole or node.nullable:
                raise sql_error(2749, node.name)
            nullable = False
        column = TableColumn(table.next_column_id, node.name, node.type, nullable, node.identity, collation=node.collation or "")
        table.next_column_id += 1
        table.columns.append(column)
        if node.default is not None:
            self._set_default(table, column, *node.default)
        return column

    def _set_default(self, table: Table, column: TableColumn, name: str, text: str) -> None:
        unit = Unit(self.store.catalogue, {}, {}, self.store.database.name)
        compiler = StatementCompiler(unit)
        compiler.cast(compiler.value(parse_expression(text), Scope()), column.type, cut=False)
        column.default, column.default_id = text, self._new_id(table)
        column.default_name = name or self._system_name("DF", table, column.name, column.default_id)
        if name:
            self._require_free(table, name)

    def _add_computed(self, table: Table, node: TableColumnSyntax) -> TableColumn:
        assert node.computed is not None
        typed = self._computed_value(table, node.computed)
        column = TableColumn(
            table.next_column_id,
            node.name,
            typed.type or self.session.int_type,
            node.nullable is not False,
            computed=node.computed,
            persisted=node.persisted,
        )
        table.next_column_id += 1
        table.columns.append(column)
        return column

    def _computed_value(self, table: Table, text: str) -> Typed:
        unit = Unit(self.store.catalogue, {}, {}, self.store.database.name)
        return StatementCompiler(unit).value(parse_expression(text), own_columns_scope(table))

    def _require_free(self, table: Table, name: str) -> None:
        """Names of constraints are unique in their schema. Raises SqlError 2714."""
        own = any(other.lower() == name.lower() for _, other, _ in constraints_of(table))
        if not table.temporary and (own or self.store.catalogue.object_named(table.schema, name) is not None):
            raise sql_error(2714, name)

    def _add_constraint(self, table: Table, node: ConstraintSyntax) -> Any:
        for name, _ in node.columns:
            column = table.column(name)
            if column is None:
                raise sql_error(
                    1769 if node.kind == "FOREIGN KEY" else 1911,
                    *((node.name, name, table.name) if node.kind == "FOREIGN KEY" else (name,)),
                )
        if node.name and node.kind != "INDEX":
            self._require_free(table, node.name)
        if node.kind in ("PRIMARY KEY", "UNIQUE", "INDEX"):
            return self._add_index(table, node)
        object_id = self._new_id(table)
        if node.kind == "CHECK":
            column_name = node.columns[0][0] if node.columns else ""
            check = Check(
                object_id, node.name or self._system_name("CK", table, column_name, object_id), node.expression, column_name
            )
            check_query(self.store, table, check.text)
            table.checks.append(check)
            return check
        if node.kind == "DEFAULT":
            column = table.column(node.columns[0][0])
            assert column is not None
            if column.default is not None:
                raise SqlError(1781, "Column already has a DEFAULT bound to it.")
            self._set_default(table, column, node.name, node.expression)
            return column
        return self._add_foreign_key(table, node, object_id)

    def _add_index(self, table: Table, node: ConstraintSyntax) -> Index:
        primary = node.kind == "PRIMARY KEY"
        if primary and table.primary_key is not None:
            raise sql_error(1779, table.name)
        for name, _ in node.columns:
            column = table.column(name)
            assert column is not None
            if column.computed is not None:
                raise unsupported("an index on a computed column")
            if primary:
                column.nullable = False
        clustered = (
            node.clustered if node.clustered is not None else primary and not any(index.clustered for index in table.indexes)
        )
        used = [index.index_id for index in table.indexes]
        index_id = 1 if clustered else max([1, *used]) + 1
        if clustered and 1 in used:
            raise SqlError(
                1902,
                f"Cannot create more than one clustered index on table '{table.name}'. Drop the existing clustered index before "
                "creating another.",
            )
        object_id = self._new_id(table) if node.kind != "INDEX" else 0
        name = node.name or self._system_name("PK" if primary else "UQ", table, "", object_id)
        if any(index.name.lower() == name.lower() for index in table.indexes):
            raise sql_error(1913, name, table.full_name)
        columns = [(table.column(column_name).name, descending) for column_name, descending in node.columns]  # type: ignore[union-attr]
        index = Index(
            index_id,
            name,
            columns,
            node.unique or node.kind != "INDEX",
            node.kind if node.kind != "INDEX" else "",
            object_id,
            clustered,
        )
        table.indexes.append(index)
        return index

    def _add_foreign_key(self, table: Table, node: ConstraintSyntax, object_id: int) -> ForeignKey:
        name = node.name or self._system_name("FK", table, node.columns[0][0], object_id)
        schema = (node.references[-2] if len(node.references) > 1 else "") or table.schema
        own = schema.lower() == table.schema.lower() and node.references[-1].lower() == table.name.lower()
        parent = table if own else self.store.catalogue.table(schema, node.references[-1])
        if parent is None:
            raise sql_error(1767, name, ".".join(node.references))
        referenced = node.reference_columns or [column for column, _ in (parent.primary_key.columns if parent.primary_key else [])]
        for column in referenced:
            if parent.column(column) is None:
                raise sql_error(1770, name, column, parent.full_name)
        wanted = sorted(column.lower() for column in referenced)
        keys = [
            sorted(column.lower() for column, _ in index.columns) for index in parent.indexes if index.unique and not index.where
        ]
        if not wanted or wanted not in keys or len(referenced) != len(node.columns):
            raise sql_error(1776, parent.full_name, name)
        key = ForeignKey(
            object_id, name, [column for column, _ in node.columns], parent.object_id, referenced, node.on_delete, node.on_update
        )
        table.foreign_keys.append(key)
        return key

    # --- storage ---

    def _create_storage(self, table: Table) -> None:
        columns = ", ".join(["__rowid INTEGER PRIMARY KEY", *(storage_column(column) for column in table.stored)])
        self.store.run(f"CREATE TABLE {table.storage} ({columns})")
        for index in table.indexes:
            self._create_index_storage(table, index)

    def _index_name(self, table: Table, index: Index, kind: str) -> str:
        return f'"i{table.object_id}_{index.index_id}{kind}"'

    def _create_index_storage(self, table: Table, index: Index) -> None:
        """SQLite lets NULLs repeat in a unique index, SQL Server does not: such an index gets a twin over expressions."""
        where = f" WHERE {index_condition(self.store, table, index.where)}" if index.where else ""
        prefix = "temp." if table.temporary else ""
        columns = ", ".join(f"{quote(name)}{' DESC' if descending else ''}" for name, descending in index.columns)
        own = [table.column(name) for name, _ in index.columns]
        nullable = index.unique and any(column is not None and column.nullable for column in own)
        unique = "UNIQUE " if index.unique and not nullable else ""
        on = f'"t{table.object_id}"'
        self.store.run(f"CREATE {unique}INDEX {prefix}{self._index_name(table, index, '')} ON {on} ({columns}){where}")
        if nullable:
            terms = ", ".join(
                f"IFNULL({quote(column.name)}, X'00'){' COLLATE ' + column.sqlite_collation if column.type.name in STRINGS else ''}"
                for column in own
                if column is not None
            )
            self.store.run(f"CREATE UNIQUE INDEX {prefix}{self._index_name(table, index, 'u')} ON {on} ({terms}){where}")

    def _drop_index_storage(self, table: Table, index: Index) -> None:
        for kind in ("", "u"):
            self.store.run(f"DROP INDEX IF EXISTS {self._index_name(table, index, kind)}")

    def _build_index(self, table: Table, index: Index) -> None:
        """Create an index over existing rows. Raises SqlError 1505."""
        import sqlite3

        try:
            self._create_index_storage(table, index)
        except sqlite3.IntegrityError:
            names = ", ".join(quote(name) for name, _ in index.columns)
            row = self.store.rows(f"SELECT {names} FROM {table.storage} GROUP BY {names} HAVING COUNT(*) > 1 LIMIT 1")[0]
            values = ", ".join(
                shown(value, column)
                for value, (name, _) in zip(row, index.columns, strict=True)
                if (column := table.column(name)) is not None
            )
            raise sql_error(1505, table.full_name, index.name, values) from None

    # --- ALTER TABLE ---

    def alter_table(self, node: AlterTable) -> None:
        """Raises SqlError 4902 and those of the change."""
        if node.name[-1].startswith("#"):
            if node.action == "CHANGE TRACKING":
                raise SqlError(1718, "Change tracking must be enabled on a database before it can be enabled on its tables.")
            raise unsupported("ALTER TABLE of a temporary table")
        found = self.store.catalogue.table((node.name[-2] if len(node.name) > 1 else "") or "dbo", node.name[-1])
        if found is None:
            raise sql_error(4902, ".".join(node.name))
        security.require_alter(self.session, found)
        with self.store.writing(found):
            if node.action == "CHANGE TRACKING":
                change_tracking.alter_table(self.session, found, node)
            else:
                table = copy.deepcopy(found)
                table.modified = self.session.owner.local_text()
                if node.action == "ADD":
                    self._alter_add(table, node)
                elif node.action == "DROP COLUMN":
                    self._alter_drop_columns(table, node)
                elif node.action == "DROP CONSTRAINT":
                    self._alter_drop_constraints(table, node)
                else:
                    self._alter_column(table, node)
                self.store.change_catalogue().put_table(table)
            self.store.save_catalogue()

    def _alter_add(self, table: Table, node: AlterTable) -> None:
        assert node.definition is not None
        constraints = list(node.definition.constraints)
        for syntax in node.definition.columns:
            constraints += syntax.constraints
            column = self._add_column(table, syntax)
            if column.computed is None:
                self._store_new_column(table, column, any(c.kind == "DEFAULT" and c.with_values for c in syntax.constraints))
        for constraint in constraints:
            added = self._add_constraint(table, constraint)
            if isinstance(added, Index):
                if added.constraint == "PRIMARY KEY":
                    self._refuse_nulls(table, added)
                self._build_index(table, added)
            elif isinstance(added, Check):
                self._check_existing(table, added)
            elif isinstance(added, ForeignKey):
                self._check_references(table, added)

    def _store_new_column(self, table: Table, column: TableColumn, with_values: bool) -> None:
        filled = self.store.rows(f"SELECT 1 FROM {table.storage} LIMIT 1")
        if (
            filled
            and not column.nullable
            and column.default is None
            and column.identity is None
            and column.type.name != "rowversion"
        ):
            raise sql_error(4901, column.name, table.name)
        self.store.run(f"ALTER TABLE {table.storage} ADD COLUMN {storage_column(column)}")
        if not filled:
            return
        if column.identity is not None:
            seed, step = column.identity
            self.store.run(
                f"UPDATE {table.storage} SET {quote(column.name)} = ? + (SELECT COUNT(*) FROM {table.storage} o "
                f"WHERE o.__rowid < {table.storage}.__rowid) * ?",
                (seed, step),
            )
            self.store.run(
                f'INSERT OR REPLACE INTO "$identity" SELECT ?, MAX({quote(column.name)}) FROM {table.storage}', (table.object_id,)
            )
        elif column.default is not None and (not column.nullable or with_values):
            unit = Unit(self.store.catalogue, {}, {}, self.store.database.name)
            compiler = StatementCompiler(unit)
            text = compiler.cast(compiler.default_value(column), column.type, cut=False).sql
            self.store.run(f"UPDATE {table.storage} SET {quote(column.name)} = {text}", self.session.parameters(unit.bindings))

    def _refuse_nulls(self, table: Table, index: Index) -> None:
        for name, _ in index.columns:
            if self.store.rows(f"SELECT 1 FROM {table.storage} WHERE {quote(name)} IS NULL LIMIT 1"):
                raise sql_error(8111, table.name)

    def _check_existing(self, table: Table, check: Check) -> None:
        text, bindings = check_query(self.store, table, check.text)
        for (rowid,) in self.store.rows(f"SELECT __rowid FROM {table.storage}"):
            values = [rowid if kind == "rowid" else self.session.parameter(kind, value) for kind, value in bindings]
            if self.store.run(text, values).fetchone() is not None:
                raise sql_error(
                    547,
                    "ALTER TABLE",
                    "CHECK",
                    check.name,
                    self.store.database.name,
                    table.full_name,
                    f", column '{check.column}'" if check.column else "",
                )

    def _check_references(self, table: Table, key: ForeignKey) -> None:
        parent = table if key.referenced_id == table.object_id else self.store.catalogue.by_id[key.referenced_id]
        assert isinstance(parent, Table)
        same = " AND ".join(f"p.{quote(b)} = c.{quote(a)}" for a, b in zip(key.columns, key.referenced_columns, strict=True))
        given = " AND ".join(f"c.{quote(name)} IS NOT NULL" for name in key.columns)
        if self.store.rows(
            f"SELECT 1 FROM {table.storage} c WHERE {given} AND NOT EXISTS (SELECT 1 FROM {parent.storage} p WHERE {same}) LIMIT 1"
        ):
            raise sql_error(
                547,
                "ALTER TABLE",
                "FOREIGN KEY",
                key.name,
                self.store.database.name,
                parent.full_name,
                f", column '{key.referenced_columns[0]}'" if len(key.columns) == 1 else "",
            )

    def _alter_drop_columns(self, table: Table, node: AlterTable) -> None:
        for name in node.names:
            column = table.column(name)
            if column is None:
                if node.if_exists:
                    continue
                raise sql_error(4924, "DROP COLUMN", name, table.name)
            self._refuse_dependents(table, column, "DROP COLUMN")
            if column.default is not None:
                raise sql_error(5074, "object", column.default_name, column.name)
            table.columns.remove(column)
            if column.computed is None:
                self.store.run(f"ALTER TABLE {table.storage} DROP COLUMN {quote(column.name)}")

    def _refuse_dependents(self, table: Table, column: TableColumn, action: str) -> None:
        name = column.name.lower()
        dependents = [index.name for index in table.indexes if any(n.lower() == name for n, _ in index.columns)]
        dependents += [key.name for key in table.foreign_keys if any(n.lower() == name for n in key.columns)]
        dependents += [check.name for check in table.checks if check.column.lower() == name]
        if dependents:
            raise SqlError(
                5074,
                f"The object '{dependents[0]}' is dependent on column '{column.name}'.\n"
                f"ALTER TABLE {action} {column.name} failed because one or more objects access this column.",
            )

    def _alter_drop_constraints(self, table: Table, node: AlterTable) -> None:
        for name in node.names:
            found = next((item for item in constraints_of(table) if item[1].lower() == name.lower()), None)
            if found is None:
                if node.if_exists:
                    continue
                raise sql_error(3728, name)
            object_id, shown_name, kind = found
            if kind in ("PK", "UQ"):
                self._drop_key(table, object_id, shown_name)
            elif kind == "C":
                table.checks = [check for check in table.checks if check.object_id != object_id]
            elif kind == "F":
                table.foreign_keys = [key for key in table.foreign_keys if key.object_id != object_id]
            else:
                column = next(column for column in table.columns if column.default_id == object_id)
                column.default, column.default_name, column.default_id = None, "", 0

    def _drop_key(self, table: Table, object_id: int, name: str) -> None:
        index = next(index for index in table.indexes if index.object_id == object_id)
        columns = sorted(column.lower() for column, _ in index.columns)
        for child, key in self.store.catalogue.referencing(table.object_id):
            if sorted(column.lower() for column in key.referenced_columns) == columns:
                raise sql_error(3725, name, child.name, key.name)
        if table.tracking is not None and index.constraint == "PRIMARY KEY":
            raise SqlError(
                3735,
                f"The primary key constraint '{name}' on table '{table.name}' cannot be dropped because change tracking is enabled "
                "on the table. Change tracking requires a primary key constraint on the table. Disable change tracking before "
                "dropping the constraint.",
            )
        self._drop_index_storage(table, index)
        table.indexes.remove(index)

    def _alter_column(self, table: Table, node: AlterTable) -> None:
        assert node.definition is not None
        syntax = node.definition.columns[0]
        column = table.column(syntax.name)
        if column is None:
            raise sql_error(4924, "ALTER COLUMN", syntax.name, table.name)
        if column.computed is not None or column.identity is not None or syntax.type is None:
            raise unsupported("ALTER COLUMN of an identity or computed column")
        if syntax.type.name != column.type.name:
            self._refuse_dependents(table, column, "ALTER COLUMN")
        unit = Unit(self.store.catalogue, {}, {}, self.store.database.name)
        converted = StatementCompiler(unit).cast(Typed(quote(column.name), column.type), syntax.type, cut=False).sql
        column.nullable = syntax.nullable is not False
        if not column.nullable and self.store.rows(f"SELECT 1 FROM {table.storage} WHERE {quote(column.name)} IS NULL LIMIT 1"):
            raise sql_error(515, column.name, f"{self.store.database.name}.{table.full_name}", "ALTER TABLE")
        column.type, column.collation = syntax.type, syntax.collation or column.collation
        length = column.type.length
        if length > 0 and column.type.name in STRINGS | {"binary", "varbinary"}:
            long = self.store.rows(f"SELECT {converted} FROM {table.storage} WHERE length({converted}) > ? LIMIT 1", (length,))
            if long:
                raise sql_error(2628, f"{self.store.database.name}.{table.full_name}", column.name, str(long[0][0])[:length])
        self._rebuild(table, {column.name: converted})

    def _rebuild(self, table: Table, values: dict[str, str]) -> None:
        """Copy all rows into a table of the new shape."""
        for index in table.indexes:
            self._drop_index_storage(table, index)
        old = f'"o{table.object_id}"'
        self.store.run(f"ALTER TABLE {table.storage} RENAME TO {old}")
        columns = ", ".join(["__rowid INTEGER PRIMARY KEY", *(storage_column(column) for column in table.stored)])
        self.store.run(f"CREATE TABLE {table.storage} ({columns})")
        names = ", ".join(quote(column.name) for column in table.stored)
        sources = ", ".join(values.get(column.name, quote(column.name)) for column in table.stored)
        self.store.run(f"INSERT INTO {table.storage} (__rowid, {names}) SELECT __rowid, {sources} FROM {old}")
        self.store.run(f"DROP TABLE {old}")
        for index in table.indexes:
            self._build_index(table, index)

    # --- other objects ---

    def create_index(self, node: CreateIndex) -> None:
        """Raises SqlError 1088, 1505, 1911, 1913."""
        if node.table[-1].startswith("#"):
            self._temporary_index(node)
            return
        found = self.store.catalogue.table((node.table[-2] if len(node.table) > 1 else "") or "dbo", node.table[-1])
        if found is None:
            raise sql_error(1088, ".".join(node.table))
        security.require_alter(self.session, found)
        with self.store.writing(found):
            table = copy.deepcopy(found)
            index = self._indexed(table, node)
            self._build_index(table, index)
            self.store.change_catalogue().put_table(table)
            self.store.save_catalogue()

    def _indexed(self, table: Table, node: CreateIndex) -> Index:
        syntax = ConstraintSyntax("INDEX", node.name, node.columns, unique=node.unique, clustered=node.clustered)
        index = self._add_constraint(table, syntax)
        assert isinstance(index, Index)
        for name in node.include:
            if table.column(name) is None:
                raise sql_error(1911, name)
        index.include, index.where = node.include, node.where
        return index

    def _temporary_index(self, node: CreateIndex) -> None:
        found = self.session.temporary.get(node.table[-1].lower())
        if found is None:
            raise sql_error(1088, node.table[-1])
        table = copy.deepcopy(found)
        index = self._indexed(table, node)
        self._build_index(table, index)
        self.session.add_temporary(table.name, table, replace=True)

    def create_schema(self, node: CreateSchema) -> None:
        """Raises SqlError 2714, 15151."""
        security.require_database(self.session, "CREATE SCHEMA")
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            if node.name.lower() in catalogue.schemas:
                raise sql_error(2714, node.name)
            if node.owner and node.owner.lower() not in catalogue.principals:
                raise sql_error(15151, "user", node.owner)
            number = max(schema.schema_id for schema in catalogue.schemas.values()) + 1
            catalogue.schemas[node.name.lower()] = Schema(number, node.name, node.owner or self.session.user)
            self.store.save_catalogue()

    def create_view(self, node: CreateView) -> None:
        """Raises SqlError 208, 2714 and those of the query."""
        security.require_database(self.session, "CREATE VIEW")
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            schema = self._schema(node.name)
            existing = catalogue.view(schema.name, node.name[-1])
            if existing is None and (node.alter or catalogue.object_named(schema.name, node.name[-1]) is not None):
                raise sql_error(208, ".".join(node.name)) if node.alter else sql_error(2714, node.name[-1])
            if existing is not None and not (node.or_alter or node.alter):
                raise sql_error(2714, node.name[-1])
            compiler = StatementCompiler(Unit(catalogue, {}, {}, self.store.database.name))
            compiler._named(compiler.compile_query(parse_query(node.text), None), node.name[-1], node.columns)
            now = self.session.owner.local_text()
            object_id = existing.object_id if existing else catalogue.new_id()
            catalogue.put_view(
                View(object_id, schema.name, node.name[-1], node.columns, node.text, existing.created if existing else now, now)
            )
            self.store.save_catalogue()

    # --- DROP and TRUNCATE ---

    def drop(self, node: DropObjects) -> None:
        """Raises SqlError 3701, 3726, 3729."""
        for name in node.names:
            if node.kind == "TABLE" and name[-1].startswith("#"):
                self._drop_temporary(name[-1], node.if_exists)
                continue
            with self.store.writing():
                catalogue = self.store.change_catalogue()
                if node.kind == "SCHEMA":
                    self._drop_schema(name[-1], node.if_exists)
                elif node.kind == "INDEX":
                    self._drop_index(name, node)
                else:
                    schema = (name[-2] if len(name) > 1 else "") or "dbo"
                    found = catalogue.table(schema, name[-1]) if node.kind == "TABLE" else catalogue.view(schema, name[-1])
                    if found is None:
                        if node.if_exists:
                            continue
                        raise sql_error(3701, node.kind.lower(), ".".join(name))
                    security.require_alter(self.session, found)
                    if isinstance(found, Table):
                        self._drop_table(found)
                    catalogue.remove(found)
                self.store.save_catalogue()

    def _drop_temporary(self, name: str, if_exists: bool) -> None:
        table = self.session.temporary.get(name.lower())
        if table is None:
            if not if_exists:
                raise sql_error(3701, "table", name)
            return
        self.session.remove_temporary(name)
        self.store.run(f"DROP TABLE {table.storage}")

    def _drop_table(self, table: Table) -> None:
        if any(child.object_id != table.object_id for child, _ in self.store.catalogue.referencing(table.object_id)):
            raise sql_error(3726, table.full_name)
        if table.tracking is not None:
            change_tracking.drop_history(self.store, table)
        self.store.run(f"DROP TABLE {table.storage}")
        self.store.run('DELETE FROM "$identity" WHERE object_id = ?', (table.object_id,))

    def _drop_schema(self, name: str, if_exists: bool) -> None:
        catalogue = self.store.change_catalogue()
        schema = catalogue.schemas.get(name.lower())
        if schema is None or schema.schema_id <= 4:
            if if_exists and schema is None:
                return
            raise sql_error(15151, "schema", name)
        inside = next((found.name for found in catalogue.by_id.values() if found.schema.lower() == name.lower()), None)
        if inside is not None:
            raise sql_error(3729, "drop schema", name, inside)
        del catalogue.schemas[name.lower()]

    def _drop_index(self, name: Name, node: DropObjects) -> None:
        table_name = node.on_table or name[:-1]
        found = (
            self.store.catalogue.table((table_name[-2] if len(table_name) > 1 else "") or "dbo", table_name[-1])
            if table_name
            else None
        )
        index = next((i for i in found.indexes if i.name.lower() == name[-1].lower()), None) if found else None
        if found is None or index is None:
            if node.if_exists:
                return
            raise sql_error(3701, "index", ".".join((*table_name, name[-1])))
        if index.constraint:
            raise SqlError(
                3723,
                f"An explicit DROP INDEX is not allowed on index '{found.full_name}.{index.name}'. It is being used for "
                f"{index.constraint} constraint enforcement.",
            )
        table = copy.deepcopy(found)
        self._drop_index_storage(table, index)
        table.indexes = [other for other in table.indexes if other.index_id != index.index_id]
        self.store.change_catalogue().put_table(table)

    def truncate(self, node: TruncateTable) -> None:
        """Raises SqlError 4701, 4712."""
        name = node.name
        if name[-1].startswith("#"):
            table = self.session.temporary.get(name[-1].lower())
        else:
            table = self.store.catalogue.table((name[-2] if len(name) > 1 else "") or "dbo", name[-1])
        if table is None:
            raise sql_error(4701, ".".join(name))
        if not table.temporary:
            security.require_alter(self.session, table)
            if any(child.object_id != table.object_id for child, _ in self.store.catalogue.referencing(table.object_id)):
                raise sql_error(4712, table.full_name)
        with self.store.writing(table):
            self.store.run(f"DELETE FROM {table.storage}")
            self.store.run('DELETE FROM "$identity" WHERE object_id = ?', (table.object_id,))
            change_tracking.truncated(self.store, table)

    # --- databases ---

    def alter_database(self, node: AlterDatabase) -> None:
        """Raises SqlError 226, 5011, 40517 and those of change tracking."""
        if node.database and node.database.lower() != self.store.database.name.lower():
            raise sql_error(5011, node.database)
        if self.store.count:
            raise SqlError(226, "ALTER DATABASE statement not allowed within multi-statement transaction.")
        security.require_database(self.session, "ALTER")
        with self.store.writing():
            options = self.store.change_catalogue().options
            for name, value in node.settings:
                if name == "CHANGE_TRACKING":
                    change_tracking.configure_database(self.session, value)
                elif name == "COMPATIBILITY_LEVEL":
                    if value not in (100, 110, 120, 130, 140, 150, 160, 170):
                        raise SqlError(
                            15048, "Valid values of the database compatibility level are 100, 110, 120, 130, 140, 150, 160 or 170."
                        )
                    options.compatibility_level = value
                elif name == "ALLOW_SNAPSHOT_ISOLATION":
                    options.snapshot_isolation = value == "ON"
                elif name == "READ_COMMITTED_SNAPSHOT":
                    options.read_committed_snapshot = value == "ON"
                elif name == "RECOVERY":
                    options.recovery_model = value
                elif name not in _IGNORED_OPTIONS:
                    raise unsupported(f"ALTER DATABASE SET {name}")
            self.store.save_catalogue()
