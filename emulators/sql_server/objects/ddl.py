"""CREATE, ALTER, DROP, TRUNCATE."""

from __future__ import annotations

import copy
import time
from collections.abc import Iterator

from emulators.sql_server.catalogue.model import quote
from emulators.sql_server.catalogue.objects import Index, InlineFunction, Schema, Table, View
from emulators.sql_server.compiler.scope import Unit
from emulators.sql_server.compiler.statements import StatementCompiler
from emulators.sql_server.objects import security
from emulators.sql_server.objects.modules import unbindable
from emulators.sql_server.objects.sequences import SequenceDdl
from emulators.sql_server.objects.table_builder import temporary_id
from emulators.sql_server.objects.table_storage import build_index, create_storage, drop_index
from emulators.sql_server.parser.batches import parse_query
from emulators.sql_server.parser.tree import (
    AlterDatabase,
    CheckIdentity,
    ConstraintSyntax,
    CreateIndex,
    CreateSchema,
    CreateTable,
    CreateView,
    DropObjects,
    Name,
    SelectItem,
    Star,
    TableDefinition,
    TableSource,
    TruncateTable,
)
from emulators.sql_server.parser.walk import deep_walk
from emulators.sql_server.storage import change_tracking
from emulators.sql_server.values.datatypes import DECIMALS, decode_decimal
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError

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
        "ONLINE",
        "RECURSIVE_TRIGGERS",
        "TRUSTWORTHY",
        "DELAYED_DURABILITY",
        "ACCELERATED_DATABASE_RECOVERY",
    }
)


_PATIENCE_SECONDS = 5.0


