"""Typed expressions brought to other types, compared, and combined: T-SQL's conversions and operators as SQLite text."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.catalogue.collations import common_collation
from emulators.sql_server.catalogue.model import quote_text
from emulators.sql_server.compiler.scope import NO_CONSTANT, Typed, Unit
from emulators.sql_server.runtime.conversion import conversion_key
from emulators.sql_server.values.conversions import CONVERSION_FAILURES, converter
from emulators.sql_server.values.datatypes import (
    BINARIES,
    DATETIME2,
    DECIMALS,
    FLOAT,
    FLOATS,
    INSTANTS,
    INT,
    INTEGER_RANGES,
    INTEGERS,
    MONEY,
    NUMBERS,
    OLD_LARGE_OBJECTS,
    STRINGS,
    TEMPORALS,
    UNICODE_STRINGS,
    VARIANT,
    arithmetic_decimal_type,
    as_decimal_type,
    common_type,
    decimal_type,
    display,
)
from emulators.sql_server.values.datetimes import precise_datetime
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.legality import require_comparison, require_implicit, require_union
from emulators.sql_server.values.results import SqlError, SqlType


def literal_sql(value: Any) -> str:
    """A constant of an inner form, as SQLite text."""
    if value is None:
        return "NULL"
    if isinstance(value, str):
        return f"CAST(X'{value.encode().hex()}' AS TEXT)" if "\0" in value else quote_text(value)
    if isinstance(value, bytes):
        return f"X'{value.hex()}'"
    return repr(value)


_OPERATOR_NAMES = {
    "=": "equal to",
    "<>": "not equal to",
    "<": "less than",
    ">": "greater than",
    "<=": "less than or equal to",
    ">=": "greater than or equal to",
    "IS": "is not",
    "IS NOT": "is not",
}


def varying_bytes(kind: SqlType | None) -> bool:
    """Whether two different values of a binary type may be equal, as they differ by zeros at the end only."""
    return kind is not None and kind.name in BINARIES - {"binary", "rowversion"}


_ARITHMETIC = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}


def refuse_large_object(operand: Typed, place: int, function: str) -> None:
    """Raises SqlError 8116 for text, ntext and image, which a driver may declare for long parameters."""
    if operand.type is not None and operand.type.name in OLD_LARGE_OBJECTS:
        raise sql_error(8116, operand.type.name, place, function)


class ConversionCompiler:
    """What needs no names: conversion, comparison, arithmetic."""

    unit: Unit
    explicit = False
    """CAST or CONVERT is being compiled: only they take a value out of a sql_variant."""

    def cast(self, typed: Typed, target: SqlType, style: int | None = None, lenient: bool = False, cut: bool = True) -> Typed:
        """The expression as another type; nothing is emitted where the inner forms agree."""
        source = typed.type
        if source is not None and source.name == "sql_variant" and target.name != "sql_variant" and not self.explicit:
            raise sql_error(257, "sql_variant", display(target, False))
        collation = typed.collation if source is not None and source.name in STRINGS else "CI"
        if target.name == "sql_variant" and collation != "CI":
            raise unsupported("sql_variant of a string of another collation")
        if source is None:
            return Typed("NULL", target, constant=None)
        if style is None and _same_form(source, target, cut):
            return Typed(typed.sql, target, collation, typed.constant, typed.nullable)
        if source.name == "datetime" and target.name in _PRECISE and self.exact_datetimes:
            return self.cast(_precise(typed), target, style, lenient, cut)
        if source.name == "date" and target.name in ("datetime2", "datetime") and style is None:
            return Typed(f"({typed.sql} || ' 00:00:00.0000000')", target)
        if source.name in INTEGERS and target.name == "float":
            return Typed(f"CAST({typed.sql} AS REAL)", target)
        convert = converter(source, target, style, cut)
        if typed.constant is not NO_CONSTANT:
            try:
                value = None if typed.constant is None else convert(typed.constant)
                return Typed(literal_sql(value), target, collation, value)
            except SqlError as error:
                if lenient and error.number in CONVERSION_FAILURES:
                    return Typed("NULL", target, constant=None)
        key = conversion_key(source, target, style, cut, lenient)
        return Typed(f"k_convert({typed.sql}, {key})", target, collation)

    @property
    def exact_datetimes(self) -> bool:
        """From compatibility level 130 on a datetime has thirds of 10 ms, not whole milliseconds."""
        return self.unit.catalogue.options.compatibility_level >= 130

    def assigned_as(self, typed: Typed, target: SqlType, cut: bool = False) -> Typed:
        """A value that enters a column, a variable or a parameter. Raises SqlError 206, 257."""
        if typed.type is not None:
            require_implicit(typed.type, target)
        return self.cast(typed, target, cut=cut)

    def unify(self, *operands: Typed) -> SqlType:
        """The common type of operands, untyped NULLs aside. Raises SqlError 206, 257."""
        common: SqlType | None = None
        for operand in operands:
            if operand.type is None:
                continue
            if common is not None:
                require_union(common, operand.type)
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
        if typed.type.name == "datetime" and common.name in ("datetime2", "datetimeoffset") and self.exact_datetimes:
            return Typed(f"k_exact_datetime({typed.sql})", common)
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
            common = SqlType("nvarchar" if common.name in UNICODE_STRINGS else "varchar", -1)
        return self.cast(typed, common)

    def collation_of(self, *operands: Typed, operation: str = "equal to") -> str:
        """The SQLite collation of an operation on strings. Raises SqlError 468."""
        strings = (typed.collation for typed in operands if typed.type is not None and typed.type.name in STRINGS)
        return common_collation(strings, operation)

    def collated(self, sql: str, common: SqlType, collation: str) -> str:
        """An operand with the collation that its comparison needs."""
        if common.name in STRINGS:
            return f"({sql}) COLLATE {collation}"
        if common.name == "datetimeoffset" and not sql.startswith("k_exact_datetime("):
            return f"substr({sql}, 1, 27)"
        return sql

    def sort_key(self, typed: Typed) -> str:
        """The text to group, order or deduplicate by."""
        if typed.type is None:
            return typed.sql
        if typed.type.name == "sql_variant":
            raise unsupported("sql_variant in GROUP BY, ORDER BY, DISTINCT, MIN or MAX")
        if varying_bytes(typed.type):
            return f"k_first_bytes({typed.sql})"
        return self.collated(typed.sql, typed.type, typed.collation)

    def comparison(self, op: str, left: Typed, right: Typed) -> str:
        if "sql_variant" in {typed.type.name for typed in (left, right) if typed.type is not None}:
            return self._variant_comparison(op, left, right)
        if left.type is not None and right.type is not None:
            require_comparison(left.type, right.type, _OPERATOR_NAMES[op])
        a, b, common = self._pair(left, right)
        if common.name in STRINGS:
            return f"({a.sql} {op} ({b.sql}) COLLATE {self.collation_of(left, right, operation=_OPERATOR_NAMES[op])})"
        if common.name in BINARIES and left.type is not None and right.type is not None and not _one_size(left.type, right.type):
            return _compare_bytes(op, a.sql, b.sql)
        if common.name == "datetimeoffset":
            return f"({self.collated(a.sql, common, '')} {op} {self.collated(b.sql, common, '')})"
        return f"({a.sql} {op} {b.sql})"

    def _variant_comparison(self, op: str, left: Typed, right: Typed) -> str:
        if op in ("IS", "IS NOT"):
            raise unsupported("IS DISTINCT FROM of sql_variant")
        a, b = self.cast(left, VARIANT).sql, self.cast(right, VARIANT).sql
        return f"(k_variant_compare({a}, {b}) {op} 0)"

    def choose(self, tests: list[str], results: list[Typed], otherwise: Typed) -> Typed:
        """A CASE over compiled parts."""
        common = self.unify(*results, otherwise)
        arms = " ".join(f"WHEN {test} THEN {self.cast(result, common).sql}" for test, result in zip(tests, results, strict=True))
        nullable = otherwise.nullable or any(result.nullable for result in results)
        return Typed(
            f"(CASE {arms} ELSE {self.cast(otherwise, common).sql} END)",
            common,
            self.collation_of(*results, otherwise, operation="CASE"),
            nullable=nullable,
        )

    # --- arithmetic ---

    def binary(self, op: str, left: Typed, right: Typed) -> Typed:
        """``left op right`` with T-SQL's types and errors."""
        if left.type is None or right.type is None:
            known = left.type or right.type or INT
            return Typed("NULL", known)
        a, b = left.type.name, right.type.name
        if "sql_variant" in (a, b):
            raise sql_error(257, "sql_variant", display(right.type if a == "sql_variant" else left.type, False))
        if op == "+" and a in STRINGS and b in STRINGS:
            return self.concatenate(left, right)
        if op == "+" and a in BINARIES and b in BINARIES:
            length = -1 if -1 in (left.type.length, right.type.length) else left.type.length + right.type.length
            joined = f"k_join_bytes({left.sql}, {right.sql})"
            if length > 8000:
                joined, length = f"substr({joined}, 1, 8000)", 8000
            return Typed(joined, SqlType("varbinary", length))
        if a in TEMPORALS or b in TEMPORALS:
            return self._date_arithmetic(op, left, right)
        if "bit" in (a, b) and {a, b} <= STRINGS | {"bit"} and op in "+-*/%":
            if op in "*/":
                raise sql_error(8117, display(left.type, False), _ARITHMETIC[op])
            raise sql_error(402, display(left.type, False), display(right.type, False), _ARITHMETIC[op])
        if op in "&|^":
            return self._bitwise(op, left, right)
        common = self.unify(left, right)
        if common.name in STRINGS or common.name not in NUMBERS:
            symbol = _ARITHMETIC[op]
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
        text, limit = f"({left.sql} || {right.sql})", 4000 if unicode else 8000
        length = -1
        if left.type.length > 0 and right.type.length > 0:
            length = left.type.length + right.type.length
            if length > limit:
                text, length = f"k_left({text}, {limit})", limit
        return Typed(text, SqlType("nvarchar" if unicode else "varchar", length), self.collation_of(left, right, operation="add"))

    def _float_arithmetic(self, op: str, left: Typed, right: Typed, common: SqlType) -> Typed:
        a, b = self.cast(left, FLOAT).sql, self.cast(right, FLOAT).sql
        if op == "/":
            return Typed(f"k_float_divide({a}, {b})", common)
        if op == "%" and left.type is not None and right.type is not None:
            if left.type.name in FLOATS and right.type.name in FLOATS:
                raise sql_error(8117, left.type.name, "modulo")
            raise sql_error(402, display(left.type, False), display(right.type, False), "modulo")
        return Typed(f"k_float({a} {op} {b})", common)

    def _decimal_arithmetic(self, op: str, left: Typed, right: Typed, common: SqlType) -> Typed:
        money = common.name in ("money", "smallmoney")
        a, b = self._as_decimal(left, common), self._as_decimal(right, common)
        result = MONEY if money else arithmetic_decimal_type(op, _decimal_of(a), _decimal_of(b))
        return Typed(f"k_decimal('{op}', {a.sql}, {b.sql}, {0 if money else result.precision}, {result.scale})", result)

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
        old = {"datetime", "smalldatetime"}
        if op in "+-" and {a.name, b.name} & old and {a.name, b.name} <= old | NUMBERS | STRINGS:
            common = self.unify(left, right)
            pair = f"{self.cast(left, common).sql}, {self.cast(right, common).sql}"
            return Typed(f"k_datetime_sum('{op}', {pair}, '{common.name}')", common)
        raise sql_error(
            206 if a.name in NUMBERS or b.name in NUMBERS else 402,
            *(
                (display(a, False), display(b, False))
                if a.name in NUMBERS or b.name in NUMBERS
                else (display(a, False), display(b, False), "add" if op == "+" else "subtract")
            ),
        )


