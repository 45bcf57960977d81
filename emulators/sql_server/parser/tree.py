"""The syntax tree of T-SQL that the parser builds and the compiler reads."""

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


# --- statements ---


@dataclass(slots=True, eq=False)
class Statement(Node):
    line: int = field(default=1, kw_only=True)
    plans: dict[Any, Any] = field(default_factory=dict, kw_only=True, repr=False)
    """Compiled forms by catalogue and variable types; kept here so that a cached batch is never compiled twice."""


@dataclass(slots=True, eq=False)
class TableColumnSyntax(Node):
    name: str
    type: SqlType | None
    nullable: bool | None = None
    identity: tuple[int, int] | None = None
    default: tuple[str, str] | None = None
    """constraint name ('' when unnamed), expression text."""
    computed: str | None = None
    persisted: bool = False
    collation: str | None = None
    mask: str | None = None
    """MASKED WITH (FUNCTION = …)."""
    constraints: list[ConstraintSyntax] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class ConstraintSyntax(Node):
    kind: str
    """PRIMARY KEY, UNIQUE, CHECK, FOREIGN KEY, INDEX, DEFAULT."""
    name: str = ""
    columns: list[tuple[str, bool]] = field(default_factory=list)
    expression: str = ""
    references: Name = ()
    reference_columns: list[str] = field(default_factory=list)
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    clustered: bool | None = None
    unique: bool = False
    with_values: bool = False
    include: list[str] = field(default_factory=list)
    where: str = ""


@dataclass(slots=True, eq=False)
class TableDefinition(Node):
    columns: list[TableColumnSyntax]
    constraints: list[ConstraintSyntax]


@dataclass(slots=True, eq=False)
class Declare(Statement):
    items: list[tuple[str, SqlType | TableDefinition, Expression | None]]


@dataclass(slots=True, eq=False)
class SetVariable(Statement):
    name: str
    op: str
    value: Expression


@dataclass(slots=True, eq=False)
class SetOption(Statement):
    names: list[str]
    value: Any
    table: Name = ()


@dataclass(slots=True, eq=False)
class If(Statement):
    condition: Expression
    then: Statement
    otherwise: Statement | None


@dataclass(slots=True, eq=False)
class While(Statement):
    condition: Expression
    body: Statement


@dataclass(slots=True, eq=False)
class Block(Statement):
    body: list[Statement]


@dataclass(slots=True, eq=False)
class TryCatch(Statement):
    body: list[Statement]
    handler: list[Statement]


@dataclass(slots=True, eq=False)
class Break(Statement):
    pass


@dataclass(slots=True, eq=False)
class Continue(Statement):
    pass


@dataclass(slots=True, eq=False)
class Return(Statement):
    value: Expression | None


@dataclass(slots=True, eq=False)
class Print(Statement):
    value: Expression


@dataclass(slots=True, eq=False)
class Throw(Statement):
    arguments: list[Expression]


@dataclass(slots=True, eq=False)
class RaiseError(Statement):
    message: Expression
    severity: Expression
    state: Expression
    arguments: list[Expression]
    options: list[str]


@dataclass(slots=True, eq=False)
class Execute(Statement):
    procedure: Name
    arguments: list[tuple[str, Expression, bool]]
    """name ('' when positional), value, OUTPUT."""
    result: str = ""


@dataclass(slots=True, eq=False)
class ExecuteString(Statement):
    text: Expression


@dataclass(slots=True, eq=False)
class BeginTransaction(Statement):
    name: str = ""


@dataclass(slots=True, eq=False)
class Commit(Statement):
    name: str = ""


@dataclass(slots=True, eq=False)
class Rollback(Statement):
    name: str | Variable = ""


@dataclass(slots=True, eq=False)
class SaveTransaction(Statement):
    name: str | Variable


@dataclass(slots=True, eq=False)
class WaitFor(Statement):
    kind: str
    value: Expression


@dataclass(slots=True, eq=False)
class Use(Statement):
    database: str


@dataclass(slots=True, eq=False)
class QueryStatement(Statement):
    query: Query


@dataclass(slots=True, eq=True)
class Output(Node):
    items: list[SelectItem]
    into: Name | str | None
    into_columns: list[str]


@dataclass(slots=True, eq=False)
class Insert(Statement):
    target: Source
    columns: list[str]
    source: Query | ValuesRows | Execute | ExecuteString | None
    """None: DEFAULT VALUES."""
    output: Output | None = None
    ctes: list[CommonTable] = field(default_factory=list)
    top: Top | None = None
    context: Expression | None = None
    """WITH CHANGE_TRACKING_CONTEXT."""


