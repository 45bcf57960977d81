"""CREATE, ALTER, DROP, TRUNCATE."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from . import change_tracking, security
from .catalogue import Index, Schema, Table, View
from .compile_dml import StatementCompiler
from .compiler import Unit
from .errors import sql_error, unsupported
from .parser import parse_query
from .results import SqlError
from .syntax import (
    AlterDatabase,
    ConstraintSyntax,
    CreateIndex,
    CreateSchema,
    CreateTable,
    CreateView,
    DropObjects,
    Name,
    TableDefinition,
    TruncateTable,
)

if TYPE_CHECKING:
    pass
from .alter_table import TableAlterer
from .table_builder import temporary_id

_IGNORED_OPTIONS = frozenset(
    {
        "ANSI_NULLS",
        "ANSI_PADDING",
        "ANSI_WARNINGS",
        "ANSI_NULL_DEFAULT",
        "ARITHABORT",
        "QUOTED_IDENTIFIER",
        "CONCAT_NULL_YIELDS_NULL",
        "NUMERIC_ROUNDABORT",
        "AUTO_CLOSE",
        "AUTO_SHRINK",
        "AUTO_CREATE_STATISTICS",
        "AUTO_UPDATE_STATISTICS",
        "AUTO_UPDATE_STATISTICS_ASYNC",
        "PAGE_VERIFY",
        "QUERY_STORE",
        "MULTI_USER",
        "ONLINE",
        "READ_WRITE",
        "RECURSIVE_TRIGGERS",
        "TRUSTWORTHY",
        "DELAYED_DURABILITY",
        "ACCELERATED_DATABASE_RECOVERY",
    }
)


class Ddl(TableAlterer):
    """Runs data definition for one session."""

    # --- tables ---

    def create_table(self, node: CreateTable) -> None:
        """Raises SqlError 2714, 2760 and those of constraints."""
        name = node.name[-1]
        if name.startswith("##"):
            raise unsupported("global temporary tables")
        if name.startswith("#"):
            self.create_temporary(name, node)
            return
        security.require_database(self.session, "CREATE TABLE")
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            schema = self._schema(node.name)
            if catalogue.object_named(schema.name, name) is not None:
                raise sql_error(2714, name)
            table = self.build(node.definition, schema.name, name, catalogue.new_id())
            self._create_storage(table)
            self.session.owner.identities.pop(table.object_id, None)
            catalogue.put_table(table)
            self.store.save_catalogue()

    def _schema(self, name: Name) -> Schema:
        wanted = (name[-2] if len(name) > 1 else "") or self.session.default_schema
        schema = self.store.catalogue.schemas.get(wanted.lower())
        if schema is None or schema.name in ("sys", "INFORMATION_SCHEMA"):
            raise sql_error(2760, wanted)
        return schema

    def create_temporary(self, name: str, node: CreateTable) -> Table:
        """A #table of this session."""
        if name.lower() in self.session.temporary:
            raise sql_error(2714, name)
        table = node.plans.get("table")
        if table is None:
            table = self.build(node.definition, "dbo", name, temporary_id(), temporary=True)
            node.plans["table"] = table
        self.put_temporary(table)
        return table

    def put_temporary(self, table: Table) -> None:
        """Create the storage of a #table or table variable and make it known."""
        self._create_storage(table)
        self.session.temporary_identities.pop(table.object_id, None)
        self.session.add_temporary(f"@{table.name}" if table.variable else table.name, table)

    def table_variable(self, name: str, definition: TableDefinition) -> Table:
        """DECLARE @name TABLE: the table, without storage."""
        return self.build(definition, "dbo", name, temporary_id(), temporary=True, variable=True)

    # --- other objects ---

    def create_index(self, node: CreateIndex) -> None:
        """Raises SqlError 1088, 1505, 1911, 1913."""
        if node.table[-1].startswith("#"):
            self._temporary_index(node)
            return
        found = self.store.catalogue.table((node.table[-2] if len(node.table) > 1 else "") or "dbo", node.table[-1])
        if found is None:
            raise sql_error(1088, ".".join(node.table))
        security.require_alter(self.session, found)
        with self.store.writing(found):
            table = copy.deepcopy(found)
            index = self._indexed(table, node)
            self._build_index(table, index)
            self.store.change_catalogue().put_table(table)
            self.store.save_catalogue()

    def _indexed(self, table: Table, node: CreateIndex) -> Index:
        syntax = ConstraintSyntax("INDEX", node.name, node.columns, unique=node.unique, clustered=node.clustered)
        index = self._add_constraint(table, syntax)
        assert isinstance(index, Index)
        for name in node.include:
            if table.column(name) is None:
                raise sql_error(1911, name)
        index.include, index.where = node.include, node.where
        return index

    def _temporary_index(self, node: CreateIndex) -> None:
        found = self.session.temporary.get(node.table[-1].lower())
        if found is None:
            raise sql_error(1088, node.table[-1])
        table = copy.deepcopy(found)
        index = self._indexed(table, node)
        self._build_index(table, index)
        self.session.add_temporary(table.name, table)

    def create_schema(self, node: CreateSchema) -> None:
        """Raises SqlError 2714, 15151."""
        security.require_database(self.session, "CREATE SCHEMA")
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            if node.name.lower() in catalogue.schemas:
                raise sql_error(2714, node.name)
            if node.owner and node.owner.lower() not in catalogue.principals:
                raise sql_error(15151, "user", node.owner)
            number = max(schema.schema_id for schema in catalogue.schemas.values()) + 1
            catalogue.schemas[node.name.lower()] = Schema(number, node.name, node.owner or self.session.user)
            self.store.save_catalogue()

    def create_view(self, node: CreateView) -> None:
        """Raises SqlError 208, 2714 and those of the query."""
        security.require_database(self.session, "CREATE VIEW")
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            schema = self._schema(node.name)
            existing = catalogue.view(schema.name, node.name[-1])
            if existing is None and (node.alter or catalogue.object_named(schema.name, node.name[-1]) is not None):
                raise sql_error(208, ".".join(node.name)) if node.alter else sql_error(2714, node.name[-1])
            if existing is not None and not (node.or_alter or node.alter):
                raise sql_error(2714, node.name[-1])
            compiler = StatementCompiler(Unit(catalogue, {}, {}, self.store.database.name))
            compiler._named(compiler.compile_query(parse_query(node.text), None), node.name[-1], node.columns)
            now = self.session.owner.local_text()
            object_id = existing.object_id if existing else catalogue.new_id()
            catalogue.put_view(
                View(object_id, schema.name, node.name[-1], node.columns, node.text, existing.created if existing else now, now)
            )
            self.store.save_catalogue()

    # --- DROP and TRUNCATE ---

    def drop(self, node: DropObjects) -> None:
        """Raises SqlError 3701, 3726, 3729."""
        for name in node.names:
            if node.kind == "TABLE" and name[-1].startswith("#"):
                self._drop_temporary(name[-1], node.if_exists)
                continue
            with self.store.writing():
                catalogue = self.store.change_catalogue()
                if node.kind == "SCHEMA":
                    self._drop_schema(name[-1], node.if_exists)
                elif node.kind == "INDEX":
                    self._drop_index(name, node)
                else:
                    schema = (name[-2] if len(name) > 1 else "") or "dbo"
                    found = catalogue.table(schema, name[-1]) if node.kind == "TABLE" else catalogue.view(schema, name[-1])
                    if found is None:
                        if node.if_exists:
                            continue
                        raise sql_error(3701, node.kind.lower(), ".".join(name))
                    security.require_alter(self.session, found)
                    if isinstance(found, Table):
                        self._drop_table(found)
                    catalogue.remove(found)
                self.store.save_catalogue()

    def _drop_temporary(self, name: str, if_exists: bool) -> None:
        table = self.session.temporary.get(name.lower())
        if table is None:
            if not if_exists:
                raise sql_error(3701, "table", name)
            return
        self.session.remove_temporary(name)
        self.store.run(f"DROP TABLE {table.storage}")

    def _drop_table(self, table: Table) -> None:
        if any(child.object_id != table.object_id for child, _ in self.store.catalogue.referencing(table.object_id)):
            raise sql_error(3726, table.full_name)
        if table.tracking is not None:
            change_tracking.drop_history(self.store, table)
        self.store.run(f"DROP TABLE {table.storage}")
        self.store.run('DELETE FROM "$identity" WHERE object_id = ?', (table.object_id,))

    def _drop_schema(self, name: str, if_exists: bool) -> None:
        catalogue = self.store.change_catalogue()
        schema = catalogue.schemas.get(name.lower())
        if schema is None or schema.schema_id <= 4:
            if if_exists and schema is None:
                return
            raise sql_error(15151, "schema", name)
        inside = next((found.name for found in catalogue.by_id.values() if found.schema.lower() == name.lower()), None)
        if inside is not None:
            raise sql_error(3729, "drop schema", name, inside)
        del catalogue.schemas[name.lower()]

    def _drop_index(self, name: Name, node: DropObjects) -> None:
        table_name = node.on_table or name[:-1]
        found = (
            self.store.catalogue.table((table_name[-2] if len(table_name) > 1 else "") or "dbo", table_name[-1])
            if table_name
            else None
        )
        index = next((i for i in found.indexes if i.name.lower() == name[-1].lower()), None) if found else None
        if found is None or index is None:
            if node.if_exists:
                return
            raise sql_error(3701, "index", ".".join((*table_name, name[-1])))
        if index.constraint:
            raise SqlError(
                3723,
                f"An explicit DROP INDEX is not allowed on index '{found.full_name}.{index.name}'. It is being used for "
                f"{index.constraint} constraint enforcement.",
            )
        table = copy.deepcopy(found)
        self._drop_index_storage(table, index)
        table.indexes = [other for other in table.indexes if other.index_id != index.index_id]
        self.store.change_catalogue().put_table(table)

    def truncate(self, node: TruncateTable) -> None:
        """Raises SqlError 4701, 4712."""
        name = node.name
        if name[-1].startswith("#"):
            table = self.session.temporary.get(name[-1].lower())
        else:
            table = self.store.catalogue.table((name[-2] if len(name) > 1 else "") or "dbo", name[-1])
        if table is None:
            raise sql_error(4701, ".".join(name))
        if not table.temporary:
            security.require_alter(self.session, table)
            if any(child.object_id != table.object_id for child, _ in self.store.catalogue.referencing(table.object_id)):
                raise sql_error(4712, table.full_name)
        with self.store.writing(table):
            self.store.run(f"DELETE FROM {table.storage}")
            if table.temporary:
                self.session.temporary_identities.pop(table.object_id, None)
            else:
                self.session.owner.identities.pop(table.object_id, None)
                self.store.run('DELETE FROM "$identity" WHERE object_id = ?', (table.object_id,))
            change_tracking.truncated(self.store, table)

    # --- databases ---

    def alter_database(self, node: AlterDatabase) -> None:
        """Raises SqlError 226, 5011, 40517 and those of change tracking."""
        if node.database and node.database.lower() != self.store.database.name.lower():
            raise sql_error(5011, node.database)
        if self.store.count:
            raise SqlError(226, "ALTER DATABASE statement not allowed within multi-statement transaction.")
        security.require_database(self.session, "ALTER")
        with self.store.writing():
            options = self.store.change_catalogue().options
            for name, value in node.settings:
                if name == "CHANGE_TRACKING":
                    change_tracking.configure_database(self.session, value)
                elif name == "COMPATIBILITY_LEVEL":
                    if value not in (100, 110, 120, 130, 140, 150, 160, 170):
                        raise SqlError(
                            15048, "Valid values of the database compatibility level are 100, 110, 120, 130, 140, 150, 160 or 170."
                        )
                    options.compatibility_level = value
                elif name == "ALLOW_SNAPSHOT_ISOLATION":
                    options.snapshot_isolation = value == "ON"
                elif name == "READ_COMMITTED_SNAPSHOT":
                    options.read_committed_snapshot = value == "ON"
                elif name == "RECOVERY":
                    options.recovery_model = value
                elif name not in _IGNORED_OPTIONS:
                    raise unsupported(f"ALTER DATABASE SET {name}")
            self.store.save_catalogue()
