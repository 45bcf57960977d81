"""Statements except those of data definition: control of flow, variables, transactions, changes of rows."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulators.sql_server.parser.tree.definitions import (
    Statement,
    TableDefinition,
)
from emulators.sql_server.parser.tree.queries import (
    CommonTable,
    Expression,
    Name,
    Node,
    Query,
    SelectItem,
    Source,
    Top,
    ValuesRows,
    Variable,
)
from emulators.sql_server.values.results import SqlType


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
    into: Name | None = None
    """SELECT … INTO."""


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
