"""The catalogue of the database: what exists, kept as JSON documents in the same file and transaction as the data."""

from __future__ import annotations

import copy
import itertools
import json
import sqlite3
from dataclasses import replace
from typing import Any

import msgspec

from emulators.sql_server.catalogue.objects import (
    Check,
    DatabaseOptions,
    ExtendedProperty,
    ForeignKey,
    Index,
    InlineFunction,
    Permission,
    Predicate,
    Principal,
    Schema,
    SecurityPolicy,
    Table,
    TableColumn,
    View,
)
from emulators.sql_server.catalogue.sequences import AliasType, Sequence
from emulators.sql_server.values.datatypes import BINARIES, STRINGS, alias_parts
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlType

_VERSIONS = itertools.count(1)
FIRST_OBJECT_ID = 901_578_250


def quote(name: str) -> str:
    """An identifier for SQLite."""
    return '"' + name.replace('"', '""') + '"'


def quote_text(text: str) -> str:
    """A string constant for SQLite."""
    return "'" + text.replace("'", "''") + "'"


CatalogueObject = Table | View | InlineFunction | SecurityPolicy | Sequence


def _json(item: Any) -> str:
    """The fields of a dataclass, with those within it; ``asdict`` takes far longer."""
    return json.dumps(msgspec.to_builtins(item))


_FIXED_ROLES = [
    "db_owner",
    "db_accessadmin",
    "db_securityadmin",
    "db_ddladmin",
    "db_backupoperator",
    "db_datareader",
    "db_datawriter",
    "db_denydatareader",
    "db_denydatawriter",
]


