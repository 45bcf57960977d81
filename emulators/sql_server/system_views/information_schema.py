"""INFORMATION_SCHEMA.*: how its rows come out of the catalogue."""

from __future__ import annotations

from collections.abc import Iterator

from emulators.sql_server.catalogue.collations import DEFAULT_COLLATION
from emulators.sql_server.catalogue.model import Catalogue, constraints_of
from emulators.sql_server.catalogue.objects import Index, Table, TableColumn
from emulators.sql_server.catalogue.view_columns import Row
from emulators.sql_server.parser.batches import parse_condition
from emulators.sql_server.parser.walk import columns_in
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.datatypes import STRINGS, TEMPORALS, display, max_length_bytes, precision_scale


class InformationSchema:
    """Rows of each view, for one session."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.catalogue: Catalogue = session.store.catalogue

    def _tables(self) -> list[Table]:
        return sorted(self.catalogue.tables.values(), key=lambda table: table.object_id)

    def _information_schema_sequences(self) -> Iterator[Row]:
        for item in self.catalogue.sequences.values():
            yield self.session.owner.name, item.schema, item.name, item.type.name

    def _information_schema_routines(self) -> Iterator[Row]:
        for item in self.catalogue.functions.values():
            yield self.session.owner.name, item.schema, item.name, "FUNCTION", "TABLE"

    def _information_schema_parameters(self) -> Iterator[Row]:
        for item in self.catalogue.functions.values():
            for place, (name, kind) in enumerate(item.parameters, 1):
                yield self.session.owner.name, item.schema, item.name, place, "IN", f"@{name}", display(kind).partition("(")[0]

    def _information_schema_tables(self) -> Iterator[Row]:
        for table in self._tables():
            yield self.session.owner.name, table.schema, table.name, "BASE TABLE"
        for view in self.catalogue.views.values():
            yield self.session.owner.name, view.schema, view.name, "VIEW"

    def _information_schema_views(self) -> Iterator[Row]:
        for view in self.catalogue.views.values():
            yield self.session.owner.name, view.schema, view.name, view.definition

    def _information_schema_schemata(self) -> Iterator[Row]:
        for schema in self.catalogue.schemas.values():
            yield self.session.owner.name, schema.name, schema.owner

    def _information_schema_columns(self) -> Iterator[Row]:
        for table in self._tables():
            for place, column in enumerate(table.columns, 1):
                yield self._information_column(table.schema, table.name, place, column)
        for view in self.catalogue.views.values():
            for place, shown in enumerate(self.session.view_columns(view), 1):
                yield self._information_column(
                    view.schema, view.name, place, TableColumn(place, shown.name, shown.type, shown.nullable)
                )

    def _information_column(self, schema: str, table: str, place: int, column: TableColumn) -> Row:
        kind = column.type
        text = kind.name in STRINGS
        length = kind.length if text or kind.name in ("binary", "varbinary") else None
        octets = max_length_bytes(kind) if length is not None else None
        precision, scale = precision_scale(kind)
        temporal = kind.name in TEMPORALS
        number = not temporal and not text and precision > 0 and kind.name != "bit"
        collation = (column.collation or DEFAULT_COLLATION) if text else None
        fraction = {"date": 0, "datetime": 3, "smalldatetime": 0}.get(kind.name, kind.scale) if temporal else None
        return (
            self.session.owner.name,
            schema,
            table,
            column.name,
            place,
            f"({column.default})" if column.default is not None else None,
            "YES" if column.nullable else "NO",
            display(kind, False),
            length,
            octets,
            precision if number else None,
            10 if number else None,
            scale if number else None,
            fraction,
            ("UNICODE" if kind.name[0] == "n" else "iso_1") if text else None,
            collation,
        )

    def _information_schema_table_constraints(self) -> Iterator[Row]:
        names = {"PK": "PRIMARY KEY", "UQ": "UNIQUE", "C": "CHECK", "F": "FOREIGN KEY"}
        database = self.session.owner.name
        for table in self._tables():
            for _, name, kind in constraints_of(table):
                if kind in names:
                    yield database, table.schema, name, database, table.schema, table.name, names[kind]

    def _information_schema_key_column_usage(self) -> Iterator[Row]:
        database = self.session.owner.name
        for table in self._tables():
            keys: list[tuple[str, list[str]]] = [(index.name, _names(index)) for index in table.indexes if index.constraint]
            keys += [(key.name, key.columns) for key in table.foreign_keys]
            for name, columns in keys:
                for place, column in enumerate(columns, 1):
                    yield database, table.schema, name, database, table.schema, table.name, column, place

    def _information_schema_referential_constraints(self) -> Iterator[Row]:
        database = self.session.owner.name
        for table in self._tables():
            for key in table.foreign_keys:
                parent = self.catalogue.by_id[key.referenced_id]
                assert isinstance(parent, Table)
                wanted = [name.lower() for name in key.referenced_columns]
                unique = next(index for index in parent.indexes if index.unique and [n.lower() for n in _names(index)] == wanted)
                rules = (key.on_update, key.on_delete)
                yield database, table.schema, key.name, database, parent.schema, unique.name, "SIMPLE", *rules

    def _information_schema_check_constraints(self) -> Iterator[Row]:
        for table in self._tables():
            for check in table.checks:
                yield self.session.owner.name, table.schema, check.name, f"({check.text})"

    def _information_schema_constraint_column_usage(self) -> Iterator[Row]:
        database = self.session.owner.name
        for table in self._tables():
            used: list[tuple[str, list[str]]] = [(index.name, _names(index)) for index in table.indexes if index.constraint]
            used += [(key.name, key.columns) for key in table.foreign_keys]
            for check in table.checks:
                found = columns_in(parse_condition(check.text))
                used.append((check.name, [column.name for column in table.columns if column.name.lower() in found]))
            for name, columns in used:
                for column in columns:
                    yield database, table.schema, table.name, column, database, table.schema, name

    def _information_schema_constraint_table_usage(self) -> Iterator[Row]:
        for row in self._information_schema_table_constraints():
            yield *row[3:6], *row[:3]


def _names(index: Index) -> list[str]:
    return [name for name, _ in index.columns]
