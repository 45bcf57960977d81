"""The OUTPUT clause, and what all DML statements share."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from emulators.sql_server.catalogue.masking import Mask
from emulators.sql_server.catalogue.objects import Table, TableColumn
from emulators.sql_server.compiler.masks import combined
from emulators.sql_server.compiler.plans import OutputPlan
from emulators.sql_server.compiler.queries import QueryCompiler, type_or_int
from emulators.sql_server.compiler.scope import Bound, BoundColumn, Scope, Typed
from emulators.sql_server.parser.batches import parse_expression
from emulators.sql_server.parser.tree import Default, Expression, Output, Source, Star, TableSource, TableVariableSource
from emulators.sql_server.parser.walk import is_sequential_id
from emulators.sql_server.values.datatypes import UNIQUEIDENTIFIER, to_external
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import Column, SqlType
from emulators.sql_server.values.variants import external

_PARAMETER = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\?(\d+)")
_TOKEN = re.compile("\x03([^\x04]*)\x04")


def highest_parameter(sql: str) -> int:
    """The greatest n of the parameters ?n of a SQLite statement, which is how many values it wants."""
    return max((int(number) for number in _PARAMETER.findall(sql) if number), default=0)


class OutputCompiler(QueryCompiler):
    """Targets, columns and OUTPUT."""

    def target_table(self, target: Source) -> Table:
        if isinstance(target, TableVariableSource):
            return self.table_variable(target.name)
        assert isinstance(target, TableSource)
        if len(target.name) > 1 and target.name[-2].lower() in ("sys", "information_schema"):
            raise unsupported("changes of system views")
        if isinstance(self.lookup(target.name), str):
            raise unsupported("changes through a view")
        return self.find_table(target.name)

    def default_value(self, column: TableColumn) -> Typed:
        """The column's DEFAULT, or NULL."""
        if column.default is None:
            return Typed("NULL", None)
        expression = parse_expression(column.default)
        if is_sequential_id(expression):
            return Typed("k_new_sequential_id()", UNIQUEIDENTIFIER)
        return self.value(expression, Scope())

    def assigned(self, node: Expression, column: TableColumn, scope: Scope) -> str:
        """A value for a column; too long strings are found out by the writer, which can name the column."""
        typed = self.default_value(column) if isinstance(node, Default) else self.value(node, scope)
        return self.assigned_as(typed, column.type).sql

    def _stored_place(self, table: Table, name: str) -> int:
        column = table.column(name)
        if column is None:
            raise sql_error(207, name)
        if column.computed is not None:
            raise sql_error(271, column.name)
        return table.stored.index(column)

    def insert_columns(self, table: Table, names: list[str], explicit: bool) -> tuple[list[int], bool]:
        if names:
            given = [self._stored_place(table, name) for name in names]
            for place, name in zip(given, names, strict=True):
                if given.count(place) > 1:
                    raise sql_error(264, name)
                if table.stored[place].type.name == "rowversion":
                    raise sql_error(273)
            return given, True
        return [
            place
            for place, column in enumerate(table.stored)
            if (column.identity is None or explicit) and column.type.name != "rowversion"
        ], False

    def _refuse_identity(self, table: Table, given: list[int], explicit: bool) -> None:
        identity = table.identity
        if identity is None:
            return
        if table.stored.index(identity) in given:
            if not explicit:
                raise sql_error(544, table.name)
        elif explicit:
            raise sql_error(545, table.name)

    def _missing(self, table: Table, given: list[int]) -> tuple[list[int], list[str]]:
        """Columns not given, except those the writer fills, and their defaults."""
        places, values = [], []
        for place, column in enumerate(table.stored):
            if place in given or column.identity is not None or column.type.name == "rowversion" or column.default is None:
                continue
            places.append(place)
            values.append(self.assigned_as(self.default_value(column), column.type).sql)
        return places, values

    def _layout(self, table: Table, places: list[int]) -> list[int]:
        return [places.index(place) if place in places else -1 for place in range(len(table.stored))]

    # --- OUTPUT ---

    def output_plan(
        self, node: Output, table: Table, sources: list[Bound], extras: list[str], images: tuple[str, ...], merges: bool = False
    ) -> OutputPlan:
        """Values come from the new row (inserted), the old row (deleted), or the sources (extra columns of the query).

        ``merges``: for some rows there is no new row, no old row or no source.
        """
        scope = Scope()
        for image in ("inserted", "deleted"):
            if image in images:
                bound = Bound(
                    image,
                    [
                        BoundColumn(
                            column.name,
                            column.type,
                            f"\x03{image}:{place}\x04",
                            column.nullable or merges,
                            False,
                            column.sqlite_collation,
                            Mask(column.mask, frozenset({(table.object_id, column.column_id)})) if column.mask else None,
                        )
                        for place, column in enumerate(table.stored)
                    ],
                    table=None,
                )
                scope.sources.append(bound)
                self._computed_image(table, bound)
        for source in sources:
            copy = Bound(
                source.alias,
                [
                    BoundColumn(c.name, c.type, f"\x03source:{c.sql}\x04", c.nullable or merges, False, c.collation, c.mask)
                    for c in source.columns
                ],
                source.names,
                explicit_alias=source.explicit_alias,
                hidden=source.hidden,
            )
            scope.sources.append(copy)
        scope.sources.append(Bound("$", [BoundColumn("$action", SqlType("nvarchar", 10), "\x03action:0\x04", False)]))
        for item in node.items:
            if isinstance(item.expression, Star) and not item.expression.qualifier:
                raise sql_error(102, "*")
        names, items, assigned = self._items(node.items, scope)
        rest = combined([item.mask for item in items if item.mask is not None], "OUTPUT of a masked column")
        if rest is not None:
            self.unit.doubts.append(rest)
        if assigned:
            raise sql_error(141)
        target: Table | None = None
        target_columns: list[int] = []
        defaults = ""
        if node.into is not None:
            target, target_columns, items, defaults = self._output_target(node, items)
        bindings: list[tuple[str, Any]] = []
        places: list[tuple[str, int]] = []
        texts = [self._resolve_tokens(item.sql, bindings, places, extras) for item in items]
        direct = len(places) == len(items) and all(re.fullmatch(r"\?\d+", text) for text in texts)
        if not direct:
            places = []
        columns = [Column(name, type_or_int(item), item.nullable) for name, item in zip(names, items, strict=True)]
        sql = "SELECT " + ", ".join(texts)
        converters = [] if target is not None else output_converters([column.type for column in columns])
        default_bindings: list[tuple[str, Any]] = []
        defaults = self._resolve_tokens(defaults, default_bindings, [], extras)
        return OutputPlan(columns, converters, places, sql, bindings, target, target_columns, defaults, default_bindings)

    def _computed_image(self, table: Table, bound: Bound) -> None:
        stored = {column.name for column in table.stored}
        for column in table.columns:
            if column.name not in stored and column.computed is not None:
                own = Scope()
                own.sources = [bound]
                typed = self.value(parse_expression(column.computed), own)
                bound.columns.append(BoundColumn(column.name, type_or_int(typed), typed.sql))
        order = {column.name: place for place, column in enumerate(table.columns)}
        bound.columns.sort(key=lambda column: order[column.name])

    def _output_target(self, node: Output, items: list[Typed]) -> tuple[Table, list[int], list[Typed], str]:
        table = self.table_variable(node.into) if isinstance(node.into, str) else self.find_table(node.into or ())
        given, _ = self.insert_columns(table, node.into_columns, False)
        if len(given) != len(items):
            raise sql_error(121 if len(items) > len(given) else 120)
        cast = [self.assigned_as(item, table.stored[place].type) for item, place in zip(items, given, strict=True)]
        places, defaults = self._missing(table, given)
        return table, given + places, cast, ", ".join(defaults)

    def _resolve_tokens(self, text: str, bindings: list[tuple[str, Any]], places: list[tuple[str, int]], extras: list[str]) -> str:
        """Replace \\x03kind:what\\x04 by parameters; parameters of the unit become parameters of this statement."""

        def parameter(key: tuple[str, Any]) -> str:
            if key not in bindings:
                bindings.append(key)
            return f"?{bindings.index(key) + 1}"

        def unit_parameter(found: re.Match[str]) -> str:
            if found[1] is None:
                return found[0]
            return parameter(self.unit.bindings[int(found[1]) - 1])

        pieces = []
        position = 0
        for found in _TOKEN.finditer(text):
            pieces.append(_PARAMETER.sub(unit_parameter, text[position : found.start()]))
            kind, _, what = found[1].partition(":")
            if kind == "source":
                if what not in extras:
                    extras.append(what)
                key = ("source", extras.index(what))
            else:
                key = (kind, int(what))
            if found[0] == text:
                places.append(key)
            pieces.append(parameter(key))
            position = found.end()
        pieces.append(_PARAMETER.sub(unit_parameter, text[position:]))
        return "".join(pieces)


def alias_of(bound: Bound) -> str:
    return bound.rowid.partition(".")[0]


def output_converters(types: list[SqlType]) -> list[tuple[int, Callable[[Any], Any]]]:
    """Which columns of a row must be turned from the inner form, and how."""
    found = []
    for place, kind in enumerate(types):
        convert = external if kind.name == "sql_variant" else to_external(kind)
        if convert is not None:
            found.append((place, convert))
    return found
