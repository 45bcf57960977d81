"""Expressions and conditions: T-SQL → typed SQLite text."""

from __future__ import annotations

from collections.abc import Mapping

from emulators.sql_server.catalogue.collations import Collation, check_collation
from emulators.sql_server.compiler.chains import STEPS_IN_ONE_TEXT, Chain, balanced
from emulators.sql_server.compiler.compiled_query import CompiledQuery
from emulators.sql_server.compiler.conversion import ConversionCompiler, literal_sql
from emulators.sql_server.compiler.masks import MaskedReads
from emulators.sql_server.compiler.scope import NO_CONSTANT, BoundColumn, Scope, Typed
from emulators.sql_server.compiler.sequences import SequenceCompiler
from emulators.sql_server.parser.keywords import AGGREGATES
from emulators.sql_server.parser.tree import (
    AtTimeZone,
    Between,
    Binary,
    Case,
    Cast,
    Collate,
    ColumnRef,
    Comparison,
    Default,
    Exists,
    Expression,
    FunctionCall,
    GlobalVariable,
    InList,
    InQuery,
    IsDistinct,
    IsNull,
    Like,
    Literal,
    Logical,
    Not,
    Null,
    Quantified,
    Query,
    ScalarQuery,
    Star,
    Unary,
    Variable,
)
from emulators.sql_server.parser.walk import walk
from emulators.sql_server.values.datatypes import (
    BINARIES,
    BOOLEAN,
    DECIMALS,
    FLOATS,
    INSTANTS,
    INT,
    INTEGERS,
    STRINGS,
    TEMPORALS,
    UNICODE_STRINGS,
    to_internal,
)
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.legality import require_explicit
from emulators.sql_server.values.results import SqlError, SqlType

GLOBALS: dict[str, SqlType] = {
    "rowcount": INT,
    "trancount": INT,
    "error": INT,
    "spid": SqlType("smallint"),
    "version": SqlType("nvarchar", 300),
    "identity": SqlType("numeric", 0, 38, 0),
    "servername": SqlType("nvarchar", 128),
    "lock_timeout": INT,
    "max_precision": SqlType("tinyint"),
    "options": INT,
    "language": SqlType("nvarchar", 128),
    "langid": SqlType("smallint"),
    "datefirst": SqlType("tinyint"),
    "servicename": SqlType("nvarchar", 128),
    "microsoftversion": INT,
    "nestlevel": INT,
    "textsize": INT,
    "dbts": SqlType("varbinary", 8),
    "max_connections": INT,
    "procid": INT,
}