@dataclass(slots=True, eq=False)
class Update(Statement):
    target: Source
    assignments: list[tuple[str, str, str, Expression]]
    """column ('' for none), variable ('' for none), operator, value."""
    source: Source | None = None
    where: Expression | None = None
    output: Output | None = None
    ctes: list[CommonTable] = field(default_factory=list)
    top: Top | None = None
    context: Expression | None = None


@dataclass(slots=True, eq=False)
class Delete(Statement):
    target: Source
    source: Source | None = None
    where: Expression | None = None
    output: Output | None = None
    ctes: list[CommonTable] = field(default_factory=list)
    top: Top | None = None
    context: Expression | None = None


@dataclass(slots=True, eq=False)
class MergeWhen(Node):
    matched: str
    """MATCHED, NOT MATCHED, NOT MATCHED BY SOURCE."""
    condition: Expression | None
    action: str
    """UPDATE, DELETE, INSERT."""
    assignments: list[tuple[str, str, str, Expression]] = field(default_factory=list)
    columns: list[str] = field(default_factory=list)
    values: list[Expression] | None = None


@dataclass(slots=True, eq=False)
class Merge(Statement):
    target: Source
    source: Source
    on: Expression
    whens: list[MergeWhen]
    output: Output | None = None
    ctes: list[CommonTable] = field(default_factory=list)
    top: Top | None = None
    context: Expression | None = None


@dataclass(slots=True, eq=False)
class CreateTable(Statement):
    name: Name
    definition: TableDefinition


@dataclass(slots=True, eq=False)
class DropObjects(Statement):
    kind: str
    names: list[Name]
    if_exists: bool
    on_table: Name = ()


@dataclass(slots=True, eq=False)
class TruncateTable(Statement):
    name: Name


@dataclass(slots=True, eq=False)
class CheckIdentity(Statement):
    """DBCC CHECKIDENT"""

    name: Name
    reseed: bool = True
    value: int | None = None
    quiet: bool = False


@dataclass(slots=True, eq=False)
class CreateIndex(Statement):
    name: str
    table: Name
    columns: list[tuple[str, bool]]
    include: list[str]
    unique: bool
    clustered: bool
    where: str


@dataclass(slots=True, eq=False)
class AlterTable(Statement):
    name: Name
    action: str
    """ADD, DROP CONSTRAINT, DROP COLUMN, ALTER COLUMN, ADD MASKED, DROP MASKED, CHANGE TRACKING,
    CHECK CONSTRAINT (no names: all)."""
    definition: TableDefinition | None = None
    names: list[str] = field(default_factory=list)
    if_exists: bool = False
    enable: bool = False
    track_columns: bool | None = None
    check_existing: bool | None = None
    """WITH CHECK, WITH NOCHECK or neither."""
    mask: str = ""


@dataclass(slots=True, eq=False)
class AlterDatabase(Statement):
    database: str
    """'' means CURRENT."""
    settings: list[tuple[str, Any]]
    termination: str = ""
    """ROLLBACK IMMEDIATE, NO_WAIT or ''."""


@dataclass(slots=True, eq=False)
class CreateSchema(Statement):
    name: str
    owner: str


@dataclass(slots=True, eq=False)
class AlterAuthorization(Statement):
    """A new owner for a schema."""

    schema: str
    owner: str


@dataclass(slots=True, eq=False)
class CreateView(Statement):
    name: Name
    columns: list[str]
    text: str
    or_alter: bool
    alter: bool
    bound: bool = False
    """WITH SCHEMABINDING."""


@dataclass(slots=True, eq=False)
class PrincipalStatement(Statement):
    """CREATE/DROP/ALTER LOGIN, USER, ROLE."""

    action: str
    kind: str
    name: str
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True, eq=False)
class PermissionStatement(Statement):
    """GRANT, DENY, REVOKE."""

    action: str
    permissions: list[tuple[str, list[str]]]
    target_class: str
    target: Name
    principals: list[str]
    with_grant: bool = False


@dataclass(slots=True, eq=False)
class CreateFunction(Statement):
    """An inline table-valued function."""

    name: Name
    parameters: list[tuple[str, SqlType]]
    text: str
    definition: str
    bound: bool
    or_alter: bool
    alter: bool


@dataclass(slots=True, eq=False)
class PredicateSyntax(Node):
    """ADD, ALTER or DROP of a filter predicate; the arguments are T-SQL text."""

    action: str
    table: Name
    function: Name = ()
    arguments: list[tuple[Expression, str]] = field(default_factory=list)


@dataclass(slots=True, eq=False)
class PolicyStatement(Statement):
    """CREATE or ALTER SECURITY POLICY."""

    action: str
    name: Name
    predicates: list[PredicateSyntax]
    enabled: bool | None = None
    not_for_replication: bool | None = None
