"""Calls of built-in functions: which one a name means, and those that need no file of their own."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext

from emulators.sql_server.catalogue.collations import DEFAULT_COLLATION
from emulators.sql_server.catalogue.model import quote_text
from emulators.sql_server.compiler.conversion import refuse_large_object
from emulators.sql_server.compiler.functions.aggregates import AGGREGATES, WINDOW_ONLY, WINDOW_VALUES, AggregateFunctions
from emulators.sql_server.compiler.functions.conditionals import ConditionalFunctions
from emulators.sql_server.compiler.functions.dates import DateFunctions
from emulators.sql_server.compiler.functions.numbers import NumberFunctions
from emulators.sql_server.compiler.functions.strings import StringFunctions
from emulators.sql_server.compiler.functions.table import SIMPLE_FUNCTIONS
from emulators.sql_server.compiler.scope import Scope, Typed
from emulators.sql_server.parser.tree import FunctionCall, Null
from emulators.sql_server.values.datatypes import BIGINT, DATETIME, DATETIME2, DATETIMEOFFSET, FLOAT, NVARCHAR_MAX, STRINGS, VARIANT
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlType

NOW = {
    "SYSDATETIME": ("local", DATETIME2),
    "SYSUTCDATETIME": ("utc", DATETIME2),
    "GETDATE": ("local3", DATETIME),
    "GETUTCDATE": ("utc3", DATETIME),
    "CURRENT_TIMESTAMP": ("local3", DATETIME),
    "SYSDATETIMEOFFSET": ("offset", DATETIMEOFFSET),
}
MATH = frozenset({"SQRT", "EXP", "LOG10", "SIN", "COS", "TAN", "ASIN", "ACOS", "ATAN", "RADIANS", "DEGREES", "LOG", "SQUARE"})


_CONDITIONALS = frozenset({"COALESCE", "IIF", "ISNULL", "NULLIF"})
_MEASURES = {"LEN": 0, "CHARINDEX": 1, "PATINDEX": 1}
"""Which argument makes the result a bigint: one of a type with MAX."""


class FunctionCompiler(AggregateFunctions, ConditionalFunctions, DateFunctions, NumberFunctions, StringFunctions):
    """Compiles calls of built-in functions."""

    def function(self, node: FunctionCall, scope: Scope) -> Typed:
        """Raises SqlError 174, 189, 195 and others of binding."""
        name = node.name
        if node.schema:
            raise unsupported(f"function {node.schema}.{name}")
        if name in AGGREGATES:
            return self._aggregate(node, scope)
        if name in WINDOW_ONLY or name in WINDOW_VALUES:
            return self._window_function(node, scope)
        if node.over is not None or node.order:
            raise sql_error(102, "OVER")
        if name in NOW:
            self._count(node, 0)
            kind, declared = NOW[name]
            return Typed(self.unit.bind("now", kind), declared, nullable=False)
        if name in SIMPLE_FUNCTIONS:
            return self._simple(node, scope)
        method: Callable[[FunctionCall, Scope], Typed] | None = getattr(self, f"_fn_{name.lower()}", None)
        if method is not None:
            with self.one_of_several() if name in _CONDITIONALS else nullcontext():
                return method(node, scope)
        if name in MATH:
            return self._math(node, scope)
        raise sql_error(195, node.name)

    def _simple(self, node: FunctionCall, scope: Scope) -> Typed:
        target, kinds, result, defaults = SIMPLE_FUNCTIONS[node.name]
        if target == "k_error":
            self._count(node, 0)
            return Typed(f"k_error({defaults[0]})", result)
        if node.name == "RAND" and node.arguments:
            raise unsupported("RAND with a seed")
        self._count(node, len(kinds) - len(defaults), len(kinds))
        if node.name in ("CHANGE_TRACKING_MIN_VALID_VERSION", "CHANGE_TRACKING_IS_COLUMN_IN_MASK") and isinstance(
            node.arguments[0], Null
        ):
            raise sql_error(8116, "NULL", 1, node.name.lower())
        operands = [self.value(argument, scope) for argument in node.arguments]
        for place, operand in enumerate(operands, 1):
            if node.name in ("CHARINDEX", "PATINDEX"):
                self.require_default_case(operand, node.name)
            if node.name != "PATINDEX":
                refuse_large_object(operand, place, node.name.lower())
        measured = _MEASURES.get(node.name)
        if measured is not None and (text := operands[measured].type) is not None and text.length < 0:
            result = BIGINT
        values = [self.cast(operand, kind).sql for operand, kind in zip(operands, kinds, strict=False)]
        values += defaults[len(defaults) - (len(kinds) - len(values)) :] if len(values) < len(kinds) else []
        return Typed(f"{target}({', '.join(values)})", result, json=node.name == "JSON_QUERY")

    def _math(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1, 2 if node.name == "LOG" else 1)
        values = [self.cast(value, FLOAT).sql for value in self._values(node, scope)]
        return Typed(f"k_math('{node.name.lower()}', {values[0]}, {values[1] if len(values) > 1 else 'NULL'})", FLOAT)

    def _fn_newsequentialid(self, node: FunctionCall, scope: Scope) -> Typed:
        """Where it may stand, OutputCompiler compiles it: ``k_new_sequential_id``."""
        raise sql_error(302)

    def _fn_change_tracking_current_version(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 0)
        if self.unit.elsewhere or not self.unit.catalogue.options.change_tracking:
            return Typed("NULL", BIGINT)
        return Typed("(SELECT value FROM \"$state\" WHERE key = 'version')", BIGINT)

    def _fn_sql_variant_property(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        value, name = self._values(node, scope)
        packed = self.cast(value, VARIANT).sql
        return Typed(f"k_variant_property({packed}, {self.cast(name, NVARCHAR_MAX).sql}, {quote_text(DEFAULT_COLLATION)})", VARIANT)

    def _fn_formatmessage(self, node: FunctionCall, scope: Scope) -> Typed:
        values = self._values(node, scope)
        return Typed(
            f"k_format_message({', '.join(self._text(v).sql if v.type and v.type.name in STRINGS else v.sql for v in values)})",
            SqlType("nvarchar", 2048),
        )