class ExpressionCompiler(SequenceCompiler, ConversionCompiler):
    """Compiles within one unit; scopes are passed along."""

    def compile_query(self, query: Query, scope: Scope | None) -> CompiledQuery:
        raise AssertionError("given by QueryCompiler")

    def function(self, node: FunctionCall, scope: Scope) -> Typed:
        raise AssertionError("given by FunctionCompiler")

    # --- entry points ---

    def value(self, node: Expression, scope: Scope) -> Typed:
        """A scalar. Raises SqlError 4145 and others of binding."""
        if scope.grouped and not scope.free and scope.group_nodes and node in scope.group_nodes and not isinstance(node, ColumnRef):
            scope.free += 1
            try:
                return self._dispatch(node, scope)
            finally:
                scope.free -= 1
        typed = self._dispatch(node, scope)
        if typed.type is BOOLEAN:
            raise sql_error(102, "=")
        return typed

    def condition(self, node: Expression, scope: Scope) -> str:
        """A condition as SQLite text."""
        reads = self.reads
        start = len(reads.values)
        typed = self._dispatch(node, scope)
        if len(reads.values) > start:
            reads.tests += reads.taken(start)
        if typed.type is not BOOLEAN:
            raise sql_error(4145, ")")
        return typed.sql

    def _dispatch(self, node: Expression, scope: Scope) -> Typed:
        method = getattr(self, f"_compile_{type(node).__name__.lower()}", None)
        if method is None:
            raise unsupported(type(node).__name__)
        return method(node, scope)

    # --- leaves ---

    def _compile_literal(self, node: Literal, scope: Scope) -> Typed:
        value = to_internal(node.value, node.type)
        if isinstance(value, str) and "\0" in value:
            return Typed(self.unit.bind("constant", value), node.type, nullable=False)
        return Typed(literal_sql(value), node.type, constant=value, nullable=False)

    def _compile_null(self, node: Null, scope: Scope) -> Typed:
        return Typed("NULL", None, constant=None)

    reads: MaskedReads
    arguments: Mapping[str, Typed] | None = None
    """Inside an inline function: what its parameters stand for. No variable is seen there."""

    def _compile_variable(self, node: Variable, scope: Scope) -> Typed:
        if self.arguments is not None:
            if node.name not in self.arguments:
                raise sql_error(137, f"@{node.name}")
            return self.arguments[node.name]
        return Typed(self.unit.bind("variable", node.name), self.unit.variable_type(node.name))

    def _compile_globalvariable(self, node: GlobalVariable, scope: Scope) -> Typed:
        declared = GLOBALS.get(node.name)
        if declared is None:
            raise sql_error(137, f"@@{node.name}")
        return Typed(self.unit.bind("global", node.name), declared)

    def _compile_default(self, node: Default, scope: Scope) -> Typed:
        raise sql_error(156, "DEFAULT")

    def _compile_star(self, node: Star, scope: Scope) -> Typed:
        raise sql_error(102, "*")

    def _compile_columnref(self, node: ColumnRef, scope: Scope) -> Typed:
        found, owner = self.resolve(node, scope)
        if owner.grouped and not owner.free and found.sql not in owner.group_sql:
            raise sql_error(8120, ".".join(self._qualified(node, owner)))
        if found.mask is not None:
            self.reads.values.append(found.mask)
        return Typed(found.sql, found.type, found.collation, nullable=found.nullable, identity=found.identity, origin=found.origin)

    def _qualified(self, node: ColumnRef, scope: Scope) -> tuple[str, ...]:
        if len(node.parts) > 1:
            return node.parts
        for source in scope.sources:
            if source.find(node.parts[0]):
                return (*source.names, node.parts[0]) if not source.explicit_alias else (source.alias, node.parts[0])
        return node.parts

    def resolve(self, node: ColumnRef, scope: Scope) -> tuple[BoundColumn, Scope]:
        """The column that a name means. Raises SqlError 207, 209, 4104."""
        parts = node.parts
        level: Scope | None = scope
        while level is not None:
            if len(parts) == 1:
                hits = [
                    (source, column)
                    for source in level.sources
                    if not source.hidden and (column := source.find(parts[0])) is not None
                ]
                if len(hits) > 1:
                    raise sql_error(209, parts[0])
                if hits:
                    level.touched += 1
                    return hits[0][1], level
            else:
                source = level.find_source(parts[:-1])
                if source is None and len(parts) > 3:
                    source = level.find_source(parts[1:-1])
                if source is not None:
                    column = source.find(parts[-1])
                    if column is None:
                        raise sql_error(207, parts[-1])
                    level.touched += 1
                    return column, level
            level = level.parent
        raise sql_error(207, parts[0]) if len(parts) == 1 else sql_error(4104, ".".join(parts))

    # --- conditions ---

    def _compile_comparison(self, node: Comparison, scope: Scope) -> Typed:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        return Typed(self.comparison(node.op, left, right), BOOLEAN)

    def _compile_logical(self, node: Logical, scope: Scope) -> Typed:
        return Typed(balanced(f" {node.op} ", [self.condition(operand, scope) for operand in node.operands]), BOOLEAN)

    def _compile_not(self, node: Not, scope: Scope) -> Typed:
        return Typed(f"(NOT {self.condition(node.operand, scope)})", BOOLEAN)

    def _compile_isnull(self, node: IsNull, scope: Scope) -> Typed:
        return Typed(f"({self.value(node.operand, scope).sql} IS {'NOT ' if node.negated else ''}NULL)", BOOLEAN)

    def _compile_isdistinct(self, node: IsDistinct, scope: Scope) -> Typed:
        op = "IS" if node.negated else "IS NOT"
        return Typed(self.comparison(op, self.value(node.left, scope), self.value(node.right, scope)), BOOLEAN)

    def _compile_between(self, node: Between, scope: Scope) -> Typed:
        operand = self.value(node.operand, scope)
        low = self.comparison(">=", operand, self.value(node.low, scope))
        high = self.comparison("<=", operand, self.value(node.high, scope))
        return Typed(f"({'NOT ' if node.negated else ''}({low} AND {high}))", BOOLEAN)

    def _compile_inlist(self, node: InList, scope: Scope) -> Typed:
        operand = self.value(node.operand, scope)
        items = [self.value(item, scope) for item in node.items]
        if any(typed.type is not None and typed.type.name in BINARIES | {"sql_variant"} for typed in (operand, *items)):
            equal = balanced(" OR ", [self.comparison("=", operand, item) for item in items])
            return Typed(f"(NOT {equal})" if node.negated else equal, BOOLEAN)
        for item in items:
            self.comparison("=", operand, item)
        common = self.unify(operand, *items)
        collation = self.collation_of(operand, *items)
        left = self.collated(self._for_comparison(operand, common).sql, common, collation)
        listed = ", ".join(
            self.collated(self._for_comparison(item, common).sql, common, collation)
            if common.name == "datetimeoffset"
            else self._for_comparison(item, common).sql
            for item in items
        )
        return Typed(f"({left} {'NOT ' if node.negated else ''}IN ({listed}))", BOOLEAN)

    def _compile_inquery(self, node: InQuery, scope: Scope) -> Typed:
        operand = self.value(node.operand, scope)
        query = self.compile_query(node.query, scope)
        column = self._only_column(query)
        self.comparison("=", operand, column)
        common = self.unify(operand, column)
        if common.name == "sql_variant":
            raise unsupported("comparison of sql_variant")
        collation = self.collation_of(operand, column)
        left = self.collated(self._for_comparison(operand, common).sql, common, collation)
        inner = self._for_comparison(Typed("_1", column.type, column.collation), common)
        right = self.collated(inner.sql, common, collation) if common.name == "datetimeoffset" else inner.sql
        if common.name in BINARIES:
            left, right = f"k_first_bytes({left})", f"k_first_bytes({right})"
        text = query.sql() if right == "_1" else f"SELECT {right} FROM ({query.sql()})"
        return Typed(f"({left} {'NOT ' if node.negated else ''}IN ({text}))", BOOLEAN)

    def _only_column(self, query: CompiledQuery) -> Typed:
        if len(query.columns) != 1:
            raise sql_error(116)
        return query.columns[0][1]

    def _compile_like(self, node: Like, scope: Scope) -> Typed:
        operand, pattern = self.value(node.operand, scope), self.value(node.pattern, scope)
        collation = self.collation_of(operand, pattern, operation="like")
        text = SqlType("nvarchar", -1)
        escape = self.cast(self.value(node.escape, scope), text).sql if node.escape is not None else "''"
        unicode = any(typed.type is not None and typed.type.name in UNICODE_STRINGS for typed in (operand, pattern))
        options = int(collation != "CI") + 2 * int(unicode)
        call = f"k_like({self.cast(operand, text).sql}, {self.cast(pattern, text).sql}, {escape}, {options})"
        return Typed(f"(NOT {call})" if node.negated else f"({call})", BOOLEAN)

    def _compile_exists(self, node: Exists, scope: Scope) -> Typed:
        return Typed(f"EXISTS ({self.compile_query(node.query, scope).sql()})", BOOLEAN)

    def _compile_quantified(self, node: Quantified, scope: Scope) -> Typed:
        left = self.value(node.left, scope)
        query = self.compile_query(node.query, scope)
        column = self._only_column(query)
        test = self.comparison(node.op, left, Typed("q._1", column.type, column.collation))
        rows = f"EXISTS (SELECT 1 FROM ({query.sql()}) q WHERE"
        decides, otherwise = (f"NOT {test}", 1) if node.every else (test, 0)
        text = f"(CASE WHEN {rows} {decides}) THEN {1 - otherwise} WHEN {rows} {test} IS NULL) THEN NULL ELSE {otherwise} END)"
        return Typed(text, BOOLEAN)

    # --- other expressions ---

    def _compile_case(self, node: Case, scope: Scope) -> Typed:
        with self.one_of_several():
            return self._case(node, scope)

    def _case(self, node: Case, scope: Scope) -> Typed:
        if all(isinstance(result, Null) for result in (*(result for _, result in node.whens), node.otherwise or Null())):
            raise sql_error(8133)
        tests = []
        for test, _ in node.whens:
            tests.append(self.condition(test if node.operand is None else Comparison("=", node.operand, test), scope))
        results = [self.value(result, scope) for _, result in node.whens]
        otherwise = self.value(node.otherwise, scope) if node.otherwise is not None else Typed("NULL", None)
        return self.choose(tests, results, otherwise)

    def _compile_cast(self, node: Cast, scope: Scope) -> Typed:
        style: int | None = None
        if node.style is not None:
            styled = self.value(node.style, scope)
            if styled.constant is NO_CONSTANT or not isinstance(styled.constant, int):
                raise unsupported("CONVERT with a style that is no constant")
            style = styled.constant
        operand = self.value(node.operand, scope)
        if node.type.name == "xml" and style:
            raise unsupported(f"CONVERT to xml with style {style}")
        if (
            operand.type is not None
            and operand.type.name not in TEMPORALS | FLOATS | {"money", "smallmoney", "sql_variant"}
            and node.type.name not in BINARIES
            and operand.type.name not in BINARIES
            and not (operand.type.name in STRINGS and node.type.name in TEMPORALS)
        ):
            style = None
        if operand.type is not None:
            require_explicit(operand.type, node.type)
        self.explicit = True
        try:
            return self.cast(operand, node.type, style, node.lenient)
        finally:
            self.explicit = False

    def _compile_collate(self, node: Collate, scope: Scope) -> Typed:
        operand = self.value(node.operand, scope)
        if operand.type is None or operand.type.name not in STRINGS:
            raise SqlError(447, "Expression type is invalid for COLLATE clause.")
        check_collation(node.collation)
        collation = Collation.named(node.collation, explicit=True)
        return Typed(operand.sql, operand.type, collation, operand.constant, operand.nullable)

    def _compile_attimezone(self, node: AtTimeZone, scope: Scope) -> Typed:
        operand, zone = self.value(node.operand, scope), self.value(node.zone, scope)
        kind = operand.type.name if operand.type else ""
        if kind not in INSTANTS | {"datetimeoffset"}:
            raise sql_error(8116, kind, 1, "AT TIME ZONE")
        scale = operand.type.scale if operand.type and kind != "smalldatetime" else 0
        return Typed(f"k_at_zone({operand.sql}, {zone.sql})", SqlType("datetimeoffset", 0, 0, scale))

    def _compile_scalarquery(self, node: ScalarQuery, scope: Scope) -> Typed:
        query = self.compile_query(node.query, scope)
        column = self._only_column(query)
        if column.mask is not None:
            self.reads.values.append(column.mask)
        if query.single_row:
            return Typed(f"({query.sql()})", column.type, column.collation, json=column.json)
        return Typed(f"(SELECT k_single(_1) FROM ({query.sql()}))", column.type, column.collation)

    def _compile_functioncall(self, node: FunctionCall, scope: Scope) -> Typed:
        return self.function(node, scope)

    # --- arithmetic ---

    def _compile_unary(self, node: Unary, scope: Scope) -> Typed:
        operand = self.value(node.operand, scope)
        name = operand.type.name if operand.type else "int"
        if node.op == "~":
            if name not in INTEGERS:
                raise sql_error(8117, name, "'~'")
            return Typed(f"(1 - {operand.sql})" if name == "bit" else f"(~{operand.sql})", operand.type)
        if name in INTEGERS:
            return Typed(f"k_int(-({operand.sql}), '{name}')", operand.type)
        if name in FLOATS:
            return Typed(f"(-({operand.sql}))", operand.type)
        if name in DECIMALS:
            return Typed(f"k_negate({operand.sql})", operand.type)
        if name in STRINGS:
            return Typed(f"k_int(-({self.cast(operand, INT).sql}), 'int')", INT)
        raise sql_error(8117, name, "minus")

    def _compile_binary(self, node: Binary, scope: Scope) -> Typed:
        steps: list[Binary] = []  # a + b + c is (a + b) + c: the chain from its end
        start: Expression = node
        while isinstance(start, Binary) and not (steps and scope.group_nodes and start in scope.group_nodes):
            steps.append(start)
            start = start.left
        grouped = scope.grouped and not scope.free
        chain = Chain(self.value(start, scope), grouped or (len(steps) >= STEPS_IN_ONE_TEXT and _looks_at_rows(node)))
        for step in reversed(steps):
            chain.add(self.binary(step.op, chain.value, self.value(step.right, scope)))
        return chain.finish()


def _looks_at_rows(node: Expression) -> bool:
    """Whether the value depends on other rows: it has a window or an aggregate."""
    calls = (part for part in walk(node) if isinstance(part, FunctionCall))
    return any(call.over is not None or call.name in AGGREGATES for call in calls)
