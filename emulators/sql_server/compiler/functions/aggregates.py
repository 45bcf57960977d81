"""Aggregates and window functions."""

from __future__ import annotations

from emulators.sql_server.compiler.conversion import varying_bytes
from emulators.sql_server.compiler.functions.arguments import FunctionArguments
from emulators.sql_server.compiler.scope import Scope, Typed
from emulators.sql_server.parser.keywords import AGGREGATES
from emulators.sql_server.parser.tree import (
    ColumnRef,
    Exists,
    Expression,
    FunctionCall,
    InQuery,
    Literal,
    OrderItem,
    Quantified,
    ScalarQuery,
    Star,
    Window,
)
from emulators.sql_server.parser.walk import walk
from emulators.sql_server.values.datatypes import (
    BIGINT,
    DECIMALS,
    FLOAT,
    FLOATS,
    INT,
    NUMBERS,
    STRINGS,
    UNICODE_STRINGS,
    decimal_type,
    display,
)
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError, SqlType

WINDOW_ONLY = {
    "ROW_NUMBER": BIGINT,
    "RANK": BIGINT,
    "DENSE_RANK": BIGINT,
    "NTILE": BIGINT,
    "PERCENT_RANK": FLOAT,
    "CUME_DIST": FLOAT,
}
WINDOW_VALUES = frozenset({"LAG", "LEAD", "FIRST_VALUE", "LAST_VALUE"})


def refuse_aggregates(node: Expression, number: int) -> None:
    """Raises SqlError 4108 for a window function, and ``number`` for an aggregate, where neither may stand."""
    for part in walk(node):
        if isinstance(part, FunctionCall):
            if part.over is not None:
                raise sql_error(4108)
            if part.name in AGGREGATES:
                raise sql_error(number)


