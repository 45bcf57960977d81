"""ALTER TABLE."""

from __future__ import annotations

import copy
from dataclasses import replace

from emulators.sql_server.catalogue.collations import check_collation
from emulators.sql_server.catalogue.masking import parse_mask
from emulators.sql_server.catalogue.model import constraints_of, quote, storage_column
from emulators.sql_server.catalogue.objects import Check, ForeignKey, Index, Table, TableColumn
from emulators.sql_server.compiler.scope import Typed, Unit
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.objects import security
from emulators.sql_server.objects.dependencies import depends_on
from emulators.sql_server.objects.limits import require_key_fits, require_row_fits
from emulators.sql_server.objects.table_builder import TableBuilder
from emulators.sql_server.objects.table_storage import build_index, drop_index
from emulators.sql_server.parser.batches import parse_condition, parse_expression, parse_query
from emulators.sql_server.parser.tree import AlterTable, TableColumnSyntax
from emulators.sql_server.parser.walk import columns_in
from emulators.sql_server.storage import change_tracking
from emulators.sql_server.storage.writer import check_query
from emulators.sql_server.values.datatypes import STRINGS, display
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.legality import CONVERSIONS, named
from emulators.sql_server.values.results import SqlError, SqlType


class TableAlterer(TableBuilder):
    """Changes tables for one session."""

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
                elif node.action == "CHECK CONSTRAINT":
                    self._switch_constraints(table, node)
                elif node.action in ("ADD MASKED", "DROP MASKED"):
                    self._change_mask(table, node)
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
                self._store_new_column(table, column, syntax.default_with_values)
        self._type_computed_columns(table, node.definition.columns)
        require_row_fits(table)
        for constraint in constraints:
            added = self._add_constraint(table, constraint)
            if isinstance(added, Index):
                if added.constraint == "PRIMARY KEY":
                    self._refuse_nulls(table, added)
                build_index(self.store, table, added)
            elif isinstance(added, (Check, ForeignKey)):
                added.untrusted = node.check_existing is False
                if not added.untrusted:
                    self._try_on_existing(table, added)

    def _try_on_existing(self, table: Table, constraint: Check | ForeignKey) -> None:
        """Raises SqlError 547."""
        if isinstance(constraint, Check):
            self._check_existing(table, constraint)
        else:
            self._check_references(table, constraint)

    def _switch_constraints(self, table: Table, node: AlterTable) -> None:
        """CHECK CONSTRAINT and NOCHECK CONSTRAINT. Raises SqlError 547, 4917, 11415."""
        constraints: list[Check | ForeignKey] = [*table.checks, *table.foreign_keys]
        wanted = [name.lower() for name in node.names]
        known = {constraint.name.lower() for constraint in constraints}
        for name in node.names:
            if name.lower() in known:
                continue
            if any(name.lower() == other.lower() for _, other, _ in constraints_of(table)):
                raise sql_error(11415, name)
            raise sql_error(4917, name)
        for constraint in constraints:
            if wanted and constraint.name.lower() not in wanted:
                continue
            if not node.enable:
                constraint.disabled = constraint.untrusted = True
                continue
            constraint.disabled = False
            if node.check_existing:
                self._try_on_existing(table, constraint)
                constraint.untrusted = False

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
            if unit.sequences:
                raise unsupported("ADD of a column with NEXT VALUE FOR to a table that has rows")
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
        dependents += [
            check.name for check in table.checks if check.column.lower() == name or name in columns_in(parse_condition(check.text))
        ]
        dependents += [
            index.name
            for index in table.indexes
            if name in map(str.lower, index.include) or (index.where and name in columns_in(parse_condition(index.where)))
        ]
        dependents += [
            other.name for other in table.columns if other.computed and name in columns_in(parse_expression(other.computed))
        ]
        dependents += self._bound_to(table, name)
        self._refuse(dependents, column, action)

    def _bound_to(self, table: Table, name: str) -> list[str]:
        """Views, functions and policies that are bound to a column, given in lower case."""
        catalogue = self.store.catalogue
        modules = [
            module.name
            for module in (*catalogue.views.values(), *catalogue.functions.values())
            if table.object_id in module.bound and name in columns_in(parse_query(module.text))
        ]
        return modules + [policy.name for policy in catalogue.policies.values() if depends_on(policy, table.object_id, name)]

    def _refuse(self, dependents: list[str], column: TableColumn, action: str) -> None:
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
        drop_index(self.store, table, index)
        table.indexes.remove(index)

    def _alter_column(self, table: Table, node: AlterTable) -> None:
        assert node.definition is not None
        syntax = node.definition.columns[0]
        column = table.column(syntax.name)
        if column is None:
            raise sql_error(4924, "ALTER COLUMN", syntax.name, table.name)
        if column.mask and syntax.mask is None:
            raise unsupported("ALTER COLUMN of a masked column without MASKED")
        if syntax.mask is not None:
            security.require_database(self.session, "ALTER ANY MASK")
        if syntax.type is not None:
            kind, alias = self.store.catalogue.resolved(syntax.type)
            implied = alias.nullable if alias is not None and syntax.nullable is None else syntax.nullable
            syntax = replace(syntax, type=kind, nullable=implied)
            column.alias_id = alias.user_type_id if alias is not None else 0
        collation = check_collation(syntax.collation)
        if column.computed is not None or column.identity is not None or syntax.type is None:
            raise unsupported("ALTER COLUMN of an identity or computed column")
        if "rowversion" in (column.type.name, syntax.type.name):
            raise _no_rowversion(column, syntax.type)
        same = (column.type, column.nullable, column.collation)
        if (syntax.type, syntax.nullable is not False, collation) != same and not (
            collation == column.collation and _only_grows(column, syntax)
        ):
            self._refuse_dependents(table, column, "ALTER COLUMN")
        self._refuse(self._bound_to(table, column.name.lower()), column, "ALTER COLUMN")
        if column.type.name != syntax.type.name and CONVERSIONS.get((column.type.name, syntax.type.name)) == "none":
            raise sql_error(206, named(column.type), named(syntax.type))
        unit = Unit(self.store.catalogue, {}, {}, self.store.database.name)
        converted = StatementCompiler(unit).cast(Typed(quote(column.name), column.type), syntax.type, cut=False).sql
        column.nullable = syntax.nullable is not False
        if not column.nullable and self.store.rows(f"SELECT 1 FROM {table.storage} WHERE {quote(column.name)} IS NULL LIMIT 1"):
            raise sql_error(515, column.name, f"{self.store.database.name}.{table.full_name}", "ALTER TABLE")
        column.type, column.collation = syntax.type, collation
        require_row_fits(table)
        for index in table.indexes:
            require_key_fits(table, index)
        if syntax.mask is not None:
            column.mask = parse_mask(syntax.mask, column.name, column.type)
        length = column.type.length
        if length > 0 and column.type.name in STRINGS | {"binary", "varbinary"}:
            long = self.store.rows(f"SELECT {converted} FROM {table.storage} WHERE length({converted}) > ? LIMIT 1", (length,))
            if long:
                raise sql_error(2628, f"{self.store.database.name}.{table.full_name}", column.name, str(long[0][0])[:length])
        self._rebuild(table, {column.name: converted})

    def _change_mask(self, table: Table, node: AlterTable) -> None:
        """Raises SqlError 262, 4924, 5074, 16002 to 16007, 40517."""
        security.require_database(self.session, "ALTER ANY MASK")
        column = table.column(node.names[0])
        if column is None:
            raise sql_error(4924, "ALTER COLUMN", node.names[0], table.name)
        if column.computed is not None:
            raise unsupported("a mask of a computed column")
        if node.action == "DROP MASKED":
            if not column.mask:
                raise sql_error(16007, column.name, state=0)
            column.mask = ""
            return
        mask = parse_mask(node.mask, column.name, column.type)
        self._refuse_dependents(table, column, "ALTER COLUMN")
        column.mask = mask

    def _rebuild(self, table: Table, values: dict[str, str]) -> None:
        """Copy all rows into a table of the new shape."""
        for index in table.indexes:
            drop_index(self.store, table, index)
        old = f'"o{table.object_id}"'
        self.store.run(f"ALTER TABLE {table.storage} RENAME TO {old}")
        columns = ", ".join(["__rowid INTEGER PRIMARY KEY", *(storage_column(column) for column in table.stored)])
        self.store.run(f"CREATE TABLE {table.storage} ({columns})")
        names = ", ".join(quote(column.name) for column in table.stored)
        sources = ", ".join(values.get(column.name, quote(column.name)) for column in table.stored)
        self.store.run(f"INSERT INTO {table.storage} (__rowid, {names}) SELECT __rowid, {sources} FROM {old}")
        self.store.run(f"DROP TABLE {old}")
        for index in table.indexes:
            build_index(self.store, table, index)


def _only_grows(column: TableColumn, syntax: TableColumnSyntax) -> bool:
    """Whether indexes and constraints stay as they are: a column of varying length gets longer, and nothing else."""
    old, new = column.type, syntax.type
    assert new is not None
    varying = old.name == new.name and old.name in ("varchar", "nvarchar", "varbinary")
    return varying and (syntax.nullable is not False) == column.nullable and (new.length < 0 or 0 < old.length <= new.length)


def _no_rowversion(column: TableColumn, new: SqlType) -> SqlError:
    if column.type.name == "rowversion":
        return SqlError(4928, f"Cannot alter column '{column.name}' because it is 'timestamp'.")
    return SqlError(4927, f"Cannot alter column '{column.name}' to be data type {display(new, False)}.")
