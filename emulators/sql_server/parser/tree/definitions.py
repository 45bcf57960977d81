"""Statements of data definition."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulators.sql_server.parser.tree.queries import (
    Expression,
    Name,
    Node,
)
from emulators.sql_server.values.results import SqlType


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
    default_with_values: bool = False
    """ADD … DEFAULT … WITH VALUES: rows that are there get it too."""
    computed: str | None = None
    persisted: bool = False
    rowguid: bool = False
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
class SequenceStatement(Statement):
    """CREATE and ALTER SEQUENCE."""

    action: str
    name: Name
    type: SqlType | None = None
    options: dict[str, int | bool | None] = field(default_factory=dict)
    """START, RESTART, INCREMENT, MINVALUE, MAXVALUE, CYCLE, CACHE; None for NO, and for the default."""


@dataclass(slots=True, eq=False)
class CreateType(Statement):
    """An alias type."""

    name: Name
    base: SqlType
    nullable: bool


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
    definition: str = ""
    """The batch, as the client wrote it."""


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