class AggregateFunctions(FunctionArguments):
    """Compiles calls of aggregates and window functions."""

    def _refuse_nested(self, node: FunctionCall) -> None:
        """Raises SqlError 130, 4109."""
        for part in (part for argument in node.arguments for part in walk(argument)):
            if isinstance(part, FunctionCall) and part.over is not None:
                raise sql_error(4109)
            aggregate = isinstance(part, FunctionCall) and part.name in AGGREGATES
            if node.over is None and (aggregate or isinstance(part, (ScalarQuery, Exists, InQuery, Quantified))):
                raise sql_error(130)
        if node.over is not None:
            for part in walk([node.over.partition, node.over.order]):
                if isinstance(part, FunctionCall) and part.over is not None:
                    raise sql_error(4109)

    def _aggregate(self, node: FunctionCall, scope: Scope) -> Typed:
        self._refuse_nested(node)
        scope.free += 1
        try:
            typed = self._aggregate_call(node, scope)
        finally:
            scope.free -= 1
        if node.over is not None:
            if node.distinct:
                raise sql_error(102, "distinct")
            typed.sql = self._wrap_over(typed.sql, node.over, scope)
        return typed

    def _wrap_over(self, sql: str, window: Window, scope: Scope) -> str:
        over = self._over(window, scope)
        start = sql.find("\x02")
        if start < 0:
            return f"{sql} OVER ({over})"
        return sql.replace("\x02", f" OVER ({over})")

    def _aggregate_call(self, node: FunctionCall, scope: Scope) -> Typed:
        name, distinct = node.name, "DISTINCT " if node.distinct else ""
        windowed = node.over is not None
        mark = "\x02" if windowed else ""
        if name in ("COUNT", "COUNT_BIG"):
            self._count(node, 1)
            result = INT if name == "COUNT" else BIGINT
            if isinstance(node.arguments[0], Star):
                return Typed(f"COUNT(*){mark}", result, nullable=False)
            with self.reads.no_value(test=True):
                operand = self.value(node.arguments[0], scope)
            return Typed(f"COUNT({distinct}{self.sort_key(operand) if distinct else operand.sql}){mark}", result, nullable=False)
        if name == "STRING_AGG":
            return self._string_agg(node, scope)
        if name not in ("SUM", "AVG", "MIN", "MAX"):
            raise unsupported(name)
        self._count(node, 1)
        operand = self.value(node.arguments[0], scope)
        kind = operand.type or INT
        if name in ("MIN", "MAX"):
            if kind.name == "bit":
                raise sql_error(8117, "bit", name.lower())
            key = self.sort_key(operand) if kind.name != "datetimeoffset" and not varying_bytes(kind) else operand.sql
            return Typed(f"{name}({key}){mark}", kind, operand.collation)
        if kind.name not in NUMBERS or kind.name == "bit":
            raise sql_error(8117, display(kind, False), name.lower())
        return self._sum_or_average(name, operand, kind, distinct, mark)

    def _sum_or_average(self, name: str, operand: Typed, kind: SqlType, distinct: str, mark: str) -> Typed:
        if kind.name in FLOATS:
            return Typed(f"{name}({distinct}{operand.sql}){mark}", FLOAT)
        if kind.name in DECIMALS:
            money = kind.name in ("money", "smallmoney")
            total = SqlType("money", 0, 19, 4) if money else decimal_type(38, kind.scale)
            text = f"k_decimal_sum({distinct}{operand.sql}){mark}"
            if name == "SUM":
                return self.cast(Typed(text, decimal_type(38, 4)), total) if money else Typed(text, total)
            count = self.cast(Typed(f"COUNT({distinct}{operand.sql}){mark}", BIGINT), decimal_type(19, 0)).sql
            result = total if money else decimal_type(38, max(6, kind.scale))
            return Typed(f"k_decimal('/', {text}, NULLIF({count}, 'P00.'), {result.precision}, {result.scale})", result)
        result = BIGINT if kind.name == "bigint" else INT
        total_sql = f"SUM({distinct}{operand.sql}){mark}"
        if name == "SUM":
            return Typed(f"k_int({total_sql}, '{result.name}')", result)
        return Typed(f"(k_int({total_sql}, '{result.name}') / COUNT({distinct}{operand.sql}){mark})", result)

    def _string_agg(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        if node.distinct or node.over is not None:
            raise sql_error(102, "STRING_AGG")
        value, separator = self._values(node, scope)
        if separator.type is not None and separator.type.name not in STRINGS:
            raise sql_error(8116, display(separator.type, False), 2, "string_agg")
        if isinstance(node.arguments[1], ColumnRef):
            raise SqlError(8733, "Separator parameter for STRING_AGG must be a string literal or variable.")
        text = self._text(value)
        order = []
        for item in node.order:
            key = self.value(item.expression, scope)
            self.require_default_case(key, "WITHIN GROUP")
            order += [
                key.sql if key.type is None or key.type.name != "datetimeoffset" else self.sort_key(key),
                str(int(item.descending)),
            ]
        assert text.type is not None
        unicode = text.type.name in UNICODE_STRINGS
        result = SqlType("nvarchar" if unicode else "varchar", -1 if text.type.length < 0 else 4000 if unicode else 8000)
        arguments = [str(result.length), self._text(separator).sql, text.sql, *order]
        return Typed(f"k_string_agg({', '.join(arguments)})", result, value.collation)

    def _over(self, window: Window, scope: Scope) -> str:
        with self.reads.no_value(test=True):
            return self._window(window, scope)

    def _window(self, window: Window, scope: Scope) -> str:
        parts = []
        if window.partition:
            parts.append("PARTITION BY " + ", ".join(self.sort_key(self.value(item, scope)) for item in window.partition))
        if window.order:
            parts.append("ORDER BY " + ", ".join(self._window_key(item, scope) for item in window.order))
        if window.frame:
            parts.append(window.frame)
        return " ".join(parts)

    def _window_key(self, item: OrderItem, scope: Scope) -> str:
        if isinstance(item.expression, Literal):
            raise SqlError(
                5308,
                "Windowed functions, aggregates and NEXT VALUE FOR functions do not support integer indices as ORDER BY clause "
                "expressions.",
            )
        return self.sort_key(self.value(item.expression, scope)) + (" DESC" if item.descending else "")

    def _window_function(self, node: FunctionCall, scope: Scope) -> Typed:
        if node.over is None or (not node.over.order):
            raise sql_error(4112, node.name)
        self._refuse_nested(node)
        if node.name in WINDOW_ONLY:
            self._count(node, 1 if node.name == "NTILE" else 0)
            values = self._values(node, scope)
            for value in values:
                if isinstance(value.constant, int) and value.constant < 1:
                    raise SqlError(4116, "The function 'ntile' takes only a positive int or bigint expression as its input.")
            arguments = ", ".join(value.sql for value in values)
            return Typed(f"{node.name}({arguments}) OVER ({self._over(node.over, scope)})", WINDOW_ONLY[node.name], nullable=False)
        self._count(node, 1, 3 if node.name in ("LAG", "LEAD") else 1)
        values = self._values(node, scope)
        kind = values[0].type or INT
        if len(values) > 1 and isinstance(values[1].constant, int) and values[1].constant < 0:
            raise SqlError(8730, "Offset parameter for Lag and Lead functions cannot be a negative value.")
        if len(values) == 3:
            values[2] = self.cast(values[2], kind)
        return Typed(
            f"{node.name}({', '.join(v.sql for v in values)}) OVER ({self._over(node.over, scope)})", kind, values[0].collation
        )