class Catalogue:
    """All objects. A session that changes it works on a copy of its own, which becomes everybody's at commit."""

    def __init__(self) -> None:
        self.version = next(_VERSIONS)
        self.schemas: dict[str, Schema] = {}
        self.tables: dict[tuple[str, str], Table] = {}
        self.views: dict[tuple[str, str], View] = {}
        self.functions: dict[tuple[str, str], InlineFunction] = {}
        self.policies: dict[tuple[str, str], SecurityPolicy] = {}
        self.sequences: dict[tuple[str, str], Sequence] = {}
        self.types: dict[tuple[str, str], AliasType] = {}
        self.by_id: dict[int, CatalogueObject] = {}
        self.principals: dict[str, Principal] = {}
        self.permissions: list[Permission] = []
        self.properties: list[ExtendedProperty] = []
        self.logins: dict[str, dict[str, Any]] = {}
        self.options = DatabaseOptions()
        self.next_id = FIRST_OBJECT_ID
        self._forget()

    def _forget(self) -> None:
        """What is found out of a version, see security.py, holds for that version only."""
        self.known_roles: dict[str, frozenset[str]] = {}
        self.known_rights: dict[tuple[str, str, int], bool] = {}

    def copy(self) -> Catalogue:
        """A copy that may be changed; tables and views are shared and must be replaced, not changed."""
        other = Catalogue.__new__(Catalogue)
        other.version = next(_VERSIONS)
        other.schemas, other.tables, other.views = dict(self.schemas), dict(self.tables), dict(self.views)
        other.functions, other.policies = dict(self.functions), dict(self.policies)
        other.sequences, other.types = dict(self.sequences), dict(self.types)
        other.by_id = dict(self.by_id)
        other.principals = {key: replace(value, members=[*value.members]) for key, value in self.principals.items()}
        other.permissions = list(self.permissions)
        other.properties = list(self.properties)
        other.logins = dict(self.logins)
        other.options = copy.copy(self.options)
        other.next_id = self.next_id
        other._forget()
        return other

    def touch(self) -> None:
        """Invalidate plans, and what is known of rights."""
        self.version = next(_VERSIONS)
        self._forget()

    def new_id(self) -> int:
        """An object_id; they rise by a step as the real ones seem to."""
        self.next_id += 16
        return self.next_id

    # --- look-up ---

    def table(self, schema: str, name: str) -> Table | None:
        return self.tables.get((schema.lower(), name.lower()))

    def view(self, schema: str, name: str) -> View | None:
        return self.views.get((schema.lower(), name.lower()))

    def function(self, schema: str, name: str) -> InlineFunction | None:
        return self.functions.get((schema.lower(), name.lower()))

    def policy(self, schema: str, name: str) -> SecurityPolicy | None:
        return self.policies.get((schema.lower(), name.lower()))

    def sequence(self, schema: str, name: str) -> Sequence | None:
        return self.sequences.get((schema.lower(), name.lower()))

    def alias_type(self, schema: str, name: str) -> AliasType | None:
        return self.types.get((schema.lower(), name.lower()))

    def resolved(self, kind: SqlType, number: int = 1) -> tuple[SqlType, AliasType | None]:
        """The type itself, or the base of an alias type with that. Raises SqlError 2715."""
        parts = alias_parts(kind)
        if not parts:
            return kind, None
        found = self.alias_type(parts[-2] if len(parts) > 1 else "dbo", parts[-1])
        if found is None:
            raise sql_error(2715, number, ".".join(parts))
        return found.base, found

    def filter_of(self, table_id: int) -> Predicate | None:
        """The filter predicate that an enabled policy lays over a table."""
        for policy in self.policies.values():
            if policy.enabled:
                for predicate in policy.predicates:
                    if predicate.table_id == table_id:
                        return predicate
        return None

    def object_named(self, schema: str, name: str) -> tuple[int, str] | None:
        """object_id and type (U, V, IF, SP, PK, UQ, F, C, D) of anything with a name."""
        found = self.table(schema, name)
        if found is not None:
            return found.object_id, "U"
        view = self.view(schema, name)
        if view is not None:
            return view.object_id, "V"
        function = self.function(schema, name)
        if function is not None:
            return function.object_id, "IF"
        policy = self.policy(schema, name)
        if policy is not None:
            return policy.object_id, "SP"
        sequence = self.sequence(schema, name)
        if sequence is not None:
            return sequence.object_id, "SO"
        for table in self.tables.values():
            if table.schema.lower() == schema.lower():
                for object_id, constraint_name, kind in constraints_of(table):
                    if constraint_name.lower() == name.lower():
                        return object_id, kind
        return None

    def owner_of(self, object_id: int) -> str:
        """Whose an object is: its schema's owner, in lower case; '' where it is unknown."""
        found = self.by_id.get(object_id)
        return self.schemas[found.schema.lower()].owner.lower() if found is not None else ""

    def put_table(self, table: Table) -> None:
        table.cache = {}
        self.tables[(table.schema.lower(), table.name.lower())] = table
        self.by_id[table.object_id] = table

    def put_view(self, view: View) -> None:
        self.views[(view.schema.lower(), view.name.lower())] = view
        self.by_id[view.object_id] = view

    def put_function(self, function: InlineFunction) -> None:
        self.functions[(function.schema.lower(), function.name.lower())] = function
        self.by_id[function.object_id] = function

    def put_policy(self, policy: SecurityPolicy) -> None:
        self.policies[(policy.schema.lower(), policy.name.lower())] = policy
        self.by_id[policy.object_id] = policy

    def put_sequence(self, sequence: Sequence) -> None:
        self.sequences[(sequence.schema.lower(), sequence.name.lower())] = sequence
        self.by_id[sequence.object_id] = sequence

    def holder_of(self, found: CatalogueObject) -> dict[tuple[str, str], Any]:
        """Where objects of its kind are kept by name."""
        if isinstance(found, Table):
            return self.tables
        if isinstance(found, View):
            return self.views
        if isinstance(found, Sequence):
            return self.sequences
        return self.functions if isinstance(found, InlineFunction) else self.policies

    def remove(self, found: CatalogueObject) -> None:
        holder = self.holder_of(found)
        holder.pop((found.schema.lower(), found.name.lower()), None)
        self.by_id.pop(found.object_id, None)
        self.permissions = [p for p in self.permissions if not (p.permission_class == 1 and p.major_id == found.object_id)]
        self.properties = [p for p in self.properties if not (p.property_class == 1 and p.major_id == found.object_id)]

    def referencing(self, object_id: int) -> list[tuple[Table, ForeignKey]]:
        """Foreign keys that point to a table."""
        return [(table, key) for table in self.tables.values() for key in table.foreign_keys if key.referenced_id == object_id]

    def binding(self, object_id: int) -> View | InlineFunction | SecurityPolicy | None:
        """What is bound to the schema of an object, so that it can be neither dropped nor renamed."""
        for module in (*self.views.values(), *self.functions.values()):
            if object_id in module.bound:
                return module
        for policy in self.policies.values():
            if any(object_id in (predicate.table_id, predicate.function_id) for predicate in policy.predicates):
                return policy
        return None

    # --- storage ---

    def save(self, connection: sqlite3.Connection) -> None:
        """Write all documents; the caller holds the write transaction. DDL is rare, so everything is written anew."""
        documents: list[tuple[str, str, str]] = []
        for table in self.tables.values():
            document = {name: getattr(table, name) for name in table.__dataclass_fields__ if name != "cache"}
            documents.append(("table", str(table.object_id), _json(document)))
        documents += [("view", str(view.object_id), _json(view)) for view in self.views.values()]
        documents += [("function", str(item.object_id), _json(item)) for item in self.functions.values()]
        documents += [("policy", str(item.object_id), _json(item)) for item in self.policies.values()]
        documents += [("sequence", str(item.object_id), _json(item)) for item in self.sequences.values()]
        documents += [("type", str(item.user_type_id), _json(item)) for item in self.types.values()]
        documents += [("schema", key, _json(schema)) for key, schema in self.schemas.items()]
        documents += [("principal", key, _json(principal)) for key, principal in self.principals.items()]
        documents += [("permission", str(i), _json(permission)) for i, permission in enumerate(self.permissions)]
        documents += [("property", str(i), _json(item)) for i, item in enumerate(self.properties)]
        documents += [("login", key, _json(login)) for key, login in self.logins.items()]
        documents.append(("options", "", _json(self.options)))
        documents.append(("next_id", "", _json(self.next_id)))
        connection.execute('DELETE FROM "$catalogue"')
        connection.executemany('INSERT INTO "$catalogue" VALUES (?, ?, ?)', documents)

    @classmethod
    def load(cls, connection: sqlite3.Connection) -> Catalogue:
        """Read what :meth:`save` wrote."""
        catalogue = cls()
        for kind, key, body in connection.execute('SELECT kind, id, body FROM "$catalogue"'):
            document = json.loads(body)
            if kind == "table":
                catalogue.put_table(_table_from(document))
            elif kind == "view":
                catalogue.put_view(View(**document))
            elif kind == "function":
                document["parameters"] = [(name, SqlType(**type_)) for name, type_ in document["parameters"]]
                catalogue.put_function(InlineFunction(**document))
            elif kind == "policy":
                document["predicates"] = [Predicate(**item) for item in document["predicates"]]
                catalogue.put_policy(SecurityPolicy(**document))
            elif kind == "sequence":
                catalogue.put_sequence(Sequence(**{**document, "type": SqlType(**document["type"])}))
            elif kind == "type":
                alias = AliasType(**{**document, "base": SqlType(**document["base"])})
                catalogue.types[alias.schema.lower(), alias.name.lower()] = alias
            elif kind == "schema":
                catalogue.schemas[key] = Schema(**document)
            elif kind == "principal":
                catalogue.principals[key] = Principal(**document)
            elif kind == "permission":
                catalogue.permissions.append(Permission(**document))
            elif kind == "property":
                catalogue.properties.append(ExtendedProperty(**document))
            elif kind == "login":
                catalogue.logins[key] = document
            elif kind == "options":
                catalogue.options = DatabaseOptions(**document)
            elif kind == "next_id":
                catalogue.next_id = document
        return catalogue

    @classmethod
    def fresh(cls, created: str) -> Catalogue:
        """The catalogue of a new database."""
        catalogue = cls()
        catalogue.options.created = created
        catalogue.options.name_itself()
        for schema_id, name, owner in (
            (1, "dbo", "dbo"),
            (2, "guest", "guest"),
            (3, "INFORMATION_SCHEMA", "INFORMATION_SCHEMA"),
            (4, "sys", "sys"),
        ):
            catalogue.schemas[name.lower()] = Schema(schema_id, name, owner)
        for principal_id, name, kind in (
            (0, "public", "R"),
            (1, "dbo", "S"),
            (2, "guest", "S"),
            (3, "INFORMATION_SCHEMA", "S"),
            (4, "sys", "S"),
        ):
            catalogue.principals[name.lower()] = Principal(
                principal_id, name, kind, "sa" if name == "dbo" else "", fixed=True, created=created
            )
        for offset, name in enumerate(_FIXED_ROLES):
            catalogue.principals[name] = Principal(16384 + offset, name, "R", fixed=True, created=created)
        catalogue.principals["db_owner"].members.append("dbo")
        return catalogue