class Ddl(SequenceDdl):
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
            schema = self.schema_of(node.name)
            if catalogue.object_named(schema.name, name) is not None:
                raise sql_error(2714, name)
            table = self.build(node.definition, schema.name, name, catalogue.new_id())
            create_storage(self.store, table)
            self.session.owner.identities.pop(table.object_id, None)
            catalogue.put_table(table)
            self.store.save_catalogue()

    def schema_of(self, name: Name) -> Schema:
        """Where the user makes an object. Raises SqlError 2760."""
        wanted = (name[-2] if len(name) > 1 else "") or self.session.default_schema
        schema = self.store.catalogue.schemas.get(wanted.lower())
        if schema is None or schema.name in ("sys", "INFORMATION_SCHEMA") or not security.creates_in(self.session, schema):
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
        self.session.put_temporary(table)
        return table

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
            build_index(self.store, table, index)
            self.store.change_catalogue().put_table(table)
            self.store.save_catalogue()

    def _indexed(self, table: Table, node: CreateIndex) -> Index:
        syntax = ConstraintSyntax(
            "INDEX", node.name, node.columns, unique=node.unique, clustered=node.clustered, include=node.include, where=node.where
        )
        index = self._add_constraint(table, syntax)
        assert isinstance(index, Index)
        return index

    def _temporary_index(self, node: CreateIndex) -> None:
        found = self.session.temporary.get(node.table[-1].lower())
        if found is None:
            raise sql_error(1088, node.table[-1])
        table = copy.deepcopy(found)
        index = self._indexed(table, node)
        build_index(self.store, table, index)
        self.session.add_temporary(table.name, table)

    def create_schema(self, node: CreateSchema) -> None:
        """Raises SqlError 2714, 15151."""
        security.require_database(self.session, "CREATE SCHEMA")
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            if node.name.lower() in catalogue.schemas:
                raise sql_error(2714, node.name)
            owner = security.require_new_owner(self.session, node.owner) if node.owner else self.session.user
            number = max(schema.schema_id for schema in catalogue.schemas.values()) + 1
            catalogue.schemas[node.name.lower()] = Schema(number, node.name, owner)
            self.store.save_catalogue()

    def create_view(self, node: CreateView) -> None:
        """Raises SqlError 208, 262, 2714, 2760, 3701 and those of the query."""
        with self.store.writing():
            catalogue = self.store.change_catalogue()
            existing = catalogue.view((node.name[-2] if len(node.name) > 1 else "") or self.session.default_schema, node.name[-1])
            if existing is not None and (node.or_alter or node.alter):
                security.require_alter_by_name(self.session, "view", existing)
                schema = catalogue.schemas[existing.schema.lower()]
            elif node.alter:
                raise sql_error(208, ".".join(node.name))
            else:
                security.require_database(self.session, "CREATE VIEW")
                schema = self.schema_of(node.name)
                if catalogue.object_named(schema.name, node.name[-1]) is not None:
                    raise sql_error(2714, node.name[-1])
            unit = Unit(catalogue, {}, {}, self.store.database.name)
            compiler = StatementCompiler(unit)
            compiler.named_columns(compiler.compile_query(parse_query(node.text), None), node.name[-1], node.columns)
            now = self.session.owner.local_text()
            object_id = existing.object_id if existing else catalogue.new_id()
            created = existing.created if existing else now
            bound = self._bound_tables(node, unit) if node.bound else []
            catalogue.put_view(
                View(object_id, schema.name, node.name[-1], node.columns, node.text, created, now, bound, node.definition)
            )
            self.store.save_catalogue()

    def _bound_tables(self, node: CreateView, unit: Unit) -> list[int]:
        """Raises SqlError 1054, 4512."""
        for part in deep_walk(parse_query(node.text)):
            if isinstance(part, SelectItem) and isinstance(part.expression, Star):
                raise SqlError(1054, "Syntax '*' is not allowed in schema-bound objects.", 15)
            if isinstance(part, TableSource) and len(part.name) != 2:
                raise unbindable("view", node.name, part.name)
        return sorted(unit.reads)

    # --- DROP and TRUNCATE ---

    def drop(self, node: DropObjects) -> None:
        """Raises SqlError 3701, 3726, 3729."""
        for name in node.names:
            if node.kind in ("PROCEDURE", "TRIGGER", "SYNONYM"):
                if not node.if_exists:
                    raise sql_error(3701, node.kind.lower(), ".".join(name))
                continue
            if node.kind == "TABLE" and name[-1].startswith("#"):
                self._drop_temporary(name[-1], node.if_exists)
                continue
            with self.store.writing():
                catalogue = self.store.change_catalogue()
                if node.kind == "SCHEMA":
                    self._drop_schema(name[-1], node.if_exists)
                elif node.kind == "INDEX":
                    self._drop_index(name, node)
                elif node.kind == "SEQUENCE":
                    self.drop_sequence(name, node.if_exists)
                elif node.kind == "TYPE":
                    self.drop_type(name, node.if_exists)
                elif node.kind == "SECURITY POLICY":
                    self.drop_policy(name, node.if_exists)
                else:
                    schema = (name[-2] if len(name) > 1 else "") or "dbo"
                    found = (
                        catalogue.table(schema, name[-1])
                        if node.kind == "TABLE"
                        else catalogue.view(schema, name[-1])
                        if node.kind == "VIEW"
                        else catalogue.function(schema, name[-1])
                    )
                    if found is None:
                        if node.if_exists:
                            continue
                        raise sql_error(3701, node.kind.lower(), ".".join(name))
                    security.require_drop(self.session, node.kind.lower(), found)
                    if isinstance(found, Table):
                        self._drop_table(found)
                    elif isinstance(found, InlineFunction):
                        self._refuse_bound(found, "DROP FUNCTION")
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
        self._refuse_bound(table, "DROP TABLE")
        if table.tracking is not None:
            change_tracking.drop_history(self.store, table)
        self.store.run(f"DROP TABLE {table.storage}")
        self.store.run('DELETE FROM "$identity" WHERE object_id = ?', (table.object_id,))

    def _refuse_bound(self, found: Table | InlineFunction, action: str) -> None:
        """Raises SqlError 3729."""
        holder = self.store.catalogue.binding(found.object_id)
        if holder is not None:
            raise sql_error(3729, action, found.full_name, holder.name)

    def _drop_schema(self, name: str, if_exists: bool) -> None:
        catalogue = self.store.change_catalogue()
        schema = catalogue.schemas.get(name.lower())
        if schema is None and if_exists:
            return
        if schema is None or not (
            security.allows_on_schema(self.session, "CONTROL", schema)
            or security.allows_on_database(self.session, "ALTER ANY SCHEMA")
        ):
            raise SqlError(15151, f"Cannot drop the schema '{name}', because it does not exist or you do not have permission.")
        if schema.schema_id <= 4:
            raise SqlError(15150, f"Cannot drop the schema '{schema.name}'.")
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
        security.require_drop_index(self.session, found, index.name)
        if index.constraint:
            raise SqlError(
                3723,
                f"An explicit DROP INDEX is not allowed on index '{found.full_name}.{index.name}'. It is being used for "
                f"{index.constraint} constraint enforcement.",
            )
        table = copy.deepcopy(found)
        drop_index(self.store, table, index)
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

    def check_identity(self, node: CheckIdentity) -> Iterator[tuple[int, str]]:
        """DBCC CHECKIDENT: its messages. Raises SqlError 2501, 7997."""
        table = self.store.catalogue.table((node.name[-2] if len(node.name) > 1 else "") or "dbo", node.name[-1])
        if table is None:
            raise sql_error(2501, ".".join(node.name))
        column = table.identity
        if column is None or column.identity is None:
            raise sql_error(7997, table.name)
        security.require_alter(self.session, table)
        step = column.identity[1]
        with self.store.writing(table):
            stored = self.store.run('SELECT last FROM "$identity" WHERE object_id = ?', (table.object_id,)).fetchone()
            text = f"SELECT {'MAX' if step > 0 else 'MIN'}({quote(column.name)}) FROM {table.storage}"
            furthest = self.store.run(text).fetchone()[0]
            if column.type.name in DECIMALS and furthest is not None:
                furthest = int(decode_decimal(furthest))
            known = self.session.owner.identities.get(table.object_id, stored[0] if stored else None)
            new = None
            if node.reseed and node.value is not None:
                new = node.value if known is not None else node.value - step  # a table that never had a row begins with it
            elif node.reseed and furthest is not None and (known is None or (furthest - known) * step > 0):
                new = furthest
            if new is not None:
                self.session.owner.identities[table.object_id] = new
                self.store.run('INSERT OR REPLACE INTO "$identity" VALUES (?, ?)', (table.object_id, new))
        shown = "NULL" if known is None else known
        column_value = "" if node.value is not None else f", current column value '{'NULL' if furthest is None else furthest}'"
        yield 7998, f"Checking identity information: current identity value '{shown}'{column_value}."
        yield 2528, "DBCC execution completed. If DBCC printed error messages, contact your system administrator."

    # --- databases ---

    def alter_database(self, node: AlterDatabase) -> None:
        """Raises SqlError 226, 5011, 40517 and those of change tracking."""
        if node.database and node.database.lower() != self.store.database.name.lower():
            raise sql_error(5011, node.database)
        if self.store.count:
            raise SqlError(226, "ALTER DATABASE statement not allowed within multi-statement transaction.")
        if not security.allows_on_database(self.session, "ALTER"):
            raise sql_error(5011, self.store.database.name, state=9)
        if any(name in ("READ_ONLY", "READ_WRITE", "SINGLE_USER") for name, _ in node.settings):
            self._be_alone(node.termination)
        self.store.altering = True
        try:
            self._alter_options(node)
        finally:
            self.store.altering = False

    def _be_alone(self, termination: str) -> None:
        """Whether the database may be written to changes only when nobody else is connected. Raises SqlError 5070, 40517."""
        others = [other for other in self.session.owner.sessions() if other is not self.session]
        if not others:
            return
        if termination == "NO_WAIT":
            raise sql_error(5070, self.store.database.name)
        if termination != "ROLLBACK IMMEDIATE":
            raise unsupported("ALTER DATABASE SET that waits for other connections")
        for other in others:
            other.end()
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while len(self.session.owner.sessions()) > 1 and time.monotonic() < deadline:
            time.sleep(0.01)

    def _alter_options(self, node: AlterDatabase) -> None:
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
                elif name in ("READ_ONLY", "READ_WRITE"):
                    options.read_only = name == "READ_ONLY"
                elif name in ("SINGLE_USER", "MULTI_USER"):
                    options.single_user = name == "SINGLE_USER"
                elif name == "RECOVERY":
                    options.recovery_model = value
                elif name not in _IGNORED_OPTIONS:
                    raise unsupported(f"ALTER DATABASE SET {name}")
            self.store.save_catalogue()
