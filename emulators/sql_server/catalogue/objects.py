"""What a catalogue holds: tables, views, functions, policies, schemas, principals, and the settings of the database."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from emulators.sql_server.catalogue.collations import Collation
from emulators.sql_server.values.results import SqlType


@dataclass(slots=True)
class TableColumn:
    """A column; ``default`` and ``computed`` are T-SQL text."""

    column_id: int
    name: str
    type: SqlType
    nullable: bool = True
    identity: tuple[int, int] | None = None
    default: str | None = None
    default_name: str = ""
    default_id: int = 0
    computed: str | None = None
    persisted: bool = False
    collation: str = ""
    mask: str = ""
    """The masking function as sys.masked_columns shows it."""
    alias_id: int = 0
    """user_type_id of its alias type."""

    @property
    def sqlite_collation(self) -> str:
        return Collation.named(self.collation)


@dataclass(slots=True)
class Index:
    """An index, also the one of a key constraint."""

    index_id: int
    name: str
    columns: list[tuple[str, bool]]
    unique: bool
    constraint: str = ""
    """PRIMARY KEY, UNIQUE or ''."""
    object_id: int = 0
    clustered: bool = False
    include: list[str] = field(default_factory=list)
    where: str = ""


@dataclass(slots=True)
class Check:
    object_id: int
    name: str
    text: str
    column: str = ""
    disabled: bool = False
    untrusted: bool = False
    """Rows may be there that it was never tried on: WITH NOCHECK."""


@dataclass(slots=True)
class ForeignKey:
    object_id: int
    name: str
    columns: list[str]
    referenced_id: int
    referenced_columns: list[str]
    on_delete: str = "NO ACTION"
    on_update: str = "NO ACTION"
    disabled: bool = False
    untrusted: bool = False


@dataclass(slots=True)
class Table:
    """A table; treated as immutable once it is in a catalogue."""

    object_id: int
    schema: str
    name: str
    columns: list[TableColumn]
    indexes: list[Index] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    foreign_keys: list[ForeignKey] = field(default_factory=list)
    tracking: dict[str, Any] | None = None
    """None when change tracking is off, else {"columns": bool, "object_id": of the internal table, "created": when}."""
    created: str = ""
    modified: str = ""
    next_column_id: int = 1
    temporary: bool = False
    variable: bool = False
    """A table variable: outside transactions."""
    cache: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Compiled things about this table; not stored."""

    @property
    def storage(self) -> str:
        """The quoted name of the SQLite table."""
        return f'temp."t{self.object_id}"' if self.temporary else f'"t{self.object_id}"'

    @property
    def history(self) -> str:
        """The quoted name of the SQLite table that keeps the tracked changes."""
        return f'"h{self.object_id}"'

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}" if not self.temporary else self.name

    @property
    def primary_key(self) -> Index | None:
        return next((index for index in self.indexes if index.constraint == "PRIMARY KEY"), None)

    @property
    def identity(self) -> TableColumn | None:
        return next((column for column in self.columns if column.identity), None)

    @property
    def stored(self) -> list[TableColumn]:
        """Columns that have a place in the SQLite table."""
        return [column for column in self.columns if column.computed is None]

    def column(self, name: str) -> TableColumn | None:
        lower = name.lower()
        return next((column for column in self.columns if column.name.lower() == lower), None)


@dataclass(slots=True)
class View:
    object_id: int
    schema: str
    name: str
    columns: list[str]
    text: str
    created: str = ""
    modified: str = ""
    bound: list[int] = field(default_factory=list)
    """Tables that WITH SCHEMABINDING holds."""
    definition: str = ""
    """The batch that made it."""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(slots=True)
class InlineFunction:
    """A function that is one query: its parameters are names (lower case, without @) and types."""

    object_id: int
    schema: str
    name: str
    parameters: list[tuple[str, SqlType]]
    text: str
    """The query."""
    definition: str
    """The statement that made it."""
    created: str = ""
    modified: str = ""
    schema_bound: bool = False
    bound: list[int] = field(default_factory=list)
    """Tables and functions that WITH SCHEMABINDING holds."""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(slots=True)
class Predicate:
    """A filter predicate of a security policy; the arguments are T-SQL text."""

    predicate_id: int
    table_id: int
    function_id: int
    arguments: list[str]
    definition: str


@dataclass(slots=True)
class SecurityPolicy:
    object_id: int
    schema: str
    name: str
    enabled: bool = True
    not_for_replication: bool = False
    predicates: list[Predicate] = field(default_factory=list)
    last_predicate: int = 0
    created: str = ""
    modified: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"


@dataclass(slots=True)
class Schema:
    schema_id: int
    name: str
    owner: str = "dbo"


@dataclass(slots=True)
class Principal:
    """A user (kind S) or role (kind R) of the database."""

    principal_id: int
    name: str
    kind: str
    login: str = ""
    default_schema: str = "dbo"
    owner: str = "dbo"
    fixed: bool = False
    members: list[str] = field(default_factory=list)
    created: str = ""
    sid: str = ""
    """Hex digits."""


@dataclass(slots=True)
class Permission:
    """One row of sys.database_permissions; class 0 database, 1 object, 3 schema."""

    permission_class: int
    major_id: int
    columns: list[str]
    grantee: str
    name: str
    state: str


@dataclass(slots=True)
class ExtendedProperty:
    """One row of sys.extended_properties; class 0 database, 1 object or column, 3 schema."""

    property_class: int
    major_id: int
    minor_id: int
    name: str
    value: str | None


def new_guid() -> str:
    return str(uuid.uuid4()).upper()


@dataclass(slots=True)
class DatabaseOptions:
    """Settings of ALTER DATABASE."""

    change_tracking: bool = False
    retention: int = 2
    retention_unit: str = "DAYS"
    auto_cleanup: bool = True
    snapshot_isolation: bool = False
    read_committed_snapshot: bool = False
    compatibility_level: int = 160
    recovery_model: str = "FULL"
    created: str = ""
    read_only: bool = False
    single_user: bool = False
    broker_enabled: bool = True
    database_guid: str = ""
    family_guid: str = ""
    recovery_fork_guid: str = ""
    first_recovery_fork_guid: str = ""
    fork_point: int | None = None
    """Of the log, where a restored database left the path of its backup."""
    service_broker_guid: str = ""

    def name_itself(self) -> bool:
        """Give a new database its identifiers; False when it has them."""
        if self.database_guid:
            return False
        self.database_guid = self.family_guid = new_guid()
        self.recovery_fork_guid = self.first_recovery_fork_guid = new_guid()
        self.service_broker_guid = new_guid()
        return True

    def restored(self, over: DatabaseOptions, fork_point: int) -> None:
        """What RESTORE WITH REPLACE over a database does to the options of the backup.

        The row of sys.databases stays that of the database (its number and its date), and so does database_guid. The backup
        family is that of the backup. Recovery begins a new fork. The broker keeps its identifier and is switched off.
        """
        self.created, self.database_guid = over.created, over.database_guid
        self.first_recovery_fork_guid, self.recovery_fork_guid = self.recovery_fork_guid, new_guid()
        self.fork_point = fork_point
        self.broker_enabled = False
