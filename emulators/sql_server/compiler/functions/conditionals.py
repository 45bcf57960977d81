"""Functions that choose between values: ISNULL, COALESCE, IIF, GREATEST and others."""

from __future__ import annotations

from emulators.sql_server.compiler.functions.arguments import FunctionArguments
from emulators.sql_server.compiler.scope import Scope, Typed
from emulators.sql_server.parser.tree import FunctionCall, Null
from emulators.sql_server.values.datatypes import INT
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError


class ConditionalFunctions(FunctionArguments):
    """Compiles calls of functions that choose."""

    def _fn_isnull(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        first, second = self._values(node, scope)
        kind = first.type or second.type or INT
        return Typed(
            f"IFNULL({first.sql}, {self.assigned_as(second, kind, cut=True).sql})",
            kind,
            first.collation,
            nullable=first.nullable and second.nullable,
        )

    def _fn_coalesce(self, node: FunctionCall, scope: Scope) -> Typed:
        if len(node.arguments) < 2:
            raise sql_error(189, "coalesce", "2 to N")
        values = self._values(node, scope)
        if all(isinstance(argument, Null) for argument in node.arguments):
            text = "At least one of the arguments to COALESCE must be an expression that is not the NULL constant."
            raise SqlError(4127, text)
        common = self.unify(*values)
        return Typed(
            f"COALESCE({', '.join(self.cast(value, common).sql for value in values)})",
            common,
            self.collation_of(*values, operation="CASE"),
            nullable=all(value.nullable for value in values),
        )

    def _fn_nullif(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        if isinstance(node.arguments[0], Null):
            raise SqlError(
                4151,
                "The type of the first argument to NULLIF cannot be the NULL constant because the type of the first argument has "
                "to be known.",
            )
        first, second = self._values(node, scope)
        return Typed(
            f"(CASE WHEN {self.comparison('=', first, second)} THEN NULL ELSE {first.sql} END)", first.type or INT, first.collation
        )

    def _fn_iif(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        if all(isinstance(argument, Null) for argument in node.arguments[1:]):
            raise sql_error(8133)
        test = self.condition(node.arguments[0], scope)
        return self.choose([test], [self.value(node.arguments[1], scope)], self.value(node.arguments[2], scope))

    def _fn_choose(self, node: FunctionCall, scope: Scope) -> Typed:
        if len(node.arguments) < 2:
            raise sql_error(189, "choose", "2 to N")
        index = self.cast(self.value(node.arguments[0], scope), INT).sql
        values = [self.value(argument, scope) for argument in node.arguments[1:]]
        return self.choose([f"{index} = {number}" for number in range(1, len(values) + 1)], values, Typed("NULL", None))

    def _extreme(self, node: FunctionCall, scope: Scope, op: str) -> Typed:
        values = self._values(node, scope)
        common = self.unify(*values)
        best = self.cast(values[0], common)
        for value in values[1:]:
            other = self.cast(value, common)
            better = f"{best.sql} IS NULL OR {self.comparison(op, other, best)}"
            best = Typed(
                f"(CASE WHEN {other.sql} IS NOT NULL AND ({better}) THEN {other.sql} ELSE {best.sql} END)", common, best.collation
            )
        return best

    def _fn_greatest(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._extreme(node, scope, ">")

    def _fn_least(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._extreme(node, scope, "<")
