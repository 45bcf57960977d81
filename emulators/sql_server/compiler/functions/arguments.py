"""What all functions share: the number of their arguments, and their compilation."""

from __future__ import annotations

from emulators.sql_server.compiler.expressions import ExpressionCompiler
from emulators.sql_server.compiler.scope import Scope, Typed
from emulators.sql_server.parser.tree import FunctionCall
from emulators.sql_server.values.datatypes import NUMBERS, STRINGS
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlType


class FunctionArguments(ExpressionCompiler):
    """Arguments of calls."""

    def _count(self, node: FunctionCall, low: int, high: int | None = None) -> None:
        count = len(node.arguments)
        if count < low or count > (low if high is None else high):
            raise (
                sql_error(174, node.name.lower(), low)
                if high is None or high == low
                else sql_error(189, node.name.lower(), f"{low} to {high}")
            )

    def _values(self, node: FunctionCall, scope: Scope) -> list[Typed]:
        return [self.value(argument, scope) for argument in node.arguments]

    def require_default_case(self, operand: Typed, name: str) -> None:
        """Raises SqlError 40517: the function looks for text without regard to case."""
        if operand.collation != "CI":
            raise unsupported(f"{name} of a string with regard to case")

    def _text(self, operand: Typed) -> Typed:
        """As a string, keeping a string's own type."""
        if operand.type is not None and operand.type.name in STRINGS:
            return operand
        return self.cast(
            operand,
            SqlType("nvarchar", 4000) if operand.type is None or operand.type.name not in NUMBERS else SqlType("nvarchar", 50),
        )
