"""What the definition of a table may not say."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.catalogue.objects import ForeignKey, Table, TableColumn
from emulators.sql_server.parser.tree import Exists, InQuery, Quantified, ScalarQuery, TableColumnSyntax
from emulators.sql_server.parser.walk import walk
from emulators.sql_server.values.datatypes import BINARIES, INTEGER_RANGES, INTEGERS, STRINGS
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError, SqlType


def require_identity(table: Table, node: TableColumnSyntax, kind: SqlType) -> None:
    """Raises SqlError 1754, 2749, 2752, 2753."""
    if node.identity is None:
        return
    whole = kind.name in INTEGERS - {"bit"} or kind.name in ("decimal", "numeric") and kind.scale == 0
    if not whole or node.nullable:
        raise sql_error(2749, node.name)
    low, high = INTEGER_RANGES.get(kind.name, (1 - 10**kind.precision, 10**kind.precision - 1))
    seed, step = node.identity
    if not low <= seed <= high:
        raise SqlError(2752, f"Identity column '{node.name}' contains invalid SEED.")
    if step == 0 or abs(step) > high:
        raise SqlError(2753, f"Identity column '{node.name}' contains invalid INCREMENT.")
    if node.default is not None:
        raise sql_error(1754, table.name, node.name)


def require_different_columns(names: list[str]) -> None:
    """Raises SqlError 1909."""
    for place, name in enumerate(names):
        if name in names[:place]:
            raise SqlError(1909, f"Cannot use duplicate column names in index. Column name '{name}' listed more than once.")


def require_one_rowversion(table: Table, node: TableColumnSyntax, kind: SqlType) -> None:
    """Raises SqlError 2738."""
    if kind.name == "rowversion" and any(column.type.name == "rowversion" for column in table.columns):
        raise sql_error(2738, table.name, node.name)


def require_no_subquery(expression: Any) -> None:
    """CHECK, DEFAULT and computed columns see their own row only. Raises SqlError 1046."""
    if any(isinstance(part, (Exists, InQuery, Quantified, ScalarQuery)) for part in walk(expression)):
        raise SqlError(1046, "Subqueries are not allowed in this context. Only scalar expressions are allowed.", 15)


def require_same_types(table: Table, parent: Table, key: ForeignKey, default_collation: str) -> None:
    """Raises SqlError 1753, 1757, 1778."""
    for own_name, name in zip(key.columns, key.referenced_columns, strict=True):
        own, other = table.column(own_name), parent.column(name)
        assert own is not None and other is not None
        places = (f"{parent.name}.{other.name}", f"{table.name}.{own.name}", key.name)
        if {own.type.name, other.type.name} == {"decimal", "numeric"}:
            raise unsupported("a foreign key between decimal and numeric")
        if own.type.name != other.type.name:
            raise sql_error(1778, *places)
        if own.type != other.type:
            raise sql_error(1753, *places)
        if own.type.name in STRINGS and (own.collation or default_collation) != (other.collation or default_collation):
            raise sql_error(1757, *places)
        if own.type.name in BINARIES - {"binary", "rowversion"}:
            raise unsupported("a foreign key of varbinary")


def require_possible_actions(table: Table, key: ForeignKey) -> None:
    """What ON DELETE and ON UPDATE set must be possible. Raises SqlError 1761, 1762."""
    columns: list[TableColumn | None] = [table.column(name) for name in key.columns]
    fixed = [column for column in columns if column is not None and not column.nullable]
    for action in (key.on_delete, key.on_update):
        if action == "SET NULL" and fixed:
            raise sql_error(1761, key.name)
        if action == "SET DEFAULT" and any(column.default is None for column in fixed):
            raise sql_error(1762, key.name)
