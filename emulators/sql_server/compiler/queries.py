"""Queries: SELECT, set operations, VALUES, common tables."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emulators.sql_server.catalogue.model import quote_text
from emulators.sql_server.compiler.compiled_query import CompiledQuery
from emulators.sql_server.compiler.conversion import varying_bytes
from emulators.sql_server.compiler.functions.aggregates import refuse_aggregates
from emulators.sql_server.compiler.json import json_object, refuse_conflicts
from emulators.sql_server.compiler.masks import combined
from emulators.sql_server.compiler.scope import NO_CONSTANT, BoundColumn, BoundCte, Scope, Typed
from emulators.sql_server.compiler.sources import SourceCompiler
from emulators.sql_server.parser.keywords import AGGREGATES
from emulators.sql_server.parser.tree import (
    ColumnRef,
    CommonTable,
    Expression,
    ForJson,
    FunctionCall,
    Literal,
    Node,
    OrderItem,
    Query,
    Select,
    SelectItem,
    SetOperation,
    Star,
    TableSource,
    ValuesRows,
)
from emulators.sql_server.parser.walk import deep_walk, walk
from emulators.sql_server.values.datatypes import ASSEMBLY_TYPES, BIGINT, INT, NVARCHAR_MAX, STRINGS, VARBINARY_MAX
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError, SqlType


class QueryCompiler(SourceCompiler):
    """Compiles query expressions."""

    _recursive_tables: Sequence[str] = ()

    def compile_query(
        self, query: Query, scope: Scope | None, top_level: bool = False, expose_rowid: bool = False
    ) -> CompiledQuery:
        """``scope`` is the enclosing one, for correlated subqueries."""
        ctes = dict(scope.ctes) if scope is not None else {}
        prefix = self._bind_common_tables(query, ctes, scope)
        with self.at_level(top_level):
            compiled = self._body(query.body, scope, ctes, query, top_level, expose_rowid)
        if prefix:
            compiled.before = f"WITH RECURSIVE {', '.join(prefix)} " + compiled.before
        if query.for_json is not None:
            compiled = self._for_json(compiled, query.for_json)
        return compiled

    # --- common tables ---

    def bind_common_tables(self, tables: list[CommonTable], max_recursion: int = 100) -> dict[str, BoundCte]:
        """For DML: common tables before the statement; the recursive ones wait for :meth:`with_recursive`."""
        ctes: dict[str, BoundCte] = {}
        self._recursive_tables = self._bind_common_tables(Query(Select([]), tables, max_recursion=max_recursion), ctes, None)
        return ctes

    def with_recursive(self, sql: str) -> str:
        """The text with the recursive common tables that were bound for it."""
        return f"WITH RECURSIVE {', '.join(self._recursive_tables)} {sql}" if self._recursive_tables else sql

    def _bind_common_tables(self, query: Query, ctes: dict[str, BoundCte], scope: Scope | None) -> list[str]:
        prefix: list[str] = []
        for table in query.ctes:
            key = table.name.lower()
            if _refers_to_itself(table):
                prefix.append(self._recursive(table, ctes, scope, query.max_recursion))
            else:
                ctes[key] = BoundCte(table, dict(ctes))
        return prefix

    def _recursive(self, table: CommonTable, ctes: dict[str, BoundCte], scope: Scope | None, limit: int) -> str:
        body = table.query.body
        if not isinstance(body, SetOperation) or body.op != "UNION" or not body.every:
            raise sql_error(102, table.name)
        outer = Scope(scope, ctes)
        anchor = self._body(body.left, outer, dict(ctes), Query(body.left), False, False)
        name = f"r{self.unit.alias()}"
        columns = [
            BoundColumn(
                table.columns[i] if table.columns else column_name,
                typed.type or INT,
                f"_{i + 1}",
                True,
                False,
                typed.collation,
                combined([typed.mask], "a recursive query over a masked column") if typed.mask else None,
            )
            for i, (column_name, typed) in enumerate(anchor.columns)
        ]
        bound = BoundCte(table, dict(ctes), columns, name)
        ctes[table.name.lower()] = bound
        inner = self._body(body.right, outer, dict(ctes), Query(body.right), False, False)
        if len(inner.columns) != len(anchor.columns):
            raise sql_error(205)
        rest = combined([typed.mask for _, typed in inner.columns if typed.mask], "a recursive query over a masked column")
        if rest is not None:
            self.unit.doubts.append(rest)
        casts = [
            self.cast(Typed("{}", typed.type), column.type).sql for (_, typed), column in zip(inner.columns, columns, strict=True)
        ]
        names = ", ".join(column.sql for column in columns)
        depth = f"{bound.recursive_name}_depth"
        first = f"SELECT {names}, 0 FROM ({anchor.sql()})"
        inner.items.append(depth)
        inner.columns.append(("", Typed(depth, INT)))
        text = inner.sql([*casts, f"k_recursion({{}} + 1, {limit})"])
        return f"{name}({names}, {depth}) AS ({first} UNION ALL {text})"

    # --- bodies ---

    def _body(
        self, body: Node, scope: Scope | None, ctes: dict[str, BoundCte], query: Query, top_level: bool, expose: bool
    ) -> CompiledQuery:
        if isinstance(body, Select):
            return self._select(body, Scope(scope, ctes), query, top_level, expose)
        if isinstance(body, SetOperation):
            return self._set_operation(body, scope, ctes, query)
        if isinstance(body, ValuesRows):
            return self._value_rows(body, Scope(scope, ctes))
        if isinstance(body, Query):
            return self._ordered(self.compile_query(body, Scope(scope, ctes), top_level), query, Scope(scope, ctes))
        raise unsupported(type(body).__name__)

    def _value_rows(self, body: ValuesRows, scope: Scope) -> CompiledQuery:
        rows = [[self.value(item, scope) for item in row] for row in body.rows]
        width = len(rows[0])
        if any(len(row) != width for row in rows):
            raise SqlError(10709, "The number of columns for each row in a table value constructor must be the same.", 16)
        types = [self.unify(*(row[i] for row in rows)) for i in range(width)]
        text = ", ".join(
            "(" + ", ".join(self.cast(item, kind).sql for item, kind in zip(row, types, strict=True)) + ")" for row in rows
        )
        columns = [
            ("", Typed(f"_{i + 1}", kind, self.collation_of(*(row[i] for row in rows), operation="UNION ALL")))
            for i, kind in enumerate(types)
        ]
        return CompiledQuery(
            columns, [f"column{i + 1}" for i in range(width)], after=f" FROM (VALUES {text})", single_row=len(rows) == 1
        )

    def _set_operation(self, body: SetOperation, scope: Scope | None, ctes: dict[str, BoundCte], query: Query) -> CompiledQuery:
        left = self._body(body.left, scope, ctes, Query(body.left), False, False)
        right = self._body(body.right, scope, ctes, Query(body.right), False, False)
        if len(left.columns) != len(right.columns):
            raise sql_error(205)
        columns: list[tuple[str, Typed]] = []
        left_casts, right_casts = [], []
        for number, ((name, a), (_, b)) in enumerate(zip(left.columns, right.columns, strict=True), 1):
            common = self.unify(a, b)
            collation = self.collation_of(a, b, operation=f"{body.op}{' ALL' if body.every else ''}")
            collate = f" COLLATE {collation}" if common.name in STRINGS and not body.every else ""
            left_casts.append(self.cast(Typed("{}", a.type, a.collation), common).sql + collate)
            right_casts.append(self.cast(Typed("{}", b.type, b.collation), common).sql + collate)
            mask = combined([typed.mask for typed in (a, b) if typed.mask is not None], "a set operation over a masked column")
            columns.append((name, Typed(f"_{number}", common, collation, nullable=a.nullable or b.nullable, mask=mask)))
        same_bytes = not body.every and any(varying_bytes(typed.type) for _, typed in columns)
        if same_bytes and body.op != "UNION":
            raise unsupported(f"{body.op} of varbinary")
        op = f"{body.op}{' ALL' if body.every or same_bytes else ''}"
        compiled = CompiledQuery(columns, [], compound=(_recast(left, left_casts), op, _recast(right, right_casts)))
        if same_bytes:
            self._deduplicate(compiled)
        return self._ordered(compiled, query, Scope(scope, ctes))

    def _ordered(self, compiled: CompiledQuery, query: Query, scope: Scope) -> CompiledQuery:
        """ORDER BY and OFFSET of a query whose columns are only known by name."""
        if not query.order and query.offset is None:
            return compiled
        if compiled.order or compiled.limit:
            compiled = CompiledQuery(
                compiled.columns, [f"_{i + 1}" for i in range(len(compiled.columns))], after=f" FROM ({compiled.sql()})"
            )
        keys = []
        for item in query.order:
            place = self._order_place(item.expression, compiled.columns)
            if place is None:
                place = _place_in_first_select(item.expression, query.body)
            if place is None:
                raise sql_error(104)
            keys.append(self._order_key(compiled.columns[place][1], f"_{place + 1}", item))
        compiled.order = f" ORDER BY {', '.join(keys)}"
        compiled.limit = self._limit(None, query, scope)
        return compiled

    def _order_place(self, expression: Expression, columns: list[tuple[str, Typed]]) -> int | None:
        if isinstance(expression, Literal) and isinstance(expression.value, int):
            if not 1 <= expression.value <= len(columns):
                raise SqlError(
                    108,
                    f"The ORDER BY position number {expression.value} is out of range of the number of items in the select list.",
                    15,
                )
            return expression.value - 1
        if isinstance(expression, ColumnRef) and len(expression.parts) == 1:
            wanted = expression.parts[0].lower()
            for place, (name, _) in enumerate(columns):
                if name.lower() == wanted:
                    return place
        return None

    def _order_key(self, typed: Typed, sql: str, item: OrderItem) -> str:
        return self.sort_key(Typed(sql, typed.type, typed.collation)) + (" DESC" if item.descending else "")

    # --- SELECT ---

    def _select(self, select: Select, scope: Scope, query: Query, top_level: bool, expose: bool) -> CompiledQuery:
        text = f" FROM {self.source(select.source, scope)}" if select.source is not None else ""
        if select.where is not None:
            refuse_aggregates(select.where, 147)
        for key in select.group:
            refuse_aggregates(key, 144)
        conditions = [self.condition(select.where, scope)] if select.where is not None else []
        conditions += scope.extra_conditions
        aggregated = self._is_aggregated(select, query)
        with self.reads.no_value():
            group = self._group(select, scope) if select.group else []
        scope.grouped = aggregated
        with self.drawing(top_level and self._is_plain(select, query) and not aggregated):
            names, items, assignments = self._items(select.items, scope)
        having = self.condition(select.having, scope) if select.having is not None else ""
        columns = [
            (
                name,
                Typed(
                    f"_{number}",
                    item.type,
                    item.collation,
                    nullable=item.nullable,
                    identity=item.identity,
                    json=item.json,
                    mask=item.mask,
                    origin=item.origin,
                ),
            )
            for number, (name, item) in enumerate(zip(names, items, strict=True), 1)
        ]
        compiled = CompiledQuery(columns, [self._item_sql(item, select.distinct) for item in items], distinct=select.distinct)
        same_bytes = select.distinct and any(varying_bytes(item.type) for item in items)
        compiled.assignments = assignments
        if query.order:
            if not top_level and select.top is None and query.offset is None and query.for_json is None:
                raise sql_error(1033)
            with self.reads.no_value():
                compiled.order = self._order_by(query.order, select, scope, columns, items)
        where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
        compiled.after = text + where + (f" GROUP BY {', '.join(group)}" if group else "") + (f" HAVING {having}" if having else "")
        if same_bytes:
            self._deduplicate(compiled)
        compiled.limit = self._limit(select, query, scope)
        compiled.single_row = (aggregated and not select.group) or select.source is None or self._takes_one(select)
        if expose:
            self._expose_rowid(compiled, scope, select)
        return compiled

    def _is_plain(self, select: Select, query: Query) -> bool:
        """Every row of the sources is a row of the result."""
        return not (select.distinct or select.top or query.order or query.offset is not None or query.for_json)

    def _takes_one(self, select: Select) -> bool:
        return (
            select.top is not None
            and isinstance(select.top.count, Literal)
            and select.top.count.value == 1
            and not select.top.percent
        )

    def _deduplicate(self, compiled: CompiledQuery) -> None:
        """DISTINCT or UNION, where values that are not the same may be equal."""
        order, compiled.order, compiled.distinct = compiled.order, "", False
        keys = [self.sort_key(Typed(typed.sql, typed.type, typed.collation)) for _, typed in compiled.columns]
        text = compiled.sql()
        compiled.items, compiled.compound = [f"_{number}" for number in range(1, len(keys) + 1)], None
        compiled.after, compiled.order = f" FROM ({text}) GROUP BY {', '.join(keys)}", order

    def _item_sql(self, item: Typed, distinct: bool) -> str:
        if distinct and item.type is not None and item.type.name == "sql_variant":
            raise unsupported("sql_variant in GROUP BY, ORDER BY, DISTINCT, MIN or MAX")
        if distinct and item.type is not None and item.type.name in STRINGS:
            return f"({item.sql}) COLLATE {item.collation}"
        return item.sql

    def _is_aggregated(self, select: Select, query: Query) -> bool:
        if select.group or select.having is not None:
            return True
        nodes: list[Expression] = [item.expression for item in select.items] + [item.expression for item in query.order]
        return any(
            isinstance(node, FunctionCall) and node.name in AGGREGATES and node.over is None
            for root in nodes
            for node in walk(root)
        )

    def _group(self, select: Select, scope: Scope) -> list[str]:
        keys = []
        scope.free += 1
        for expression in select.group:
            touched = scope.touched
            typed = self.value(expression, scope)
            if scope.touched == touched:
                raise SqlError(164, "Each GROUP BY expression must contain at least one column that is not an outer reference.", 15)
            scope.group_nodes.append(expression)
            scope.group_sql.add(typed.sql)
            keys.append(self.sort_key(typed))
        scope.free -= 1
        return keys

    def _items(self, nodes: list[SelectItem], scope: Scope) -> tuple[list[str], list[Typed], list[tuple[str, str]]]:
        names: list[str] = []
        items: list[Typed] = []
        assignments: list[tuple[str, str]] = []
        for node in nodes:
            if isinstance(node.expression, Star):
                for name, typed in self._expand(node.expression, scope):
                    names.append(name)
                    items.append(typed)
                continue
            start, tests = len(self.reads.values), len(self.reads.tests)
            typed = self.value(node.expression, scope)
            typed = self._with_mask(typed, node.expression, start, tests)
            if node.variable:
                declared = self.unit.variable_type(node.variable)
                if node.op != "=":
                    typed = self.binary(node.op[0], Typed(self.unit.bind("variable", node.variable), declared), typed)
                assignments.append((node.variable, node.op))
                mask = typed.mask
                if mask is not None and typed.type != declared:
                    mask = combined([mask])
                typed = self.assigned_as(typed, declared, cut=True)
                if mask is not None:
                    typed = replace(typed, mask=mask)
            names.append(node.alias or (node.expression.parts[-1] if isinstance(node.expression, ColumnRef) else ""))
            items.append(typed)
        if assignments and len(assignments) != len(items):
            raise sql_error(141)
        return names, items, assignments

    def _with_mask(self, typed: Typed, node: Expression, start: int, tests: int) -> Typed:
        """An item of a select list with its mask: a column's own, or for an expression that of its type."""
        read, tested = self.reads.taken(start), self.reads.tests[tests:]
        if tested:
            read += tested
            del self.reads.tests[tests:]
        if not read:
            return typed
        if isinstance(node, ColumnRef):
            return replace(typed, mask=read[0])
        return replace(typed, mask=combined(read, "a masked column that decides on a value" if tested else ""))

    def _expand(self, star: Star, scope: Scope) -> list[tuple[str, Typed]]:
        sources = scope.sources
        if star.qualifier:
            found = scope.find_source(star.qualifier)
            if found is None:
                raise sql_error(107, ".".join(star.qualifier))
            sources = [found]
        elif not sources:
            raise sql_error(102, "*")
        expanded = []
        for source in sources:
            if source.hidden:
                continue
            for column in source.columns:
                source.find(column.name)
                if scope.grouped and column.sql not in scope.group_sql:
                    raise sql_error(8120, f"{source.alias}.{column.name}")
                expanded.append(
                    (
                        column.name,
                        Typed(
                            column.sql,
                            column.type,
                            column.collation,
                            nullable=column.nullable,
                            identity=column.identity,
                            mask=column.mask,
                            origin=column.origin,
                        ),
                    )
                )
        scope.touched += len(expanded)
        return expanded

    def _order_by(
        self, order: list[OrderItem], select: Select, scope: Scope, columns: list[tuple[str, Typed]], items: list[Typed]
    ) -> str:
        keys = []
        for item in order:
            place = self._order_place(item.expression, columns)
            if place is None:
                typed = self.value(item.expression, scope)
                if select.distinct:
                    place = next((i for i, other in enumerate(items) if other.sql == typed.sql), None)
                    if place is None:
                        raise sql_error(145)
                else:
                    keys.append(self._order_key(typed, typed.sql, item))
                    continue
            keys.append(self._order_key(columns[place][1], f"_{place + 1}", item))
        return f" ORDER BY {', '.join(keys)}"

    def _limit(self, select: Select | None, query: Query, scope: Scope) -> str:
        if select is not None and select.top is not None:
            if select.top.percent:
                raise unsupported("TOP PERCENT")
            if select.top.ties:
                raise unsupported("TOP WITH TIES")
            if query.offset is not None:
                raise sql_error(102, "OFFSET")
            return f" LIMIT {self.row_count(select.top.count, scope)}"
        if query.offset is None:
            return ""
        fetch = self.row_count(query.fetch, scope) if query.fetch is not None else "-1"
        return f" LIMIT {fetch} OFFSET {self.row_count(query.offset, scope)}"

    def row_count(self, node: Expression, scope: Scope) -> str:
        """The operand of TOP, OFFSET or FETCH."""
        typed = self.value(node, Scope(scope.parent, scope.ctes))
        if typed.constant is not NO_CONSTANT and isinstance(typed.constant, int) and typed.constant >= 0:
            return str(typed.constant)
        return f"k_top({self.cast(typed, BIGINT).sql})"

    def _expose_rowid(self, compiled: CompiledQuery, scope: Scope, select: Select) -> None:
        """Make a common table the target of UPDATE or DELETE."""
        tables = [source for source in scope.sources if source.table is not None and source.rowid]
        if len(tables) != 1 or scope.grouped or select.distinct:
            raise unsupported("UPDATE or DELETE of a common table expression over several tables")
        compiled.rowid = tables[0].rowid
        compiled.base_columns = []
        by_sql = {column.sql: column.name for column in tables[0].columns}
        compiled.base_columns = [by_sql.get(item, "") for item in compiled.items]

    # --- FOR JSON ---

    def _for_json(self, compiled: CompiledQuery, clause: ForJson) -> CompiledQuery:
        """FOR JSON PATH, and AUTO over one source, as an aggregate over the rows."""
        if any(not name for name, _ in compiled.columns):
            raise SqlError(
                13605,
                "Column expressions and data sources without names or aliases cannot be formatted as JSON text using "
                "FOR JSON clause. Add alias to the unnamed column or table.",
            )
        if clause.root is not None and clause.without_array:
            raise SqlError(
                13620,
                "ROOT option and WITHOUT_ARRAY_WRAPPER option cannot be used together in FOR JSON. Remove one of these options.",
            )
        refuse_conflicts([name for name, _ in compiled.columns])
        if clause.mode == "AUTO" and "JOIN" in compiled.after:
            raise unsupported("FOR JSON AUTO over several tables")
        mask = combined([typed.mask for _, typed in compiled.columns if typed.mask], "FOR JSON over a masked column")
        item = json_object(self, compiled.columns, clause.include_nulls)
        rows = f"k_json_rows({item}, {quote_text(clause.root or '')}, {int(clause.without_array)}, {int(clause.root is not None)})"
        text = f"SELECT {rows} AS _1 FROM ({compiled.sql()})"
        return CompiledQuery(
            [("JSON_F52E2B61-18A1-11d1-B105-00805F49916B", Typed("_1", NVARCHAR_MAX, json=True, mask=mask))],
            ["_1"],
            wrapped=text,
            single_row=True,
        )


