"""Expressions, queries and the sources of FROM."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulators.sql_server.values.results import SqlType

Name = tuple[str, ...]
"""Parts of a qualified name, from left to right, without brackets."""


class Node:
    """Anything of the tree."""

    __slots__ = ()


# --- expressions ---


class Expression(Node):
    """Scalar expressions and conditions."""

    __slots__ = ()


@dataclass(slots=True, eq=True)
class Literal(Expression):
    """A constant; ``value`` as in results.py, except that decimals are ``decimal.Decimal``."""

    value: Any
    type: SqlType


@dataclass(slots=True, eq=True)
class Null(Expression):
    """The untyped NULL."""


@dataclass(slots=True, eq=True)
class Variable(Expression):
    name: str


@dataclass(slots=True, eq=True)
class GlobalVariable(Expression):
    name: str


@dataclass(slots=True)
class ColumnRef(Expression):
    parts: Name

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColumnRef) and tuple(p.lower() for p in self.parts) == tuple(p.lower() for p in other.parts)


@dataclass(slots=True, eq=True)
class Star(Expression):
    qualifier: Name = ()


@dataclass(slots=True, eq=True)
class Unary(Expression):
    op: str
    operand: Expression


@dataclass(slots=True, eq=True)
class Binary(Expression):
    """Arithmetic, bit and string operators."""

    op: str
    left: Expression
    right: Expression


@dataclass(slots=True, eq=True)
class Comparison(Expression):
    op: str
    left: Expression
    right: Expression


@dataclass(slots=True, eq=True)
class Logical(Expression):
    """AND, OR of two or more conditions."""

    op: str
    operands: list[Expression]


@dataclass(slots=True, eq=True)
class Not(Expression):
    operand: Expression


@dataclass(slots=True, eq=True)
class IsNull(Expression):
    operand: Expression
    negated: bool


@dataclass(slots=True, eq=True)
class IsDistinct(Expression):
    left: Expression
    right: Expression
    negated: bool


@dataclass(slots=True, eq=True)
class Between(Expression):
    operand: Expression
    low: Expression
    high: Expression
    negated: bool


@dataclass(slots=True, eq=True)
class InList(Expression):
    operand: Expression
    items: list[Expression]
    negated: bool


@dataclass(slots=True, eq=True)
class InQuery(Expression):
    operand: Expression
    query: Query
    negated: bool


@dataclass(slots=True, eq=True)
class Like(Expression):
    operand: Expression
    pattern: Expression
    escape: Expression | None
    negated: bool


@dataclass(slots=True, eq=True)
class Exists(Expression):
    query: Query


@dataclass(slots=True, eq=True)
class Quantified(Expression):
    op: str
    left: Expression
    every: bool
    query: Query


@dataclass(slots=True, eq=True)
class Case(Expression):
    operand: Expression | None
    whens: list[tuple[Expression, Expression]]
    otherwise: Expression | None


@dataclass(slots=True, eq=True)
class Cast(Expression):
    operand: Expression
    type: SqlType
    style: Expression | None = None
    lenient: bool = False
    """TRY_CAST and TRY_CONVERT: NULL instead of an error."""


@dataclass(slots=True, eq=True)
class FunctionCall(Expression):
    name: str
    arguments: list[Expression]
    schema: str = ""
    distinct: bool = False
    over: Window | None = None
    order: list[OrderItem] = field(default_factory=list)
    """WITHIN GROUP (ORDER BY …)."""


@dataclass(slots=True, eq=True)
class Window(Node):
    partition: list[Expression]
    order: list[OrderItem]
    frame: str


@dataclass(slots=True, eq=True)
class ScalarQuery(Expression):
    query: Query


@dataclass(slots=True, eq=True)
class Collate(Expression):
    operand: Expression
    collation: str


@dataclass(slots=True, eq=True)
class AtTimeZone(Expression):
    operand: Expression
    zone: Expression


@dataclass(slots=True, eq=True)
class NextValue(Expression):
    """NEXT VALUE FOR a sequence."""

    name: Name


@dataclass(slots=True, eq=True)
class Default(Expression):
    """The keyword DEFAULT as a value."""


# --- queries ---


@dataclass(slots=True, eq=True)
class OrderItem(Node):
    expression: Expression
    descending: bool = False


@dataclass(slots=True, eq=True)
class SelectItem(Node):
    expression: Expression
    alias: str = ""
    variable: str = ""
    """SELECT @variable = expression."""
    op: str = "="


@dataclass(slots=True, eq=True)
class Top(Node):
    count: Expression
    percent: bool = False
    ties: bool = False


@dataclass(slots=True, eq=True)
class CommonTable(Node):
    name: str
    columns: list[str]
    query: Query


@dataclass(slots=True, eq=True)
class Select(Node):
    items: list[SelectItem]
    distinct: bool = False
    top: Top | None = None
    into: Name | None = None
    source: Source | None = None
    where: Expression | None = None
    group: list[Expression] = field(default_factory=list)
    having: Expression | None = None


@dataclass(slots=True, eq=True)
class SetOperation(Node):
    op: str
    every: bool
    left: Node
    right: Node


@dataclass(slots=True, eq=True)
class ValuesRows(Node):
    rows: list[list[Expression]]


@dataclass(slots=True, eq=True)
class ForJson(Node):
    mode: str
    root: str | None
    include_nulls: bool
    without_array: bool


@dataclass(slots=True, eq=True)
class Query(Node):
    """A query expression: common tables, body, order."""

    body: Node
    ctes: list[CommonTable] = field(default_factory=list)
    order: list[OrderItem] = field(default_factory=list)
    offset: Expression | None = None
    fetch: Expression | None = None
    for_json: ForJson | None = None
    max_recursion: int = 100


class Source(Node):
    """Anything that may stand in FROM."""

    __slots__ = ()


@dataclass(slots=True, eq=True)
class TableSource(Source):
    name: Name
    alias: str = ""
    hints: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=True)
class TableVariableSource(Source):
    name: str
    alias: str = ""


@dataclass(slots=True, eq=True)
class DerivedTable(Source):
    query: Query
    alias: str
    columns: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=True)
class OpenJson(Source):
    document: Expression
    path: Expression | None
    columns: list[tuple[str, SqlType, str | None, bool]] | None
    """name, type, path, AS JSON."""
    alias: str = ""


@dataclass(slots=True, eq=True)
class ChangesSource(Source):
    table: Name
    since: Expression
    alias: str = ""
    columns: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=True)
class VersionSource(Source):
    table: Name
    keys: list[str]
    values: list[Expression]
    alias: str = ""
    columns: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=True)
class FunctionSource(Source):
    name: Name
    arguments: list[Expression]
    alias: str = ""
    columns: list[str] = field(default_factory=list)


@dataclass(slots=True, eq=True)
class Join(Source):
    kind: str
    """INNER, LEFT, RIGHT, FULL, CROSS, CROSS APPLY, OUTER APPLY."""
    left: Source
    right: Source
    on: Expression | None = None
