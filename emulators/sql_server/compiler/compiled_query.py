"""A compiled query: the parts of its SQLite text, and its columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from emulators.sql_server.compiler.scope import Typed


@dataclass(slots=True)
class CompiledQuery:
    """SQLite text of a query; its columns are called _1, _2, …"""

    columns: list[tuple[str, Typed]]
    items: list[str]
    before: str = ""
    """WITH, SELECT and DISTINCT."""
    after: str = ""
    """FROM and the rest, without ORDER BY and LIMIT."""
    order: str = ""
    limit: str = ""
    single_row: bool = False
    assignments: list[tuple[str, str]] = field(default_factory=list)
    compound: tuple[CompiledQuery, str, CompiledQuery] | None = None
    distinct: bool = False
    wrapped: str = ""
    """The whole text, when it is not made of parts (FOR JSON)."""
    rowid: str = ""
    base_columns: list[str] = field(default_factory=list)

    def sql(self, casts: Sequence[str] | None = None) -> str:
        """The whole text; ``casts`` are templates with {} for each item."""
        if self.wrapped:
            return self.wrapped
        if self.compound is not None:
            left, op, right = self.compound
            return f"{self.before}{left.member()} {op} {right.member(True)}{self.order}{self.limit}"
        items = self.items if casts is None else [cast.format(item) for cast, item in zip(casts, self.items, strict=True)]
        listed = ", ".join(f"{item} AS _{number}" for number, item in enumerate(items, 1))
        if self.rowid:
            listed += f", {self.rowid} AS __rid"
        return f"{self.before}SELECT {'DISTINCT ' if self.distinct else ''}{listed}{self.after}{self.order}{self.limit}"

    def member(self, right: bool = False) -> str:
        """As a part of a set operation."""
        if self.order or self.limit or self.before or self.wrapped or (right and self.compound is not None):
            names = ", ".join(f"_{number}" for number in range(1, len(self.columns) + 1))
            return f"SELECT {names} FROM ({self.sql()})"
        return self.sql()
