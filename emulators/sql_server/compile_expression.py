"""Expressions and conditions: T-SQL → typed SQLite text."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .catalogue import quote_text, sqlite_collation
from .compiler import NO_CONSTANT, BoundColumn, Scope, Typed, Unit
from .conversions import converter
from .datatypes import (
    BINARIES,
    BIT,
    BOOLEAN,
    DECIMALS,
    FLOAT,
    FLOATS,
    INSTANTS,
    INT,
    INTEGER_RANGES,
    INTEGERS,
    MONEY,
    NUMBERS,
    STRINGS,
    TEMPORALS,
    UNICODE_STRINGS,
    arithmetic_decimal_type,
    as_decimal_type,
    common_type,
    decimal_type,
    display,
    to_internal,
)
from .errors import sql_error, unsupported
from .results import SqlError, SqlType
from .runtime import conversion_key
from .syntax import (
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

if TYPE_CHECKING:
    from .compile_query import CompiledQuery

_GLOBALS: dict[str, SqlType] = {
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


def literal_sql(value: Any) -> str:
    """A constant of an inner form, as SQLite text."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return quote_text(value)
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return repr(value)


class ExpressionCompiler:
    """Compiles within one unit; scopes are passed along."""

    unit: Unit

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
        typed = self._dispatch(node, scope)
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

    def _compile_variable(self, node: Variable, scope: Scope) -> Typed:
        return Typed(self.unit.bind("variable", node.name), self.unit.variable_type(node.name))

    def _compile_globalvariable(self, node: GlobalVariable, scope: Scope) -> Typed:
        declared = _GLOBALS.get(node.name)
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
        return Typed(found.sql, found.type, found.collation, nullable=found.nullable, identity=found.identity)

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

    # --- conversion ---

    def cast(self, typed: Typed, target: SqlType, style: int | None = None, lenient: bool = False, cut: bool = True) -> Typed:
        """The expression as another type; nothing is emitted where the inner forms agree."""
        source = typed.type
        collation = typed.collation if source is not None and source.name in STRINGS else "CI"
        if source is None:
            return Typed("NULL", target, constant=None)
        if style is None and _same_form(source, target, cut):
            return Typed(typed.sql, target, collation, typed.constant, typed.nullable)
        if source.name == "date" and target.name in ("datetime2", "datetime") and style is None:
            return Typed(f"({typed.sql} || ' 00:00:00.0000000')", target)
        if source.name in INTEGERS and target.name == "float":
            return Typed(f"CAST({typed.sql} AS REAL)", target)
        try:
            convert = converter(source, target, style, cut)
        except SqlError:
            if lenient and source.name in STRINGS:
                return Typed("NULL", target)
            raise
        if typed.constant is not NO_CONSTANT:
            try:
                value = None if typed.constant is None else convert(typed.constant)
                return Typed(literal_sql(value), target, collation, value)
            except SqlError:
                if lenient:
                    return Typed("NULL", target, constant=None)
        key = conversion_key(source, target, style, cut, lenient)
        return Typed(f"k_convert({typed.sql}, {key})", target, collation)

    def unify(self, *operands: Typed) -> SqlType:
        """The common type of operands, untyped NULLs aside."""
        common: SqlType | None = None
        for operand in operands:
            if operand.type is not None:
                common = operand.type if common is None else common_type(common, operand.type)
        return common or INT

    def _pair(self, left: Typed, right: Typed) -> tuple[Typed, Typed, SqlType]:
        common = self.unify(left, right)
        return self._for_comparison(left, common), self._for_comparison(right, common), common

    def _for_comparison(self, typed: Typed, common: SqlType) -> Typed:
        if typed.type is None:
            return Typed("NULL", common)
        if typed.type.name in STRINGS and common.name in STRINGS:
            return typed
        if typed.type.name in DECIMALS and common.name in DECIMALS:
            return typed
        if typed.type.name in INSTANTS and common.name in INSTANTS:
            return typed
        if typed.type.name in INTEGERS and common.name in INTEGERS:
            return typed
        if typed.type.name in BINARIES and common.name in BINARIES:
            return typed
        if typed.type.name in INTEGERS and common.name in DECIMALS:
            return self.cast(typed, as_decimal_type(typed.type))
        if typed.type.name in STRINGS and common.name in DECIMALS:
            return self.cast(typed, decimal_type(38, max(common.scale, 10)))
        if common.name in STRINGS:
            common = SqlType("nvarchar", -1)
        return self.cast(typed, common)

    def collation_of(self, *operands: Typed) -> str:
        """The SQLite collation of a comparison between strings."""
        return "CS" if any(operand.collation == "CS" for operand in operands) else "CI"

    def collated(self, sql: str, common: SqlType, collation: str) -> str:
        """An operand with the collation that its comparison needs."""
        if common.name in STRINGS:
            return f"({sql}) COLLATE {collation}"
        if common.name == "datetimeoffset":
            return f"substr({sql}, 1, 27)"
        return sql

    def sort_key(self, typed: Typed) -> str:
        """The text to group, order or deduplicate by."""
        if typed.type is None:
            return typed.sql
        return self.collated(typed.sql, typed.type, typed.collation)

    # --- conditions ---

    def _compile_comparison(self, node: Comparison, scope: Scope) -> Typed:
        left, right = self.value(node.left, scope), self.value(node.right, scope)
        return Typed(self.comparison(node.op, left, right), BOOLEAN)

    def comparison(self, op: str, left: Typed, right: Typed) -> str:
        a, b, common = self._pair(left, right)
        if common.name in STRINGS:
            return f"({a.sql} {op} ({b.sql}) COLLATE {self.collation_of(left, right)})"
        if common.name == "datetimeoffset":
            return f"({self.collated(a.sql, common, '')} {op} {self.collated(b.sql, common, '')})"
        return f"({a.sql} {op} {b.sql})"

    def _compile_logical(self, node: Logical, scope: Scope) -> Typed:
        return Typed(f"({self.condition(node.left, scope)} {node.op} {self.condition(node.right, scope)})", BOOLEAN)

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
        common = self.unify(operand, column)
        collation = self.collation_of(operand, column)
        left = self.collated(self._for_comparison(operand, common).sql, common, collation)
        inner = self._for_comparison(Typed("_1", column.type, column.collation), common)
        right = self.collated(inner.sql, common, collation) if common.name == "datetimeoffset" else inner.sql
        text = query.sql() if right == "_1" else f"SELECT {right} FROM ({query.sql()})"
        return Typed(f"({left} {'NOT ' if node.negated else ''}IN ({text}))", BOOLEAN)

    def _only_column(self, query: CompiledQuery) -> Typed:
        if len(query.columns) != 1:
            raise sql_error(116)
        return query.columns[0][1]

    def _compile_like(self, node: Like, scope: Scope) -> Typed:
        operand, pattern = self.value(node.operand, scope), self.value(node.pattern, scope)
        collation = self.collation_of(operand, pattern)
        text = SqlType("nvarchar", -1)
        escape = self.cast(self.value(node.escape, scope), text).sql if node.escape is not None else "''"
        call = f"k_like({self.cast(operand, text).sql}, {self.cast(pattern, text).sql}, {escape}, {int(collation == 'CS')})"
        return Typed(f"(NOT {call})" if node.negated else f"({call})", BOOLEAN)

    def _compile_exists(self, node: Exists, scope: Scope) -> Typed:
        return Typed(f"EXISTS ({self.compile_query(node.query, scope).sql()})", BOOLEAN)

    def _compile_quantified(self, node: Quantified, scope: Scope) -> Typed:
        left = self.value(node.left, scope)
        query = self.compile_query(node.query, scope)
        column = self._only_column(query)
        test = self.comparison(node.op, left, Typed("q._1", column.type, column.collation))
        if not node.every:
            return Typed(f"EXISTS (SELECT 1 FROM ({query.sql()}) q WHERE {test})", BOOLEAN)
        return Typed(f"(NOT EXISTS (SELECT 1 FROM ({query.sql()}) q WHERE NOT {test}))", BOOLEAN)

    # --- other expressions ---

    def _compile_case(self, node: Case, scope: Scope) -> Typed:
        tests = []
        for test, _ in node.whens:
            tests.append(self.condition(test if node.operand is None else Comparison("=", node.operand, test), scope))
        results = [self.value(result, scope) for _, result in node.whens]
        otherwise = self.value(node.otherwise, scope) if node.otherwise is not None else Typed("NULL", None)
        return self.choose(tests, results, otherwise)

    def choose(self, tests: list[str], results: list[Typed], otherwise: Typed) -> Typed:
        """A CASE over compiled parts."""
        common = self.unify(*results, otherwise)
        arms = " ".join(f"WHEN {test} THEN {self.cast(result, common).sql}" for test, result in zip(tests, results, strict=True))
        nullable = otherwise.nullable or any(result.nullable for result in results)
        return Typed(
            f"(CASE {arms} ELSE {self.cast(otherwise, common).sql} END)",
            common,
            self.collation_of(*results, otherwise),
            nullable=nullable,
        )

    def _compile_cast(self, node: Cast, scope: Scope) -> Typed:
        style: int | None = None
        if node.style is not None:
            styled = self.value(node.style, scope)
            if styled.constant is NO_CONSTANT or not isinstance(styled.constant, int):
                raise unsupported("CONVERT with a style that is no constant")
            style = styled.constant
        operand = self.value(node.operand, scope)
        if (
            operand.type is not None
            and operand.type.name not in TEMPORALS | FLOATS | {"money", "smallmoney"}
            and not (operand.type.name in BINARIES or node.type.name in BINARIES)
        ):
            style = None
        return self.cast(operand, node.type, style, node.lenient)

    def _compile_collate(self, node: Collate, scope: Scope) -> Typed:
        operand = self.value(node.operand, scope)
        if operand.type is None or operand.type.name not in STRINGS:
            raise SqlError(447, "Expression type is invalid for COLLATE clause.")
        collation = "CI" if node.collation.upper() == "DATABASE_DEFAULT" else sqlite_collation(node.collation)
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
        if query.single_row:
            return Typed(f"({query.sql()})", column.type, column.collation)
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
        return self.binary(node.op, self.value(node.left, scope), self.value(node.right, scope))

    def binary(self, op: str, left: Typed, right: Typed) -> Typed:
        """``left op right`` with T-SQL's types and errors."""
        if left.type is None or right.type is None:
            known = left.type or right.type or INT
            return Typed("NULL", known)
        a, b = left.type.name, right.type.name
        if op == "+" and a in STRINGS and b in STRINGS:
            return self.concatenate(left, right)
        if op == "+" and a in BINARIES and b in BINARIES:
            length = -1 if -1 in (left.type.length, right.type.length) else min(8000, left.type.length + right.type.length)
            return Typed(f"k_join_bytes({left.sql}, {right.sql})", SqlType("varbinary", length))
        if a in TEMPORALS or b in TEMPORALS:
            return self._date_arithmetic(op, left, right)
        if op in "&|^":
            return self._bitwise(op, left, right)
        common = self.unify(left, right)
        if common.name in STRINGS or common.name not in NUMBERS:
            symbol = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}[op]
            raise (
                sql_error(402, display(left.type, False), display(right.type, False), symbol)
                if common.name in STRINGS
                else sql_error(8117, display(common, False), symbol)
            )
        if common.name in FLOATS:
            return self._float_arithmetic(op, left, right, common)
        if common.name in DECIMALS:
            return self._decimal_arithmetic(op, left, right, common)
        if common.name == "bit":
            common = SqlType("tinyint") if op != "/" else INT
        left, right = self.cast(left, common), self.cast(right, common)
        if op in "/%":
            return Typed(f"k_int_{'divide' if op == '/' else 'modulo'}({left.sql}, {right.sql})", common)
        return Typed(f"k_int({left.sql} {op} {right.sql}, '{common.name}')", common)

    def concatenate(self, left: Typed, right: Typed) -> Typed:
        assert left.type is not None and right.type is not None
        unicode = left.type.name in UNICODE_STRINGS or right.type.name in UNICODE_STRINGS
        length = -1
        if left.type.length > 0 and right.type.length > 0:
            length = min(left.type.length + right.type.length, 4000 if unicode else 8000)
        return Typed(
            f"({left.sql} || {right.sql})", SqlType("nvarchar" if unicode else "varchar", length), self.collation_of(left, right)
        )

    def _float_arithmetic(self, op: str, left: Typed, right: Typed, common: SqlType) -> Typed:
        a, b = self.cast(left, FLOAT).sql, self.cast(right, FLOAT).sql
        if op == "/":
            return Typed(f"k_float_divide({a}, {b})", common)
        if op == "%":
            raise sql_error(402, "float", "float", "modulo")
        return Typed(f"k_float({a} {op} {b})", common)

    def _decimal_arithmetic(self, op: str, left: Typed, right: Typed, common: SqlType) -> Typed:
        money = common.name in ("money", "smallmoney")
        a, b = self._as_decimal(left, common), self._as_decimal(right, common)
        result = MONEY if money else arithmetic_decimal_type(op, _decimal_of(a), _decimal_of(b))
        return Typed(f"k_decimal('{op}', {a.sql}, {b.sql}, {result.precision}, {result.scale})", result)

    def _as_decimal(self, operand: Typed, common: SqlType) -> Typed:
        assert operand.type is not None
        if operand.type.name in DECIMALS:
            return operand
        if operand.type.name in INTEGERS:
            if isinstance(operand.constant, int):
                return self.cast(operand, decimal_type(len(str(abs(operand.constant))), 0))
            return self.cast(operand, as_decimal_type(operand.type))
        return self.cast(operand, common)

    def _bitwise(self, op: str, left: Typed, right: Typed) -> Typed:
        common = self.unify(left, right)
        if common.name not in INTEGERS:
            raise sql_error(402, display(left.type or INT, False), display(right.type or INT, False), f"'{op}'")
        a, b = self.cast(left, common).sql, self.cast(right, common).sql
        if op == "^":
            return Typed(f"((({a}) | ({b})) - (({a}) & ({b})))", common)
        return Typed(f"(({a}) {op} ({b}))", common)

    def _date_arithmetic(self, op: str, left: Typed, right: Typed) -> Typed:
        assert left.type is not None and right.type is not None
        a, b = left.type, right.type
        if op in "+-" and a.name in ("datetime", "smalldatetime") and b.name in INTEGERS:
            sign = "-" if op == "-" else ""
            return Typed(f"k_date_add('day', {sign}{right.sql}, {left.sql}, '{a.name}', {a.scale})", a)
        if op == "+" and b.name in ("datetime", "smalldatetime") and a.name in INTEGERS:
            return self._date_arithmetic(op, right, left)
        raise sql_error(
            206 if a.name in NUMBERS or b.name in NUMBERS else 402,
            *(
                (display(a, False), display(b, False))
                if a.name in NUMBERS or b.name in NUMBERS
                else (display(a, False), display(b, False), "add" if op == "+" else "subtract")
            ),
        )


