"""CHANGETABLE: net changes out of the history table of a tracked table.

The history keeps every change: id (order), version, operation, mask, context and the key columns k0, k1, …. Only versions up to
the last committed one are shown, so that a transaction does not see its own changes.
"""

from __future__ import annotations

from emulators.sql_server.catalogue.masking import Mask
from emulators.sql_server.catalogue.model import collate_clause, has_equal_forms, quote
from emulators.sql_server.catalogue.objects import Index, Table, TableColumn
from emulators.sql_server.compiler.scope import Bound, BoundColumn, Scope
from emulators.sql_server.compiler.tables import TableCompiler
from emulators.sql_server.parser.tree import ChangesSource, GlobalVariable, Literal, Name, Null, Unary, Variable, VersionSource
from emulators.sql_server.values.datatypes import BIGINT, STRINGS
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

COMMITTED = "(SELECT value FROM \"$state\" WHERE key = 'version')"
_CONTEXT = SqlType("varbinary", 128)


def key_columns(table: Table) -> list[TableColumn]:
    """The primary key's columns in key order."""
    key: Index | None = table.primary_key
    assert key is not None
    return [column for name, _ in key.columns if (column := table.column(name)) is not None]


def _tracked(compiler: TableCompiler, name: Name) -> Table:
    found = compiler.lookup(name)
    if isinstance(found, str) or (len(name) > 1 and name[-2].lower() == "sys"):
        raise SqlError(
            22107,
            f"Object '{'.'.join(name)}' is of a data type that is not supported by the CHANGETABLE function. "
            "The object must be a user-defined table.",
        )
    table = compiler.find_table(name)
    if table.tracking is None:
        raise sql_error(22105, ".".join(name))
    compiler.unit.reads.add(table.object_id)
    compiler.unit.permissions |= {("SELECT", table.object_id), ("VIEW CHANGE TRACKING", table.object_id)}
    return table


def changes_source(compiler: TableCompiler, node: ChangesSource, scope: Scope) -> str:
    """CHANGETABLE(CHANGES …): one row for each key changed after ``since``. Raises SqlError 208, 22105."""
    table = _tracked(compiler, node.table)
    if (
        not isinstance(node.since, (Literal, Variable, Null, GlobalVariable, Unary))
        or isinstance(node.since, Literal)
        and not isinstance(node.since.value, int)
    ):
        raise sql_error(102, "CHANGES")
    since = compiler.cast(compiler.value(node.since, Scope()), BIGINT).sql
    inner = compiler.unit.alias()
    keys = key_columns(table)
    columns = [
        ("SYS_CHANGE_VERSION", BIGINT, "_version", False, "CI"),
        ("SYS_CHANGE_CREATION_VERSION", BIGINT, "_creation", True, "CI"),
        ("SYS_CHANGE_OPERATION", SqlType("nchar", 1), "_operation", False, "CS"),
        ("SYS_CHANGE_COLUMNS", SqlType("varbinary", 4100), "_columns", True, "CI"),
        ("SYS_CHANGE_CONTEXT", _CONTEXT, "_context", True, "CI"),
    ]
    columns += [(column.name, column.type, f"k{number}", False, column.sqlite_collation) for number, column in enumerate(keys)]
    names = node.columns or [column[0] for column in columns]
    if len(names) != len(columns):
        raise sql_error(8158 if len(names) < len(columns) else 8159, node.alias)
    bound = Bound(
        node.alias,
        [
            BoundColumn(name, kind, f"{inner}.{sql}", nullable, False, collation, _key_mask(table, place - 5))
            for place, (name, (_, kind, sql, nullable, collation)) in enumerate(zip(names, columns, strict=True))
        ],
    )
    compiler.register(bound, scope)

    def render() -> str:
        listed = ", ".join(f"k{number}" for number in range(len(keys)))
        mask_wanted = names[3].lower() in bound.used
        mask = ", k_mask(op, mask) AS m" if mask_wanted else ""
        columns_sql = "CASE WHEN l.op <> 'D' THEN g.m END" if mask_wanted else "NULL"
        operation = "CASE WHEN l.op = 'D' THEN 'D' WHEN f.op = 'I' THEN 'I' ELSE 'U' END"
        fields = ", ".join(f"{'g' if _has_one_form(k) else 'f'}.k{number} AS k{number}" for number, k in enumerate(keys))
        return (
            f"(SELECT l.version AS _version, g.c AS _creation, {operation} AS _operation, {columns_sql} AS _columns, "
            f"l.context AS _context, {fields} "
            f"FROM (SELECT MIN(id) AS a, MAX(id) AS z, MAX(CASE WHEN op = 'I' THEN version END) AS c{mask}, {listed} "
            f"FROM {table.history} INDEXED BY {version_index(table)} "
            f"WHERE version > IFNULL({since}, 0) AND IFNULL({since}, 0) >= 0 AND version <= {COMMITTED} GROUP BY {listed}) g "
            f"JOIN {table.history} l ON l.id = g.z JOIN {table.history} f ON f.id = g.a) AS {inner}"
        )

    return compiler.unit.defer(render)


