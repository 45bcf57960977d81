"""Running the plans of INSERT, UPDATE, DELETE and MERGE."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.catalogue.objects import Table
from emulators.sql_server.compiler.plans import DmlPlan, MergeAction, OutputPlan
from emulators.sql_server.storage.session import Session
from emulators.sql_server.storage.writer import AUTOMATIC, Row, TableWriter
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import ResultSet

Image = tuple[Row | None, Row | None, tuple[Any, ...], str]
"""Old row, new row, row of the query, action: what OUTPUT may speak of."""


class DmlRunner:
    """Runs DML plans for one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.store = session.store

    def run(self, plan: DmlPlan) -> tuple[int, ResultSet | None]:
        """Rows affected, and the rows of OUTPUT."""
        table = plan.table
        assert table is not None
        self.session.prepare(plan)
        with self.store.writing(table), self.session.drawing(plan.sequences):
            context = self._context(plan)
            rows = self.store.rows(plan.sql, self.session.parameters(plan.bindings)) if plan.sql else []
            writer = TableWriter(self.store, table, plan.kind, context)
            if plan.kind == "INSERT":
                images = self._insert(writer, plan, rows, table)
            elif plan.kind == "UPDATE":
                images = self._update(writer, plan, rows)
            elif plan.kind == "DELETE":
                images = self._delete(writer, rows)
            else:
                images = self._merge(writer, plan, rows, table)
            output = self._output(plan, images) if plan.output is not None else None
        return len(images), output

    def _context(self, plan: DmlPlan) -> bytes | None:
        if not plan.context:
            return None
        return self.store.run(plan.context, self.session.parameters(plan.context_bindings)).fetchone()[0]

    def new_rows(
        self, layout: list[int], rows: list[tuple[Any, ...]], start: int, table: Table, explicit_identity: bool
    ) -> list[Row]:
        """Rows in the order of the stored columns."""
        identity = table.identity
        automatic = table.stored.index(identity) if identity is not None and not explicit_identity else -1
        return [
            [
                AUTOMATIC if place == automatic else row[start + source] if source >= 0 else None
                for place, source in enumerate(layout)
            ]
            for row in rows
        ]

    def _insert(self, writer: TableWriter, plan: DmlPlan, rows: list[tuple[Any, ...]], table: Table) -> list[Image]:
        fresh = writer.insert(self.new_rows(plan.layout, rows, 0, table, plan.explicit_identity))
        return [(None, new, (), "INSERT") for new in fresh]

    def insert_values(self, plan: DmlPlan, rows: list[tuple[Any, ...]]) -> int:
        """INSERT … EXEC and SELECT INTO: rows that did not come from the plan's query."""
        assert plan.table is not None
        with self.store.writing(plan.table):
            writer = TableWriter(self.store, plan.table, "INSERT")
            return len(writer.insert(self.new_rows(plan.layout, rows, 0, plan.table, plan.explicit_identity)))

    def _changed_row(self, old: Row, changed: list[int], values: tuple[Any, ...]) -> Row:
        new = list(old)
        for place, value in zip(changed, values, strict=True):
            if place >= 0:
                new[place] = value
        return new

    def _update(self, writer: TableWriter, plan: DmlPlan, rows: list[tuple[Any, ...]]) -> list[Image]:
        width = len(writer.columns)
        seen: set[int] = set()
        changes: list[tuple[int, Row, Row]] = []
        images: list[Image] = []
        for row in rows:
            if row[0] in seen:
                continue
            seen.add(row[0])
            old = list(row[1 : 1 + width])
            new = self._changed_row(old, plan.changed, row[1 + width : 1 + width + len(plan.changed)])
            changes.append((row[0], old, new))
            images.append((old, new, row, "UPDATE"))
            for name, place in plan.variables:
                self.session.set_variable(name, row[place])
        writer.update(changes, [place for place in plan.changed if place >= 0])
        return images

    def _delete(self, writer: TableWriter, rows: list[tuple[Any, ...]]) -> list[Image]:
        width = len(writer.columns)
        found: dict[int, tuple[Any, ...]] = {}
        for row in rows:
            found.setdefault(row[0], row)
        writer.delete([(rowid, list(row[1 : 1 + width])) for rowid, row in found.items()])
        return [(list(row[1 : 1 + width]), None, row, "DELETE") for row in found.values()]

    def _merge(self, writer: TableWriter, plan: DmlPlan, rows: list[tuple[Any, ...]], table: Table) -> list[Image]:
        width = len(writer.columns)
        groups: dict[int, list[tuple[Any, ...]]] = {}
        seen: set[int] = set()
        for row in rows:
            if row[0] is None:
                continue
            if row[1] is not None:
                if row[1] in seen:
                    raise sql_error(8672)
                seen.add(row[1])
            groups.setdefault(row[0], []).append(row)
        images: list[Image] = []
        for kind in ("DELETE", "UPDATE", "INSERT"):
            for number, action in enumerate(plan.actions, 1):
                if action.kind == kind and number in groups:
                    images += self._merge_action(writer, action, groups[number], width, table)
        return images

    def _merge_action(
        self, writer: TableWriter, action: MergeAction, rows: list[tuple[Any, ...]], width: int, table: Table
    ) -> list[Image]:
        if action.kind == "DELETE":
            writer.delete([(row[1], list(row[2 : 2 + width])) for row in rows])
            return [(list(row[2 : 2 + width]), None, row, "DELETE") for row in rows]
        if action.kind == "INSERT":
            fresh = writer.insert(self.new_rows(action.layout, rows, action.start, table, action.explicit_identity))
            return [(None, new, row, "INSERT") for new, row in zip(fresh, rows, strict=True)]
        changes = []
        images: list[Image] = []
        for row in rows:
            old = list(row[2 : 2 + width])
            new = self._changed_row(old, action.changed, row[action.start : action.start + len(action.changed)])
            changes.append((row[1], old, new))
            images.append((old, new, row, "UPDATE"))
        writer.update(changes, action.changed)
        return images

    # --- OUTPUT ---

    def _output(self, dml: DmlPlan, images: list[Image]) -> ResultSet | None:
        plan, extra_at = dml.output, dml.extra_at
        assert plan is not None
        rows = []
        for image in images:
            if plan.places:
                row: tuple[Any, ...] = tuple(_pick(kind, place, image, extra_at) for kind, place in plan.places)
            else:
                values = [
                    _pick(kind, place, image, extra_at) if kind in _IMAGES else self.session.parameter(kind, place)
                    for kind, place in plan.bindings
                ]
                row = self.store.run(plan.sql, values).fetchone()
            rows.append(row)
        if plan.target is not None:
            self._store_output(plan, rows)
            return None
        return ResultSet(plan.columns, convert_rows(rows, plan.converters))

    def _store_output(self, plan: OutputPlan, rows: list[tuple[Any, ...]]) -> None:
        table = plan.target
        assert table is not None
        defaults = (
            self.store.run(f"SELECT {plan.defaults}", self.session.parameters(plan.default_bindings)).fetchone()
            if plan.defaults
            else ()
        )
        layout = [plan.target_columns.index(place) if place in plan.target_columns else -1 for place in range(len(table.stored))]
        fresh = self.new_rows(layout, [(*row, *defaults) for row in rows], 0, table, False)
        TableWriter(self.store, table, "INSERT").insert(fresh)


_IMAGES = frozenset({"inserted", "deleted", "source", "action"})


def _pick(kind: str, place: int, image: Image, extra_at: int) -> Any:
    old, new, row, action = image
    if kind == "inserted":
        return new[place] if new is not None else None
    if kind == "deleted":
        return old[place] if old is not None else None
    return row[extra_at + place] if kind == "source" else action


def convert_rows(rows: list[tuple[Any, ...]], converters: list[tuple[int, Any]]) -> list[tuple[Any, ...]]:
    """Rows in the form of results.py."""
    if not converters:
        return rows
    converted = []
    for row in rows:
        values = list(row)
        for place, convert in converters:
            if values[place] is not None:
                values[place] = convert(values[place])
        converted.append(tuple(values))
    return converted
