"""What the compiler makes of a statement: a SQLite statement and what to do with its rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from emulators.sql_server.catalogue.masking import Mask
from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.parser.tree import Name
from emulators.sql_server.values.results import Column, SqlType


@dataclass(slots=True)
class Plan:
    """A SQLite statement and what it needs."""

    sql: str
    bindings: list[tuple[str, Any]]
    views: list[str] = field(default_factory=list)
    reads: set[int] = field(default_factory=set)
    permissions: list[tuple[str, int]] = field(default_factory=list)
    locking: bool = False
    masks: list[tuple[int, Mask, SqlType]] = field(default_factory=list)
    """Columns of the result that a user without UNMASK reads otherwise."""
    doubts: list[Mask] = field(default_factory=list)
    sequences: list[int] = field(default_factory=list)
    filtered: bool = False
    """A security policy hides rows: errors of conversion name no value."""


@dataclass(slots=True)
class SelectPlan(Plan):
    columns: list[Column] = field(default_factory=list)
    converters: list[tuple[int, Callable[[Any], Any]]] = field(default_factory=list)
    assignments: list[str] = field(default_factory=list)
    into: Name | None = None
    pieces: bool = False
    """The result is one long text, which arrives in rows (FOR JSON)."""
    types: list[SqlType] = field(default_factory=list)
    steps: list[AssignmentStep] = field(default_factory=list)


@dataclass(slots=True)
class AssignmentStep:
    """One assignment of a SELECT, run for each row; bindings of kind ``source`` are places in the row."""

    variable: str
    sql: str
    bindings: list[tuple[str, Any]]


@dataclass(slots=True)
class OutputPlan:
    """OUTPUT: ``places`` when every item is a plain column, else an expression for SQLite over bound values."""

    columns: list[Column]
    converters: list[tuple[int, Callable[[Any], Any]]]
    places: list[tuple[str, int]]
    sql: str
    bindings: list[tuple[str, Any]]
    target: Table | None = None
    target_columns: list[int] = field(default_factory=list)
    defaults: str = ""
    default_bindings: list[tuple[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class DmlPlan(Plan):
    """``layout``: where each stored column's new value stands in a row of the query (-1: not given)."""

    table: Table | None = None
    kind: str = ""
    layout: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    """Places of the stored columns that UPDATE sets, in the order of SET."""
    variables: list[tuple[str, int]] = field(default_factory=list)
    output: OutputPlan | None = None
    extra_at: int = 0
    explicit_identity: bool = False
    context: str = ""
    context_bindings: list[tuple[str, Any]] = field(default_factory=list)
    actions: list[MergeAction] = field(default_factory=list)


@dataclass(slots=True)
class MergeAction:
    kind: str
    start: int
    """Where the action's values begin in a row."""
    layout: list[int]
    changed: list[int]
    explicit_identity: bool = False
