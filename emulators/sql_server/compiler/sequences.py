"""NEXT VALUE FOR: where it may stand, and the call that draws a value."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from emulators.sql_server.compiler.scope import Scope, Typed, Unit
from emulators.sql_server.parser.tree import NextValue
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError

_NESTED = (
    "NEXT VALUE FOR function is not allowed in check constraints, default objects, computed columns, views, user-defined "
    "functions, user-defined aggregates, user-defined table types, sub-queries, common table expressions, derived tables or "
    "return statements."
)
_DRAW = re.compile(r"k_next_value\((\d+), (\d+)\)")


class SequenceCompiler:
    """Compiles NEXT VALUE FOR."""

    unit: Unit
    may_draw = False
    """The expression is an item, a value or a DEFAULT of a statement, so that it is worked out once for each row."""

    outermost = False
    """It belongs to the statement itself, not to a query or a definition inside of it."""
    conditional = 0
    """How many CASE, COALESCE, IIF, ISNULL and NULLIF are around it."""

    @contextmanager
    def one_of_several(self) -> Iterator[None]:
        """Inside an expression that works out some of its parts only."""
        self.conditional += 1
        try:
            yield
        finally:
            self.conditional -= 1

    @contextmanager
    def at_level(self, outermost: bool) -> Iterator[None]:
        """Inside a query: that of the statement, or another."""
        outer, self.outermost = (self.outermost, self.may_draw, self.conditional), outermost
        self.may_draw, self.conditional = False, 0
        try:
            yield
        finally:
            self.outermost, self.may_draw, self.conditional = outer

    @contextmanager
    def drawing(self, allowed: bool = True) -> Iterator[None]:
        """One row, in which each sequence may be named once."""
        outer, self.may_draw = self.may_draw, allowed
        seen, self.unit.drawn = self.unit.drawn, set()
        try:
            yield
        finally:
            self.may_draw, self.unit.drawn = outer, seen

    def _compile_nextvalue(self, node: NextValue, scope: Scope) -> Typed:
        name = node.name
        schema = (name[-2] if len(name) > 1 else "") or "dbo"
        found = self.unit.catalogue.sequence(schema, name[-1])
        if found is None:
            if self.unit.catalogue.object_named(schema, name[-1]) is not None:
                raise SqlError(11726, f"Object '{'.'.join(name)}' is not a sequence object.")
            raise sql_error(208, ".".join(name))
        if self.conditional:
            raise SqlError(
                11741,
                "NEXT VALUE FOR function cannot be used within CASE, CHOOSE, COALESCE, IIF, ISNULL and NULLIF expressions.",
                15,
            )
        if not self.may_draw:
            raise unsupported("NEXT VALUE FOR in this clause") if self.outermost else SqlError(11719, _NESTED, 15)
        if found.object_id in self.unit.drawn:
            raise unsupported("two uses of a sequence for one row")
        self.unit.drawn.add(found.object_id)
        self.unit.sequences.append(found.object_id)
        self.unit.permissions.add(("UPDATE", found.object_id))
        return Typed(f"k_next_value({found.object_id}, {len(self.unit.sequences)})", found.type, nullable=False)


def refuse_repeated_draws(sql: str) -> None:
    """Text that an expression has twice would draw twice. Raises SqlError 40517."""
    draws = _DRAW.findall(sql)
    if len(draws) != len(set(draws)):
        raise unsupported("NEXT VALUE FOR in this expression")
