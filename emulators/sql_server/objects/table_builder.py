"""Tables out of their definitions: columns, constraints, indexes."""

from __future__ import annotations

import itertools
import zlib
from dataclasses import replace
from typing import Any

from emulators.sql_server.catalogue.collations import DEFAULT_COLLATION, check_collation
from emulators.sql_server.catalogue.masking import parse_mask
from emulators.sql_server.catalogue.model import constraints_of
from emulators.sql_server.catalogue.objects import Check, ForeignKey, Index, Table, TableColumn
from emulators.sql_server.compiler.scope import Scope, Unit
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.objects import security
from emulators.sql_server.objects.definition_rules import (
    require_different_columns,
    require_identity,
    require_no_subquery,
    require_one_rowversion,
    require_possible_actions,
    require_same_types,
)
from emulators.sql_server.objects.limits import require_key_fits, require_row_fits
from emulators.sql_server.parser.batches import parse_condition, parse_expression
from emulators.sql_server.parser.tree import (
    ColumnRef,
    Comparison,
    ConstraintSyntax,
    Expression,
    InList,
    IsNull,
    Logical,
    TableColumnSyntax,
    TableDefinition,
)
from emulators.sql_server.parser.walk import columns_in, is_sequential_id, walk
from emulators.sql_server.storage.session import Session
from emulators.sql_server.storage.writer import check_query, own_columns_scope
from emulators.sql_server.values.datatypes import INT, alias_parts
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError

_TEMPORARY_IDS = itertools.count(1)


def temporary_id() -> int:
    """An object_id for a #table, a table variable, or one of their constraints."""
    return -next(_TEMPORARY_IDS)


def _is_simple(condition: Expression) -> bool:
    """Whether a filtered index may have it: comparisons of columns with constants, IN and IS NULL, joined by AND."""
    if isinstance(condition, Logical):
        return condition.op == "AND" and all(map(_is_simple, condition.operands))
    if isinstance(condition, Comparison):
        return isinstance(condition.left, ColumnRef) and not any(isinstance(part, ColumnRef) for part in walk(condition.right))
    if isinstance(condition, InList):
        return isinstance(condition.operand, ColumnRef) and not condition.negated
    return isinstance(condition, IsNull) and isinstance(condition.operand, ColumnRef)