def constraints_of(table: Table) -> list[tuple[int, str, str]]:
    """object_id, name and type of every constraint of a table."""
    found = [
        (index.object_id, index.name, "PK" if index.constraint == "PRIMARY KEY" else "UQ")
        for index in table.indexes
        if index.constraint
    ]
    found += [(check.object_id, check.name, "C") for check in table.checks]
    found += [(key.object_id, key.name, "F") for key in table.foreign_keys]
    found += [(column.default_id, column.default_name, "D") for column in table.columns if column.default is not None]
    return found


def _table_from(document: dict[str, Any]) -> Table:
    columns = []
    for item in document.pop("columns"):
        item["type"] = SqlType(**item["type"])
        item["identity"] = tuple(item["identity"]) if item["identity"] else None
        columns.append(TableColumn(**item))
    indexes = [
        Index(**{**item, "columns": [(name, bool(descending)) for name, descending in item["columns"]]})
        for item in document.pop("indexes")
    ]
    checks = [Check(**item) for item in document.pop("checks")]
    keys = [ForeignKey(**item) for item in document.pop("foreign_keys")]
    return Table(columns=columns, indexes=indexes, checks=checks, foreign_keys=keys, **document)


def storage_column(column: TableColumn) -> str:
    """A column of the SQLite table: no affinity, so that nothing is converted behind our back."""
    return quote(column.name) + collate_clause(column)


def collate_clause(column: TableColumn) -> str:
    """How SQLite compares the column: strings by their collation, datetimeoffset by its instant."""
    if column.type.name in STRINGS:
        return f" COLLATE {column.sqlite_collation}"
    return " COLLATE INSTANT" if column.type.name == "datetimeoffset" else ""


def has_equal_forms(column: TableColumn) -> bool:
    """Whether bytes that differ are equal: zeros at the end do not count."""
    return column.type.name in BINARIES - {"binary", "rowversion"}


def unique_term(column: TableColumn) -> str:
    """What is the same for equal values of the column, NULL included. SQLite's own functions make it, so that any tool reads the
    index. An odd number of digits ends with a digit whose 0 was cut off, so that no two values fall together."""
    name = quote(column.name)
    if has_equal_forms(column):
        return f"CASE WHEN {name} IS NULL THEN 'NULL' ELSE rtrim(hex({name}), '0') END"
    return f"IFNULL({name}, X'00'){collate_clause(column)}"
