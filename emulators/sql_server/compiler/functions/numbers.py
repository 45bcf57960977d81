"""Functions on numbers: result types and SQLite text."""

from __future__ import annotations

from emulators.sql_server.compiler.functions.arguments import FunctionArguments
from emulators.sql_server.compiler.scope import Scope, Typed
from emulators.sql_server.parser.tree import FunctionCall
from emulators.sql_server.values.datatypes import DECIMALS, FLOAT, INT, INTEGERS, NUMBERS, STRINGS, decimal_type
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlType


class NumberFunctions(FunctionArguments):
    """Compiles calls of functions on numbers."""

    def _number(self, operand: Typed) -> tuple[Typed, str]:
        """The operand as a number, and which implementation fits."""
        if operand.type is None or operand.type.name in STRINGS:
            operand = self.cast(operand, FLOAT)
        assert operand.type is not None
        name = operand.type.name
        if name not in NUMBERS:
            raise sql_error(8116, name, 1, "numeric")
        return operand, "int" if name in INTEGERS else "decimal" if name in DECIMALS else "float"

    def _fn_round(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2, 3)
        values = self._values(node, scope)
        operand, kind = self._number(values[0])
        cut = self.cast(values[2], INT).sql if len(values) == 3 else "0"
        rounded = Typed(f"k_round({operand.sql}, {self.cast(values[1], INT).sql}, {cut}, '{kind}')", operand.type)
        if operand.type is not None and kind == "int":
            return Typed(f"k_int({rounded.sql}, '{operand.type.name}')", operand.type)
        if operand.type is not None and kind == "decimal":
            precision = 0 if operand.type.name in ("money", "smallmoney") else operand.type.precision
            return Typed(f"k_fit({rounded.sql}, {precision}, {operand.type.scale})", operand.type)
        return rounded

    def _rounded(self, node: FunctionCall, scope: Scope, up: int) -> Typed:
        self._count(node, 1)
        operand, kind = self._number(self.value(node.arguments[0], scope))
        assert operand.type is not None
        result = decimal_type(operand.type.precision, 0) if operand.type.name in ("decimal", "numeric") else operand.type
        return Typed(f"k_floor({operand.sql}, '{kind}', {up})", result)

    def _fn_floor(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._rounded(node, scope, 0)

    def _fn_ceiling(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._rounded(node, scope, 1)

    def _fn_abs(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        operand, kind = self._number(self.value(node.arguments[0], scope))
        text = f"k_absolute({operand.sql}, '{kind}')"
        return Typed(f"k_int({text}, '{operand.type.name}')" if kind == "int" and operand.type else text, operand.type)

    def _fn_sign(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        operand, kind = self._number(self.value(node.arguments[0], scope))
        return Typed(f"k_sign({operand.sql}, '{kind}')", operand.type)

    def _fn_power(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        base, exponent = self._values(node, scope)
        base, _ = self._number(base)
        power = Typed(f"k_power({self.cast(base, FLOAT).sql}, {self.cast(exponent, FLOAT).sql})", FLOAT)
        return self.cast(power, base.type or FLOAT)

    def _fn_str(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1, 3)
        values = self._values(node, scope)
        sizes = [self.cast(value, INT).sql for value in values[1:]]
        arguments = [self.cast(values[0], FLOAT).sql, *sizes, *["10", "0"][len(sizes) :]]
        return Typed(f"k_str({', '.join(arguments)})", SqlType("varchar", 8000))