_PRECISE = frozenset({"datetime2", "datetimeoffset", "time"})


def _precise(typed: Typed) -> Typed:
    constant = typed.constant
    if isinstance(constant, str):
        constant = precise_datetime(constant)
        return Typed(literal_sql(constant), DATETIME2, constant=constant)
    return Typed(f"k_precise_datetime({typed.sql})", DATETIME2, constant=constant, nullable=typed.nullable)


def _compare_bytes(op: str, a: str, b: str) -> str:
    """A comparison that does not see zeros at the end.

    All values that equal ``b`` lie between ``b`` without its zeros and ``b`` followed by as many as there may be. So an index on
    ``a`` helps.
    """
    low, high = f"k_first_bytes({b})", f"k_last_bytes({b})"
    if op in ("=", "<>"):
        test = f"({a} >= {low} AND {a} <= {high} AND {b} >= k_first_bytes({a}) AND {b} <= k_last_bytes({a}))"
        return test if op == "=" else f"(NOT {test})"
    if op in ("IS", "IS NOT"):
        return f"(k_first_bytes({a}) {op} k_first_bytes({b}))"
    return f"({a} {op} {high if op in ('>', '<=') else low})"


def _one_size(left: SqlType, right: SqlType) -> bool:
    """Whether all values of both types have one length, so that zeros at the end cannot make a difference."""
    return left.length == right.length and {left.name, right.name} <= {"binary", "rowversion"}


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
        if b == "xml" != a:
            return False
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
