"""Functions on dates and times: result types and SQLite text."""

from __future__ import annotations

from emulators.sql_server.compiler.functions.arguments import FunctionArguments
from emulators.sql_server.compiler.scope import Scope, Typed
from emulators.sql_server.parser.tree import FunctionCall, Literal
from emulators.sql_server.values import datetimes
from emulators.sql_server.values.datatypes import (
    BIGINT,
    DATE,
    DATETIME,
    DATETIME2,
    DATETIMEOFFSET,
    INT,
    INTEGERS,
    STRINGS,
    TEMPORALS,
    display,
    type_from_syntax,
)
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

_FRACTIONS = frozenset({"millisecond", "microsecond", "nanosecond"})
_CLOCK = _FRACTIONS | {"hour", "minute", "second"}


class DateFunctions(FunctionArguments):
    """Compiles calls of functions on dates and times."""

    def _part(self, node: FunctionCall) -> str:
        argument = node.arguments[0]
        given = argument.value if isinstance(argument, Literal) else ""
        part = datetimes.PARTS.get(str(given).lower())
        if part is None:
            raise SqlError(155, f"'{given}' is not a recognized {node.name.lower()} option.", 15)
        return part

    def _moment(self, operand: Typed) -> Typed:
        """A date or time; a string becomes datetime2."""
        if operand.type is None or operand.type.name in STRINGS:
            return self.cast(operand, DATETIME2)
        if operand.type.name in INTEGERS:
            return self.cast(operand, DATETIME)
        if operand.type.name not in TEMPORALS:
            raise sql_error(8116, display(operand.type, False), 3, "dateadd")
        return operand

    def _require_part(self, part: str, kind: SqlType | None, function: str) -> None:
        """Raises SqlError 9810 for a time of a date, and for a date of a time."""
        timed = part in _CLOCK or part == "tzoffset"
        if kind is not None and (kind.name == "date" and timed or kind.name == "time" and (not timed or part == "tzoffset")):
            raise SqlError(9810, f"The datepart {part} is not supported by date function {function} for data type {kind.name}.")

    def _read_moment(self, node: FunctionCall, part: str, scope: Scope) -> str:
        """The operand of DATEPART and DATENAME: a string keeps its offset, a datetime shows its exact fraction."""
        operand = self.value(node.arguments[1], scope)
        if part == "tzoffset" and operand.type is not None and operand.type.name in STRINGS:
            return self.cast(operand, DATETIMEOFFSET).sql
        moment = self._moment(operand)
        self._require_part(part, moment.type, node.name.lower())
        if part in _FRACTIONS and moment.type is not None and moment.type.name == "datetime" and self.exact_datetimes:
            return f"k_exact_datetime({moment.sql})"
        return moment.sql

    def _fn_dateadd(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 3)
        part = self._part(node)
        number = self.cast(self.value(node.arguments[1], scope), BIGINT)
        operand = self.value(node.arguments[2], scope)
        literal = operand.type is None or operand.type.name in STRINGS
        moment = self.cast(operand, DATETIME) if literal else self._moment(operand)
        assert moment.type is not None
        kind = moment.type
        self._require_part(part, kind, "dateadd")
        return Typed(f"k_date_add('{part}', {number.sql}, {moment.sql}, '{kind.name}', {kind.scale})", kind)

    def _difference(self, node: FunctionCall, scope: Scope, big: bool) -> Typed:
        self._count(node, 3)
        part = self._part(node)
        start, end = (self._moment(self.value(argument, scope)) for argument in node.arguments[1:])
        pair = []
        for moment in (start, end):
            if moment.type is not None and moment.type.name == "time" and (start.type != end.type):
                moment = self.cast(moment, DATETIME2)
            pair.append(moment.sql)
        return Typed(f"k_date_diff('{part}', {pair[0]}, {pair[1]}, {int(big)})", BIGINT if big else INT)

    def _fn_datediff(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._difference(node, scope, False)

    def _fn_datediff_big(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._difference(node, scope, True)

    def _fn_datepart(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        part = self._part(node)
        return Typed(f"k_date_part('{part}', {self._read_moment(node, part, scope)})", INT)

    def _fn_datename(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        part = self._part(node)
        return Typed(f"k_date_name('{part}', {self._read_moment(node, part, scope)})", SqlType("nvarchar", 30))

    def _named_part(self, node: FunctionCall, scope: Scope, part: str) -> Typed:
        self._count(node, 1)
        return Typed(f"k_date_part('{part}', {self._moment(self.value(node.arguments[0], scope)).sql})", INT)

    def _fn_year(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._named_part(node, scope, "year")

    def _fn_month(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._named_part(node, scope, "month")

    def _fn_day(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._named_part(node, scope, "day")

    def _fn_eomonth(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1, 2)
        values = self._values(node, scope)
        months = self.cast(values[1], INT).sql if len(values) == 2 else "0"
        return Typed(f"k_end_of_month({self.cast(values[0], DATE).sql}, {months})", DATE)

    def _fn_datetrunc(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 2)
        moment = self._moment(self.value(node.arguments[1], scope))
        assert moment.type is not None
        self._require_part(self._part(node), moment.type, "datetrunc")
        return Typed(f"k_truncate_date('{self._part(node)}', {moment.sql}, '{moment.type.name}', {moment.type.scale})", moment.type)

    def _from_parts(self, node: FunctionCall, scope: Scope, count: int, target: SqlType, precision: int | None = None) -> Typed:
        """``precision`` of the fraction: the last argument of the kinds that have one."""
        self._count(node, count)
        values = self._values(node, scope)
        if precision is None:
            given = values.pop().constant
            if not isinstance(given, int) or not 0 <= given <= 7:
                raise SqlError(
                    10760,
                    "Scale argument is not valid. Valid expressions for data type "
                    f"{target.name} scale argument are integer constants and integer constant expressions.",
                )
            precision, target = given, SqlType(target.name, 0, target.precision, given)
        numbers = ", ".join(self.cast(value, INT).sql for value in values)
        text = Typed(f"k_from_parts('{target.name}', {precision}, {numbers})", SqlType("varchar", 40))
        return self.cast(text, target)

    def _fn_datefromparts(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._from_parts(node, scope, 3, DATE, 0)

    def _fn_datetimefromparts(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._from_parts(node, scope, 7, DATETIME, 3)

    def _fn_smalldatetimefromparts(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._from_parts(node, scope, 5, type_from_syntax("smalldatetime", []), 0)

    def _fn_datetime2fromparts(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._from_parts(node, scope, 8, DATETIME2)

    def _fn_datetimeoffsetfromparts(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._from_parts(node, scope, 10, DATETIMEOFFSET)

    def _fn_timefromparts(self, node: FunctionCall, scope: Scope) -> Typed:
        return self._from_parts(node, scope, 5, type_from_syntax("time", []))

    def _fn_isdate(self, node: FunctionCall, scope: Scope) -> Typed:
        self._count(node, 1)
        attempt = self.cast(self.value(node.arguments[0], scope), DATETIME, lenient=True)
        return Typed(f"({attempt.sql} IS NOT NULL)", INT)