def _has_one_form(column: TableColumn) -> bool:
    """Whether equal values are the same. Then the group has the key, and SQLite can join by an index of the groups.

    Else the key is as in its first change.
    """
    return not (collate_clause(column) or has_equal_forms(column) or column.type.name in ("float", "real"))


def _key_mask(table: Table, place: int) -> Mask | None:
    column = key_columns(table)[place] if place >= 0 else None
    if column is None or not column.mask:
        return None
    return Mask(column.mask, frozenset({(table.object_id, column.column_id)}), "CHANGETABLE of a masked column")


def version_index(table: Table) -> str:
    return f'"h{table.object_id}_version"'


def _version_parts(compiler: TableCompiler, node: VersionSource, scope: Scope) -> tuple[Table, list[tuple[str, SqlType, str]], str]:
    """Columns as expressions, and the condition that the row is known."""
    table = _tracked(compiler, node.table)
    keys = key_columns(table)
    given = [name.lower() for name in node.keys]
    for name in node.keys:
        if table.column(name) is None:
            raise sql_error(207, name)
        if name.lower() not in (column.name.lower() for column in keys):
            raise SqlError(
                22111 if len(given) == len(keys) else 22110,
                f"The column '{name}' specified in the CHANGETABLE(VERSION ...) function is not part of the primary key for table "
                f"'{'.'.join(node.table)}'.",
            )
    if sorted(given) != sorted(column.name.lower() for column in keys):
        raise SqlError(
            22110,
            "The number of columns specified in the CHANGETABLE(VERSION ...) function does not match the number of primary key "
            f"columns for table '{'.'.join(node.table)}'.",
        )
    if len(node.values) != len(keys):
        raise SqlError(
            22103,
            "The number of column values specified in the CHANGETABLE(VERSION ...) function does not match the number of "
            "columns specified.",
        )
    values = {}
    for name, value in zip(given, node.values, strict=True):
        column = next(column for column in keys if column.name.lower() == name)
        values[name] = compiler.cast(compiler.value(value, scope), column.type, cut=False)
    history = " AND ".join(f"h.k{n} = {_collated(values[column.name.lower()].sql, column)}" for n, column in enumerate(keys))
    rows = " AND ".join(f"t.{quote(column.name)} = {_collated(values[column.name.lower()].sql, column)}" for column in keys)
    newest = f"FROM {table.history} h WHERE {history} ORDER BY h.id DESC LIMIT 1"
    columns = [
        ("SYS_CHANGE_VERSION", BIGINT, f"(SELECT CASE WHEN h.version <= {COMMITTED} THEN h.version END {newest})"),
        ("SYS_CHANGE_CONTEXT", _CONTEXT, f"(SELECT h.context {newest})"),
    ]
    columns += [(column.name, column.type, values[column.name.lower()].sql) for column in keys]
    known = f"(EXISTS (SELECT 1 FROM {table.storage} t WHERE {rows}) OR EXISTS (SELECT 1 FROM {table.history} h WHERE {history}))"
    return table, columns, known


def _collated(sql: str, column: TableColumn) -> str:
    return f"({sql}) COLLATE {column.sqlite_collation}" if column.type.name in STRINGS else sql


def version_source(compiler: TableCompiler, node: VersionSource, scope: Scope) -> str:
    """CHANGETABLE(VERSION …) whose values do not depend on other sources."""
    _, columns, known = _version_parts(compiler, node, Scope(scope.parent, scope.ctes))
    inner = compiler.unit.alias()
    names = node.columns or [name for name, _, _ in columns]
    compiler.register(
        Bound(
            node.alias,
            [
                BoundColumn(name, kind, f"{inner}._{n}")
                for n, (name, (_, kind, _)) in enumerate(zip(names, columns, strict=True), 1)
            ],
        ),
        scope,
    )
    listed = ", ".join(f"{sql} AS _{number}" for number, (_, _, sql) in enumerate(columns, 1))
    return f"(SELECT {listed} WHERE {known}) AS {inner}"


def apply_version(compiler: TableCompiler, node: VersionSource, scope: Scope, outer: bool) -> None:
    """CROSS or OUTER APPLY CHANGETABLE(VERSION …): at most one row for each outer row, so its columns are expressions."""
    _, columns, known = _version_parts(compiler, node, scope)
    names = node.columns or [name for name, _, _ in columns]
    bound = []
    for number, (name, (_, kind, sql)) in enumerate(zip(names, columns, strict=True)):
        key = number >= 2
        bound.append(BoundColumn(name, kind, f"(CASE WHEN {known} THEN {sql} END)" if outer and key else sql))
    compiler.register(Bound(node.alias, bound), scope)
    if not outer:
        scope.extra_conditions.append(known)