def _recast(query: CompiledQuery, casts: list[str]) -> CompiledQuery:
    """The query with every column converted."""
    if all(cast == "{}" for cast in casts):
        return query
    if query.compound is None and not query.wrapped:
        query.items = [cast.format(item) for cast, item in zip(casts, query.items, strict=True)]
        return query
    items = [cast.format(f"_{number}") for number, cast in enumerate(casts, 1)]
    return CompiledQuery(query.columns, items, after=f" FROM ({query.sql()})")


def _refers_to_itself(table: CommonTable) -> bool:
    if not isinstance(table.query.body, SetOperation):
        return False
    named = (part.name for part in deep_walk(table.query.body.right) if isinstance(part, TableSource))
    return any(len(name) == 1 and name[0].lower() == table.name.lower() for name in named)


def type_or_int(typed: Typed) -> SqlType:
    """The type of a result column; an untyped NULL is an int, as in the real server."""
    return typed.type or INT


def shown_type(typed: Typed) -> SqlType:
    """The type of a result column for clients, which get CLR types as varbinary(max)."""
    kind = type_or_int(typed)
    return VARBINARY_MAX if kind.name in ASSEMBLY_TYPES else kind


def _place_in_first_select(expression: Expression, body: Node) -> int | None:
    """Where a set operation's first SELECT has this very column, as in ``SELECT t.a … UNION … ORDER BY t.a``."""
    while isinstance(body, SetOperation):
        body = body.left
    if not isinstance(expression, ColumnRef) or not isinstance(body, Select):
        return None
    wanted = [part.lower() for part in expression.parts]
    for place, item in enumerate(body.items):
        given = getattr(item, "expression", None)
        if isinstance(given, ColumnRef) and [part.lower() for part in given.parts] == wanted:
            return place
    return None
