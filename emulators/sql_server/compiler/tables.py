"""Base tables: which one a name means, and how its columns come into scope."""

from __future__ import annotations

from emulators.sql_server.catalogue.masking import Mask
from emulators.sql_server.catalogue.model import quote
from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.compiler.expressions import ExpressionCompiler
from emulators.sql_server.compiler.functions.calls import FunctionCompiler
from emulators.sql_server.compiler.masks import combined
from emulators.sql_server.compiler.scope import Bound, BoundColumn, Scope
from emulators.sql_server.parser.batches import parse_expression
from emulators.sql_server.parser.tree import Name
from emulators.sql_server.values.datatypes import INT
from emulators.sql_server.values.errors import sql_error


class TableCompiler(FunctionCompiler, ExpressionCompiler):
    """Finds tables and brings them into a scope."""

    def register(self, bound: Bound, scope: Scope) -> None:
        """Put a source into scope. Raises SqlError 1013."""
        alias = bound.alias.lower()
        for other in scope.sources:
            same_name = other.names == bound.names or bound.explicit_alias or other.explicit_alias
            if alias and other.alias.lower() == alias and same_name and not other.hidden:
                raise sql_error(1013, bound.alias, bound.alias)
        scope.sources.append(bound)

    def table_variable(self, name: str) -> Table:
        table = self.unit.temporary.get(f"@{name}")
        if table is None:
            raise sql_error(1087, f"@{name}")
        return table

    def find_table(self, name: Name) -> Table:
        """The base table that a name means. Raises SqlError 208."""
        table = self.lookup(name)
        if not isinstance(table, Table):
            raise sql_error(208, ".".join(name))
        return table

    def lookup(self, name: Name) -> Table | str | None:
        """A table, the text of a view, or None."""
        last = name[-1]
        if last.startswith("#"):
            return self.unit.temporary.get(last.lower())
        schema = (name[-2] if len(name) > 1 else "") or "dbo"
        if self.unit.is_elsewhere(name):
            return None
        table = self.unit.catalogue.table(schema, last)
        if table is not None:
            return table
        view = self.unit.catalogue.view(schema, last)
        return view.text if view is not None else None

    predicates: tuple[int, ...] = ()
    """The table whose security predicate is being compiled."""

    def row_filter(self, table: Table) -> str:
        """The SQLite text of the rows that a security policy lets through, or ''."""
        raise AssertionError("given by QueryCompiler")

    def add_table(
        self, table: Table, alias: str, scope: Scope, names: Name, explicit: bool = True, *, filtered: bool = True
    ) -> str:
        """Bring a base table into scope; ``filtered``: without the rows that a security policy hides."""
        inner = self.unit.alias()
        bound = Bound(alias, [], names, table, f"{inner}.__rowid", explicit_alias=explicit)
        bound.columns = [
            BoundColumn(
                column.name,
                column.type,
                f"{inner}.{quote(column.name)}",
                column.nullable,
                column.identity is not None,
                column.sqlite_collation,
                Mask(column.mask, frozenset({(table.object_id, column.column_id)})) if column.mask else None,
                (table.schema, table.name) if column.computed is None else (),
            )
            for column in table.columns
        ]
        self._computed(table, bound)
        self.register(bound, scope)
        if not table.temporary:
            self.unit.reads.add(table.object_id)
            self.unit.permissions.add(("SELECT", table.object_id))
            if filtered and self.unit.catalogue.policies:
                rows = self.row_filter(table)
                if rows:
                    return f"{rows} AS {inner}"
        return f"{table.storage} AS {inner}"

    def _computed(self, table: Table, bound: Bound) -> None:
        """Computed columns are worked out where they are read."""
        for column, place in zip(table.columns, bound.columns, strict=True):
            if column.computed is not None:
                own = Scope()
                own.sources = [bound]
                start = len(self.reads.values)
                typed = self.value(parse_expression(column.computed), own)
                place.mask = combined(self.reads.taken(start))
                place.sql, place.type = typed.sql, typed.type or INT