class TableBuilder:
    """Builds tables for one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.store = session.store

    def build(
        self, definition: TableDefinition, schema: str, name: str, object_id: int, temporary: bool = False, variable: bool = False
    ) -> Table:
        """The table that a definition describes."""
        now = self.session.owner.local_text()
        table = Table(object_id, schema, name, [], created=now, modified=now, temporary=temporary, variable=variable)
        self._add_columns(table, definition.columns)
        if sum(column.identity is not None for column in table.columns) > 1:
            raise sql_error(2744, name)
        constraints = list(definition.constraints)
        for column in definition.columns:
            constraints += column.constraints
        constraints.sort(key=lambda constraint: constraint.kind != "PRIMARY KEY")
        for constraint in constraints:
            self._add_constraint(table, constraint)
        require_row_fits(table)
        return table

    def _add_columns(self, table: Table, nodes: list[TableColumnSyntax]) -> None:
        """A computed column may name columns that come behind it. Raises SqlError 1759, 2705."""
        for node in nodes:
            self._add_column(table, node)
        self._type_computed_columns(table, nodes)

    def _type_computed_columns(self, table: Table, nodes: list[TableColumnSyntax]) -> None:
        for node in nodes:
            column = table.column(node.name)
            if node.computed is not None and column is not None:
                self._type_computed(table, column, node.computed)

    def _new_id(self, table: Table) -> int:
        return temporary_id() if table.temporary else self.store.change_catalogue().new_id()

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
        number = len(table.columns) + 1
        if alias_parts(node.type) and table.temporary and not table.variable:
            raise sql_error(2715, number, ".".join(alias_parts(node.type)))  # the types of tempdb
        kind, alias = self.store.catalogue.resolved(node.type, number)
        node = replace(node, type=kind)
        assert node.type is not None
        collation = check_collation(node.collation)
        primary = any(constraint.kind == "PRIMARY KEY" for constraint in node.constraints)
        if primary and node.nullable:
            raise sql_error(8111, table.name)
        nullable = node.nullable if node.nullable is not None else not (primary or node.identity or node.type.name == "rowversion")
        if alias is not None and node.nullable is None and not primary:
            nullable = alias.nullable
        require_identity(table, node, node.type)
        require_one_rowversion(table, node, node.type)
        if node.rowguid and node.type.name != "uniqueidentifier":
            raise unsupported(f"ROWGUIDCOL of {node.type.name}")
        if node.identity:
            nullable = False
        column = TableColumn(table.next_column_id, node.name, node.type, nullable, node.identity, collation=collation)
        if node.mask is not None:
            column.mask = parse_mask(node.mask, column.name, column.type)
        if alias is not None:
            column.alias_id = alias.user_type_id
        table.next_column_id += 1
        table.columns.append(column)
        if node.default is not None:
            self._set_default(table, column, *node.default)
        return column

    def _set_default(self, table: Table, column: TableColumn, name: str, text: str) -> None:
        unit = Unit(self.store.catalogue, {}, {}, self.store.database.name)
        compiler = StatementCompiler(unit)
        expression = parse_expression(text)
        require_no_subquery(expression)
        if not (is_sequential_id(expression) and column.type.name == "uniqueidentifier"):
            with compiler.drawing():
                compiler.assigned_as(compiler.value(expression, Scope()), column.type)
        if name:
            self._require_free(table, name)
        column.default, column.default_id = text, self._new_id(table)
        column.default_name = name or self._system_name("DF", table, column.name, column.default_id)

    def _add_computed(self, table: Table, node: TableColumnSyntax) -> TableColumn:
        column = TableColumn(
            table.next_column_id,
            node.name,
            INT,
            node.nullable is not False,
            computed=node.computed,
            persisted=node.persisted,
        )
        table.next_column_id += 1
        table.columns.append(column)
        return column

    def _type_computed(self, table: Table, column: TableColumn, text: str) -> None:
        expression = parse_expression(text)
        require_no_subquery(expression)
        computed = {other.name.lower(): other.name for other in table.columns if other.computed is not None}
        for name in sorted(columns_in(expression) & set(computed)):
            raise sql_error(1759, computed[name], table.name)
        unit = Unit(self.store.catalogue, {}, {}, self.store.database.name)
        column.type = StatementCompiler(unit).value(expression, own_columns_scope(table)).type or INT

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
            require_no_subquery(parse_condition(check.text))
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
            if column.type.name == "sql_variant":
                raise unsupported("an index on sql_variant")
            if column.computed is not None and (primary or node.unique or node.kind == "UNIQUE"):
                raise unsupported("a unique index or key on a computed column")
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
            node.include,
            node.where,
        )
        require_different_columns([*(column.lower() for column, _ in columns), *map(str.lower, node.include)])
        require_key_fits(table, index)
        for included in node.include:
            if table.column(included) is None:
                raise sql_error(1911, included)
        if node.where and not _is_simple(parse_condition(node.where)):
            raise sql_error(10735, name, table.full_name)
        table.indexes.append(index)
        return index

    def _add_foreign_key(self, table: Table, node: ConstraintSyntax, object_id: int) -> ForeignKey:
        name = node.name or self._system_name("FK", table, node.columns[0][0], object_id)
        schema = (node.references[-2] if len(node.references) > 1 else "") or self.session.default_schema
        own = schema.lower() == table.schema.lower() and node.references[-1].lower() == table.name.lower()
        parent = table if own else self.store.catalogue.table(schema, node.references[-1])
        if parent is None:
            raise sql_error(1767, name, ".".join(node.references))
        if not own:
            security.require(self.session, [("REFERENCES", parent.object_id)])
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
        require_same_types(table, parent, key, DEFAULT_COLLATION)
        require_possible_actions(table, key)
        table.foreign_keys.append(key)
        self._refuse_cascade_paths(table, key)
        return key

    def _refuse_cascade_paths(self, table: Table, key: ForeignKey) -> None:
        """No table may be reached twice by the cascades of one change. Raises SqlError 1785."""
        tables = [*(other for other in self.store.catalogue.tables.values() if other.object_id != table.object_id), table]
        for action in ("on_delete", "on_update"):
            children: dict[int, list[tuple[int, bool]]] = {}
            for child in tables:
                for other in child.foreign_keys:
                    if getattr(other, action) != "NO ACTION":
                        goes_on = getattr(other, action) == "CASCADE"
                        children.setdefault(other.referenced_id, []).append((child.object_id, goes_on))
            for root in children:
                reached = [root]
                waiting = list(children[root])
                while waiting:
                    child_id, goes_on = waiting.pop()
                    if child_id in reached:
                        raise sql_error(1785, key.name, table.name)
                    reached.append(child_id)
                    waiting += children.get(child_id, []) if goes_on else []
