"""What all parts of the compiler share: typed expressions, scopes, bindings."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from emulators.sql_server.catalogue.masking import Mask
from emulators.sql_server.catalogue.model import Catalogue
from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.parser.tree import CommonTable, Expression
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlType

NO_CONSTANT = object()


@dataclass(slots=True)
class Typed:
    """SQLite text of an expression with its SQL Server type (None: the untyped NULL)."""

    sql: str
    type: SqlType | None
    collation: str = "CI"
    constant: Any = NO_CONSTANT
    """The inner value when it is known at compile time."""
    nullable: bool = True
    identity: bool = False
    json: bool = False
    """The text is JSON, which FOR JSON does not quote again."""
    mask: Mask | None = None
    """Set for items of a select list."""
    origin: tuple[str, ...] = ()
    """Schema and table of the column that it is."""


@dataclass(slots=True)
class BoundColumn:
    """A column of a table source."""

    name: str
    type: SqlType
    sql: str
    nullable: bool = True
    identity: bool = False
    collation: str = "CI"
    mask: Mask | None = None
    origin: tuple[str, ...] = ()


@dataclass(slots=True)
class Bound:
    """A table source in scope."""

    alias: str
    columns: list[BoundColumn]
    names: tuple[str, ...] = ()
    """Schema and table, for references by qualified name."""
    table: Table | None = None
    rowid: str = ""
    hidden: bool = False
    used: set[str] = field(default_factory=set)
    explicit_alias: bool = True

    def find(self, name: str) -> BoundColumn | None:
        lower = name.lower()
        for column in self.columns:
            if column.name.lower() == lower:
                self.used.add(lower)
                return column
        return None


@dataclass(slots=True)
class BoundCte:
    """A common table expression: compiled anew at each reference, or (recursive) a name in SQLite's WITH."""

    common: CommonTable
    visible: dict[str, BoundCte]
    recursive_columns: list[BoundColumn] | None = None
    recursive_name: str = ""


class Scope:
    """The sources that names may refer to; ``parent`` is the enclosing query's."""

    def __init__(self, parent: Scope | None = None, ctes: dict[str, BoundCte] | None = None) -> None:
        self.parent = parent
        self.sources: list[Bound] = []
        self.ctes: dict[str, BoundCte] = ctes if ctes is not None else (parent.ctes if parent else {})
        self.grouped = False
        self.group_nodes: list[Expression] = []
        self.group_sql: set[str] = set()
        self.touched = 0
        """How often a column of these sources was named: tells whether a subquery depends on them."""
        self.free = 0
        """> 0 inside an aggregate or a GROUP BY expression, where any column may stand."""
        self.extra_conditions: list[str] = []

    def find_source(self, parts: tuple[str, ...]) -> Bound | None:
        lowered = [part.lower() for part in parts]
        for source in self.sources:
            if len(lowered) == 1 and source.alias.lower() == lowered[0]:
                return source
            if len(lowered) > 1 and not source.explicit_alias and [n.lower() for n in source.names[-len(lowered) :]] == lowered:
                return source
        return None


@dataclass(slots=True)
class Unit:
    """One statement being compiled: what it may see, and what it turns out to need."""

    catalogue: Catalogue
    temporary: dict[str, Table]
    """#tables and @tables in reach, by lower-case name with its sign."""
    variables: dict[str, SqlType]
    database: str
    elsewhere: str = ""
    """The current database, where it is another: it has no tables."""
    bindings: list[tuple[str, Any]] = field(default_factory=list)
    binding_index: dict[tuple[str, Any], int] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)
    reads: set[int] = field(default_factory=set)
    permissions: set[tuple[str, int]] = field(default_factory=set)
    """What the user needs on what the statement, or the module that is being compiled, names itself."""
    beyond_chains: set[tuple[str, int]] = field(default_factory=set)
    """What the user needs on what modules name that belongs to other owners than they do."""
    locking: bool = False
    """A hint asks for update or range locks."""
    doubts: list[Mask] = field(default_factory=list)
    """Uses of masked columns that only a user with UNMASK may make here."""
    filtered: bool = False
    """A security policy hides rows of a table that it reads."""
    sequences: list[int] = field(default_factory=list)
    """Sequences that the statement draws from, once for each use."""
    drawn: set[int] = field(default_factory=set)
    """Those of the row that is being compiled."""
    deferred: dict[str, Callable[[], str]] = field(default_factory=dict)
    sources: int = 0
    columns_seen: int = 0

    def bind(self, kind: str, value: Any) -> str:
        """A parameter of the SQLite statement, filled at each execution."""
        key = (kind, value)
        number = self.binding_index.get(key)
        if number is None:
            self.bindings.append(key)
            number = self.binding_index[key] = len(self.bindings)
        return f"?{number}"

    @contextmanager
    def module(self, object_id: int) -> Iterator[None]:
        """Compile the query of a view or function: SELECT on it covers what it names, as far as that has the same owner."""
        outer, self.permissions = self.permissions, set()
        place, self.elsewhere = self.elsewhere, ""
        try:
            yield
        finally:
            self.elsewhere = place
            owner = self.catalogue.owner_of(object_id)
            self.beyond_chains |= {asked for asked in self.permissions if self.catalogue.owner_of(asked[1]) != owner}
            self.permissions = outer | {("SELECT", object_id)}

    def is_elsewhere(self, name: tuple[str, ...]) -> bool:
        """Whether an object of this name would be in another database."""
        given = name[-3] if len(name) > 2 else ""
        return (given or self.elsewhere or self.database).lower() != self.database.lower()

    def alias(self) -> str:
        self.sources += 1
        return f"s{self.sources}"

    def defer(self, render: Callable[[], str]) -> str:
        """Text that is only known when the whole statement has been compiled."""
        token = f"\x01{len(self.deferred)}\x01"
        self.deferred[token] = render
        return token

    def finish(self, sql: str) -> str:
        """Fill in deferred text."""
        for token, render in self.deferred.items():
            if token in sql:
                sql = sql.replace(token, render())
        return sql

    def variable_type(self, name: str) -> SqlType:
        declared = self.variables.get(name)
        if declared is None:
            raise sql_error(137, f"@{name}")
        return declared
