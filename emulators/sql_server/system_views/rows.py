"""sys.*: how the rows of each view come out of the catalogue.

The rows are put into temporary SQLite tables before a statement that names the view runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from emulators.sql_server.catalogue.collations import DEFAULT_COLLATION
from emulators.sql_server.catalogue.model import constraints_of
from emulators.sql_server.catalogue.objects import InlineFunction, SecurityPolicy, Table, TableColumn
from emulators.sql_server.catalogue.view_columns import SYSTEM_VIEWS, Row, system_view_id
from emulators.sql_server.objects.security import sees_policy
from emulators.sql_server.system_views.server_rows import ServerRows
from emulators.sql_server.values.datatypes import (
    ASSEMBLY_TYPES,
    STRINGS,
    max_length_bytes,
    precision_scale,
    system_type_id,
    system_types,
    user_type_id,
)
from emulators.sql_server.values.results import SqlType

_ACTIONS = {"NO ACTION": 0, "CASCADE": 1, "SET NULL": 2, "SET DEFAULT": 3}
_DESCRIPTIONS = {
    "U": "USER_TABLE",
    "V": "VIEW",
    "PK": "PRIMARY_KEY_CONSTRAINT",
    "UQ": "UNIQUE_CONSTRAINT",
    "C": "CHECK_CONSTRAINT",
    "D": "DEFAULT_CONSTRAINT",
    "F": "FOREIGN_KEY_CONSTRAINT",
    "IF": "SQL_INLINE_TABLE_VALUED_FUNCTION",
    "SP": "SECURITY_POLICY",
    "SO": "SEQUENCE_OBJECT",
}


class ViewRows(ServerRows):
    """Rows of each view, for one session."""

    def rows(self, key: str) -> list[Row]:
        """All rows of the view, in the order of its columns."""
        method: Callable[[], Iterator[Row]] = getattr(self, "_" + key.replace(".", "_"))
        width = len(SYSTEM_VIEWS[key])
        return [row[:width] for row in method()]

    def _all_tables(self) -> list[Table]:
        """Also the session's temporary tables, which tempdb would list."""
        return self._tables()

    def _schema_id(self, name: str) -> int:
        return self.catalogue.schemas[name.lower()].schema_id

    def _object(self, name: str, object_id: int, schema: str, parent: int, kind: str, created: str, modified: str) -> Row:
        return name, object_id, None, self._schema_id(schema), parent, kind.ljust(2), _DESCRIPTIONS[kind], created, modified, 0

    # --- objects ---

    def _sys_schemas(self) -> Iterator[Row]:
        for schema in self.catalogue.schemas.values():
            owner = self.catalogue.principals.get(schema.owner.lower())
            yield schema.name, schema.schema_id, owner.principal_id if owner else 1

    def _sys_objects(self) -> Iterator[Row]:
        for table in self._tables():
            yield self._object(table.name, table.object_id, table.schema, 0, "U", table.created, table.modified)
            for object_id, name, kind in constraints_of(table):
                yield self._object(name, object_id, table.schema, table.object_id, kind, table.created, table.modified)
        for view in self.catalogue.views.values():
            yield self._object(view.name, view.object_id, view.schema, 0, "V", view.created, view.modified)

        for function in self.catalogue.functions.values():
            yield self._module(function, "IF")
        for policy in self._policies():
            yield self._module(policy, "SP")
        for sequence in self.catalogue.sequences.values():
            yield self._object(sequence.name, sequence.object_id, sequence.schema, 0, "SO", sequence.created, sequence.modified)

    _sys_all_objects = _sys_objects

    def _module(self, found: InlineFunction | SecurityPolicy, kind: str) -> Row:
        return self._object(found.name, found.object_id, found.schema, 0, kind, found.created, found.modified)

    def _policies(self) -> list[SecurityPolicy]:
        """Those that the user may know of: nobody is ever granted anything on a policy itself but VIEW DEFINITION."""
        found = self.catalogue.policies.values()
        return [policy for policy in found if sees_policy(self.session, policy)]

    def _sys_security_policies(self) -> Iterator[Row]:
        for policy in self._policies():
            yield *self._module(policy, "SP"), int(policy.enabled), int(policy.not_for_replication), 1, 1

    def _sys_security_predicates(self) -> Iterator[Row]:
        for policy in self._policies():
            for item in policy.predicates:
                yield policy.object_id, item.predicate_id, item.table_id, item.definition, 0, "FILTER", None, None

    def _sys_parameters(self) -> Iterator[Row]:
        for function in self.catalogue.functions.values():
            for place, (name, kind) in enumerate(function.parameters, 1):
                precision, scale = precision_scale(kind)
                yield (
                    function.object_id,
                    f"@{name}",
                    place,
                    system_type_id(kind.name),
                    user_type_id(kind.name),
                    max_length_bytes(kind),
                    precision,
                    scale,
                    0,
                )

    def _sys_sysobjects(self) -> Iterator[Row]:
        """The view of SQL Server 2000, which old scripts still ask."""
        for name, object_id, _, schema_id, parent, kind, _, created, *_ in self._sys_objects():
            old = {"PK": "K ", "UQ": "K "}.get(kind, kind)
            yield name, object_id, kind, schema_id, parent, created, old, {"U ": 3, "V ": 2}.get(kind, 0), 0

    def _sys_system_views(self) -> Iterator[Row]:
        for key in SYSTEM_VIEWS:
            schema, _, name = key.partition(".")
            made = self.catalogue.options.created
            yield name, system_view_id(key), None, 4 if schema == "sys" else 3, 0, "V ", "VIEW", made, made, 1

    def _sys_extended_properties(self) -> Iterator[Row]:
        descriptions = {0: "DATABASE", 1: "OBJECT_OR_COLUMN", 3: "SCHEMA"}
        for item in self.catalogue.properties:
            kind = item.property_class
            yield kind, descriptions[kind], item.major_id, item.minor_id, item.name, item.value

    def _sys_stats(self) -> Iterator[Row]:
        for table in self._tables():
            for index in table.indexes:
                yield table.object_id, index.name, index.index_id, 0, 0, 0, int(bool(index.where)), index.where or None

    def _sys_tables(self) -> Iterator[Row]:
        for table in self._tables():
            yield (
                *self._object(table.name, table.object_id, table.schema, 0, "U", table.created, table.modified),
                0,
                max(column.column_id for column in table.columns),
                0,
                "NON_TEMPORAL_TABLE",
                0,
                0,
                0,
                0,
                1,
                None,
            )

    def _sys_views(self) -> Iterator[Row]:
        for view in self.catalogue.views.values():
            yield (*self._object(view.name, view.object_id, view.schema, 0, "V", view.created, view.modified), 0, 0, 0)

    def _none(self) -> Iterator[Row]:
        return iter(())

    _sys_column_encryption_keys = _sys_column_master_keys = _none
    _sys_procedures = _sys_triggers = _sys_synonyms = _none

    def _sys_sequences(self) -> Iterator[Row]:
        for item in self.catalogue.sequences.values():
            last = self.session.last_drawn(item.object_id)
            precision, scale = precision_scale(item.type)
            number = system_type_id(item.type.name)
            done = not item.cycling and last is not None and not item.minimum <= last + item.increment <= item.maximum
            yield (
                *self._object(item.name, item.object_id, item.schema, 0, "SO", item.created, item.modified),
                0,
                0,
                item.start,
                item.increment,
                item.minimum,
                item.maximum,
                int(item.cycling),
                int(item.cached),
                item.cache_size,
                number,
                number,
                precision,
                scale,
                item.start if last is None else last,
                int(done),
            )

    def _sys_assembly_types(self) -> Iterator[Row]:
        for name, number in ASSEMBLY_TYPES.items():
            yield name, 240, number, 4

    def _sys_sql_modules(self) -> Iterator[Row]:
        for view in self.catalogue.views.values():
            yield view.object_id, view.definition, 1, 1, int(bool(view.bound))
        for function in self.catalogue.functions.values():
            yield function.object_id, function.definition, 1, 1, int(function.schema_bound)

    def _column(self, table_id: int, column: TableColumn) -> Row:
        precision, scale = precision_scale(column.type)
        collation = (column.collation or DEFAULT_COLLATION) if column.type.name in STRINGS else None
        number = system_type_id(column.type.name)
        user = column.alias_id or user_type_id(column.type.name)
        return (
            table_id,
            column.name,
            column.column_id,
            number,
            user,
            max_length_bytes(column.type),
            precision,
            scale,
            collation,
            int(column.nullable),
            1,
            0,
            int(column.identity is not None),
            int(column.computed is not None),
            0,
            0,
            column.default_id,
            0,
            "NOT_APPLICABLE",
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            None,
            None,
            None,
            None,
            None,
            int(bool(column.mask)),
            None,
            None,
        )

    def _sys_columns(self) -> Iterator[Row]:
        for table in self._tables():
            for column in table.columns:
                yield self._column(table.object_id, column)
        for view in self.catalogue.views.values():
            for number, shown in enumerate(self.session.view_columns(view), 1):
                yield self._column(view.object_id, TableColumn(number, shown.name, shown.type, shown.nullable))

    def _sys_masked_columns(self) -> Iterator[Row]:
        for table in self._tables():
            for column in table.columns:
                if column.mask:
                    yield *self._column(table.object_id, column), column.mask

    def _sys_all_columns(self) -> Iterator[Row]:
        for row in self._sys_columns():
            yield (*row[:10], row[12], row[13])

    def _sys_types(self) -> Iterator[Row]:
        for name in system_types():
            shown = "timestamp" if name == "rowversion" else name
            sample = SqlType(
                name,
                8000 if name in ("varchar", "char", "varbinary", "binary") else 4000 if name in ("nvarchar", "nchar") else 0,
                38 if name in ("decimal", "numeric") else 19 if name == "money" else 10,
                38 if name in ("decimal", "numeric") else 7,
            )
            precision, scale = precision_scale(sample)
            number = system_type_id(name)
            yield (
                shown,
                number,
                number,
                4,
                None,
                max_length_bytes(sample),
                precision,
                scale,
                DEFAULT_COLLATION if name in STRINGS else None,
                1,
                0,
                0,
                0,
                0,
            )
        for name, number in ASSEMBLY_TYPES.items():
            yield name, 240, number, 4, None, max_length_bytes(SqlType(name, -1)), 0, 0, None, 1, 0, 1, 0, 0
        for alias in self.catalogue.types.values():
            base, (precision, scale) = alias.base, precision_scale(alias.base)
            collation = DEFAULT_COLLATION if base.name in STRINGS else None
            number, schema = system_type_id(base.name), self._schema_id(alias.schema)
            size = max_length_bytes(base)
            yield (
                *(alias.name, number, alias.user_type_id, schema, None, size, precision, scale, collation),
                *(int(alias.nullable), 1, 0, 0, 0),
            )
        yield "sysname", 231, 256, 4, None, 256, 0, 0, DEFAULT_COLLATION, 0, 0, 0, 0, 0

    def _sys_indexes(self) -> Iterator[Row]:
        for table in self._tables():
            if not any(index.clustered for index in table.indexes):
                yield table.object_id, None, 0, 0, "HEAP", 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, None
            for index in table.indexes:
                yield (
                    table.object_id,
                    index.name,
                    index.index_id,
                    1 if index.clustered else 2,
                    "CLUSTERED" if index.clustered else "NONCLUSTERED",
                    int(index.unique),
                    1,
                    0,
                    int(index.constraint == "PRIMARY KEY"),
                    int(index.constraint == "UNIQUE"),
                    0,
                    0,
                    0,
                    0,
                    int(bool(index.where)),
                    index.where or None,
                )

    def _sys_index_columns(self) -> Iterator[Row]:
        for table in self._tables():
            for index in table.indexes:
                place = 0
                for place, (name, descending) in enumerate(index.columns, 1):
                    column = table.column(name)
                    yield table.object_id, index.index_id, place, column.column_id if column else 0, place, 0, int(descending), 0
                for offset, name in enumerate(index.include, 1):
                    column = table.column(name)
                    yield table.object_id, index.index_id, place + offset, column.column_id if column else 0, 0, 0, 0, 1

    def _constraint_rows(self, kinds: tuple[str, ...]) -> Iterator[tuple[Table, int, Row]]:
        for table in self._tables():
            for object_id, name, kind in constraints_of(table):
                if kind in kinds:
                    yield (
                        table,
                        object_id,
                        self._object(name, object_id, table.schema, table.object_id, kind, table.created, table.modified),
                    )

    def _sys_key_constraints(self) -> Iterator[Row]:
        for table, object_id, row in self._constraint_rows(("PK", "UQ")):
            index = next(index for index in table.indexes if index.object_id == object_id)
            yield (*row, index.index_id, int("__" in index.name))

    def _sys_check_constraints(self) -> Iterator[Row]:
        for table, object_id, row in self._constraint_rows(("C",)):
            check = next(check for check in table.checks if check.object_id == object_id)
            column = table.column(check.column) if check.column else None
            switches = int(check.disabled), int(check.untrusted)
            yield (*row, *switches, column.column_id if column else 0, f"({check.text})", int("__" in check.name))

    def _sys_default_constraints(self) -> Iterator[Row]:
        for table, object_id, row in self._constraint_rows(("D",)):
            column = next(column for column in table.columns if column.default_id == object_id)
            yield (*row, column.column_id, f"({column.default})", int("__" in column.default_name))

    def _sys_foreign_keys(self) -> Iterator[Row]:
        for table, object_id, row in self._constraint_rows(("F",)):
            key = next(key for key in table.foreign_keys if key.object_id == object_id)
            yield (
                *row,
                key.referenced_id,
                1,
                int(key.disabled),
                int(key.untrusted),
                _ACTIONS[key.on_delete],
                key.on_delete.replace(" ", "_"),
                _ACTIONS[key.on_update],
                key.on_update.replace(" ", "_"),
            )

    def _sys_foreign_key_columns(self) -> Iterator[Row]:
        for table in self._tables():
            for key in table.foreign_keys:
                parent = self.catalogue.by_id[key.referenced_id]
                assert isinstance(parent, Table)
                for place, (own, other) in enumerate(zip(key.columns, key.referenced_columns, strict=True), 1):
                    a, b = table.column(own), parent.column(other)
                    yield key.object_id, place, table.object_id, a.column_id if a else 0, parent.object_id, b.column_id if b else 0

    def _sys_identity_columns(self) -> Iterator[Row]:
        last = dict(self.session.store.rows('SELECT object_id, last FROM "$identity"'))
        for table in self._tables():
            column = table.identity
            if column is not None and column.identity is not None:
                yield *self._column(table.object_id, column), *column.identity, last.get(table.object_id), 0

    def _sys_computed_columns(self) -> Iterator[Row]:
        for table in self._tables():
            for column in table.columns:
                if column.computed is not None:
                    yield table.object_id, column.name, column.column_id, f"({column.computed})", int(column.persisted)

    def _count_rows(self, table: Table) -> int:
        return self.session.store.rows(f"SELECT COUNT(*) FROM {table.storage}")[0][0]

    def _indexes_or_heap(self, table: Table) -> list[int]:
        return ([] if any(index.clustered for index in table.indexes) else [0]) + [index.index_id for index in table.indexes]

    def _sys_partitions(self) -> Iterator[Row]:
        for table in self._tables():
            rows = self._count_rows(table)
            for index_id in self._indexes_or_heap(table):
                yield table.object_id * 10 + index_id, table.object_id, index_id, 1, table.object_id * 10 + index_id, rows

    def _sys_dm_db_partition_stats(self) -> Iterator[Row]:
        for table in self._tables():
            for index_id in self._indexes_or_heap(table):
                yield table.object_id, index_id, self._count_rows(table), 0