def _decimal_of(typed: Typed) -> SqlType:
    assert typed.type is not None
    return typed.type


def _same_form(source: SqlType, target: SqlType, cut: bool) -> bool:
    """Whether the inner form of every value of ``source`` is already right for ``target``."""
    if source == target:
        return True
    a, b = source.name, target.name
    if a in INTEGERS and b in INTEGERS and b != "bit":
        (low, high), (least, most) = INTEGER_RANGES[a], INTEGER_RANGES[b]
        return least <= low and high <= most
    if a in STRINGS and b in STRINGS:
        if b in ("char", "nchar") and cut or (b not in UNICODE_STRINGS and a in UNICODE_STRINGS):
            return False
        return not cut or target.length < 0 or 0 < source.length <= target.length
    if a in BINARIES and b in BINARIES:
        return b != "binary" and (not cut or target.length < 0 or 0 < source.length <= target.length)
    if a in ("decimal", "numeric") and b in ("decimal", "numeric"):
        return target.scale >= source.scale and target.precision - target.scale >= source.precision - source.scale
    if b == "datetime2" and a in INSTANTS:
        return target.scale == 7 or a == "datetime2" and target.scale >= source.scale
    return a == "real" and b == "float"


def constant_bit(value: bool) -> Typed:
    """The bits 0 and 1."""
    return Typed(str(int(value)), BIT, constant=int(value), nullable=False)
