"""What the app knows of a tracked table: its key, its columns, and the SQL fragments that name them.

Loaded once per process and table, in one round trip, with the checks that make a table relayable.
"""

from __future__ import annotations

import hashlib
import os
import struct
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from rowpost.config import ConfigError, RetryConfig, TableConfig
from rowpost.database import Database, Row

JsonValue = str | int | float | bool | Decimal | bytes | msgspec.Raw | None

_WITH_LENGTH = {"char", "varchar", "binary", "varbinary", "nchar", "nvarchar"}
_WITH_PRECISION = {"decimal", "numeric"}
_EXACT = {"decimal", "numeric", "money", "smallmoney"}
_WITH_SCALE = {"datetime2", "datetimeoffset", "time"}
# Date and time travel as ISO 8601 text (style 126): pyodbc's datetime would cut 100 ns, and an offset would be lost.
_AS_ISO_TEXT = {"date", "datetime", "datetime2", "smalldatetime", "datetimeoffset", "time"}
_AS_TEXT = {"xml", "text", "ntext", "sql_variant"}
_RETENTION_SECONDS = {1: 60, 2: 3600, 3: 86400}  # sys.change_tracking_databases.retention_period_units


def quote(name: str) -> str:
    """A SQL Server identifier in brackets."""
    return "[" + name.replace("]", "]]") + "]"


def literal(text: str) -> str:
    """A Unicode string literal of T-SQL."""
    return "N'" + text.replace("'", "''") + "'"


def trigger_id(site: str, function: str) -> str:
    """How the SQL trigger extension names a function of a site in its tables: part of a hash, written as a .NET GUID writes it."""
    return uuid.UUID(bytes_le=hashlib.sha256((site + function).encode()).digest()[:16]).hex[:16]


@dataclass(frozen=True, slots=True)
class TableColumn:
    """A column and how its values travel."""

    name: str
    type: str
    max_length: int
    precision: int
    scale: int

    @property
    def declaration(self) -> str:
        """The type as it stands in a declaration, such as ``nvarchar(20)``."""
        if self.type in _WITH_LENGTH:
            length = self.max_length // 2 if self.type[0] == "n" and self.max_length > 0 else self.max_length
            return f"{self.type}({'max' if length < 0 else length})"
        if self.type in _WITH_PRECISION:
            return f"{self.type}({self.precision}, {self.scale})"
        if self.type in _WITH_SCALE:
            return f"{self.type}({self.scale})"
        return "varbinary(8)" if self.type == "timestamp" else self.type

    def select(self, alias: str) -> str:
        """The expression that reads the column without losing a digit."""
        expression = f"{alias}.{quote(self.name)}"
        if self.type in _AS_ISO_TEXT:
            return f"CONVERT(nvarchar(40), {expression}, 126)"
        if self.type in _AS_TEXT:
            return f"CONVERT(nvarchar(max), {expression})"
        return f"CONVERT(varbinary(max), {expression})" if self.type == "image" else expression

    def json_value(self, value: Any) -> JsonValue:
        """The value of :meth:`select` as it stands in JSON: numbers digit-exact, binary as bytes (base64 in JSON)."""
        if value is None:
            return None
        if self.type == "real":
            return _shortest_float32(value)
        if self.type == "uniqueidentifier":
            return str(value).lower()
        if self.type in _EXACT and isinstance(value, Decimal):
            return msgspec.Raw(f"{value:f}".encode())  # never with an exponent: OPENJSON cannot read one as a decimal
        return bytes(value) if isinstance(value, bytearray | memoryview) else value

    @property
    def openjson(self) -> str:
        """The column's line in an ``OPENJSON … WITH`` clause."""
        plain = self.name.isascii() and self.name.isidentifier()
        path = self.name if plain else '"' + self.name.replace("\\", "\\\\").replace('"', '\\"') + '"'
        return f"{quote(self.name)} {self.declaration} {literal('$.' + path)}"


def _shortest_float32(value: float) -> float:
    """The shortest decimal that is the same 32-bit float: 0.1, not 0.10000000149011612."""
    wanted = struct.pack("f", value)
    return next((short for n in range(6, 10) if struct.pack("f", short := float(f"{value:.{n}g}")) == wanted), value)


@dataclass(frozen=True, slots=True)
class Table:
    """A tracked table, checked and ready to relay."""

    config: TableConfig
    name: str
    key: tuple[TableColumn, ...]
    columns: tuple[TableColumn, ...]
    watch: tuple[str, ...] | None
    trigger_id: str = ""

    @property
    def sql(self) -> str:
        """The table's quoted name."""
        return ".".join(quote(part) for part in self.name.split("."))

    @property
    def lease_sql(self) -> str:
        """The lease table's quoted name."""
        return f"[az_func].{quote(self.config.lease_table)}"

    def key_with(self, *extra: str) -> str:
        """``WITH (…)`` for ``OPENJSON``: the key columns, and ``extra`` ones."""
        return "WITH (" + ", ".join([*(column.openjson for column in self.key), *extra]) + ")"

    def on(self, left: str, right: str) -> str:
        """The join condition on the key."""
        return " AND ".join(f"{left}.{quote(c.name)} = {right}.{quote(c.name)}" for c in self.key)

    def key_list(self, alias: str) -> str:
        """The key columns of ``alias``, in order."""
        return ", ".join(f"{alias}.{quote(c.name)}" for c in self.key)

    def key_select(self, alias: str) -> str:
        """The key columns of ``alias`` as they travel."""
        return ", ".join(c.select(alias) for c in self.key)

    def key_of(self, values: Sequence[Any]) -> dict[str, JsonValue]:
        """The key, by column name, from the values of :meth:`key_select`."""
        return {column.name: column.json_value(value) for column, value in zip(self.key, values, strict=True)}

    @property
    def cursor_sql(self) -> str:
        """The trigger's cursor, as a subquery. Another app's trigger on the table has one of its own, and a former app's stays."""
        return f"""(SELECT TOP (1) LastSyncVersion FROM az_func.GlobalState WHERE UserTableID = OBJECT_ID({literal(self.sql)})
  ORDER BY CASE UserFunctionID WHEN {literal(self.trigger_id)} THEN 0 ELSE 1 END, LastSyncVersion)"""

    @property
    def version_apply(self) -> str:
        """``CHANGETABLE(VERSION …)`` for the key columns of alias ``k``."""
        names = ", ".join(quote(c.name) for c in self.key)
        return f"CHANGETABLE(VERSION {self.sql}, ({names}), ({self.key_list('k')}))"


_DESCRIBE = """
SET NOCOUNT ON;
SELECT c.name, t.name, c.max_length, c.precision, c.scale, k.key_ordinal, c.is_computed
  FROM sys.columns c
  LEFT JOIN sys.types t ON t.user_type_id = c.system_type_id
  LEFT JOIN (SELECT ic.object_id, ic.column_id, ic.key_ordinal
               FROM sys.indexes i JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
              WHERE i.is_primary_key = 1) k ON k.object_id = c.object_id AND k.column_id = c.column_id
 WHERE c.object_id = OBJECT_ID({name}, N'U')
 ORDER BY c.column_id;
SELECT d.retention_period, d.retention_period_units,
       (SELECT ct.is_track_columns_updated_on FROM sys.change_tracking_tables ct WHERE ct.object_id = OBJECT_ID({name}, N'U')),
       HAS_PERMS_BY_NAME({name}, 'OBJECT', 'SELECT'),
       HAS_PERMS_BY_NAME({name}, 'OBJECT', 'VIEW CHANGE TRACKING'),
       OBJECT_ID(N'[rowpost].[Ledger]', N'U'),
       HAS_PERMS_BY_NAME(N'rowpost', 'SCHEMA', 'UPDATE')
  FROM sys.databases b LEFT JOIN sys.change_tracking_databases d ON d.database_id = b.database_id
 WHERE b.name = DB_NAME();
"""

# The table's row in rowpost.TableState: made here, so that all others only update it.
_STATE_ROW = """
SET NOCOUNT ON; SET XACT_ABORT ON;
BEGIN TRANSACTION;
IF NOT EXISTS (SELECT 1 FROM rowpost.TableState WITH (UPDLOCK, SERIALIZABLE) WHERE TableName = {name})
  INSERT INTO rowpost.TableState (TableName) VALUES ({name});
COMMIT;
"""


def load_table(database: Database, config: TableConfig, retry: RetryConfig) -> Table:
    """Read the table's shape from the catalogue and check that it can be relayed.

    Raises:
        ConfigError: the table is missing or may not be read, has no primary key, change tracking is off or kept too short,
            a configured column does not exist, or the app's own tables are missing.
        DatabaseError: the database cannot be reached.
    """
    name = config.name
    quoted = ".".join(quote(part) for part in name.split("."))
    columns, facts = database.run(_DESCRIBE.format(name=literal(quoted)))
    _check_table(config, columns, facts[0] if facts else None, retry)
    database.run(_STATE_ROW.format(name=literal(name)))
    shapes = [(TableColumn(*row[:5]), row[5]) for row in columns]
    key = tuple(column for column, _ in sorted((s for s in shapes if s[1]), key=lambda s: int(s[1])))
    names = {column.name.lower(): column for column, _ in shapes}
    for what in ("send", "watch"):
        for column in getattr(config, what) or []:
            if column.lower() not in names:
                known = ", ".join(c.name for c, _ in shapes)
                raise ConfigError(f"tables.{what} of {name}: there is no column {column!r}; the table has {known}")
    key_names = {column.name for column in key}
    ceiling = {column.lower() for column in config.send} if config.send is not None else set(names)
    sent = tuple(c for c, _ in shapes if c.name.lower() in ceiling or c.name in key_names)
    computed = {row[0].lower() for row in columns if row[6]} & {column.lower() for column in config.watch or []}
    if computed:
        raise ConfigError(
            f"tables.watch of {name}: change tracking never lists the computed column {', '.join(sorted(computed))}; watch the "
            f"columns that it is computed from"
        )
    watch = tuple(names[column.lower()].name for column in config.watch) if config.watch is not None else None
    return Table(config, name, key, sent, watch, trigger_id(os.environ.get("WEBSITE_SITE_NAME", ""), config.function))


def _check_table(config: TableConfig, columns: Sequence[Row], facts: Row | None, retry: RetryConfig) -> None:
    name = config.name
    if not columns or facts is None:
        raise ConfigError(
            f"tables.name {name}: no such table in this database, or no permission to see it; create it, or grant SELECT "
            f"and VIEW CHANGE TRACKING on it to the app's user (infra/sql/40-grant-table.sql)"
        )
    retention, unit, tracks_columns, may_select, may_view, ledger, may_write = facts
    if not may_select or not may_view:
        missing = "SELECT" if not may_select else "VIEW CHANGE TRACKING"
        raise ConfigError(
            f"tables.name {name}: the app's user lacks the permission {missing}; run infra/sql/40-grant-table.sql for it"
        )
    odd = [row[0] for row in columns if row[1] is None]
    if odd:
        raise ConfigError(
            f"tables.name {name}: the SQL trigger does not support the CLR types (geography, geometry, hierarchyid) of the columns "
            f"{', '.join(odd)}; relay a table without them"
        )
    if not any(row[5] for row in columns):
        raise ConfigError(f"tables.name {name}: the table has no primary key, which change tracking needs; add one")
    if retention is None or tracks_columns is None:
        what = "database" if retention is None else "table"
        script = "10-change-tracking.sql" if retention is None else "30-track-table.sql"
        raise ConfigError(f"tables.name {name}: change tracking is off for the {what}; run infra/sql/{script}")
    if config.watch is not None and not tracks_columns:
        raise ConfigError(
            f"tables.watch of {name}: the table does not track which columns change; when all is delivered, ALTER TABLE it to "
            f"DISABLE CHANGE_TRACKING, then run infra/sql/30-track-table.sql, which enables it WITH (TRACK_COLUMNS_UPDATED = ON)"
        )
    if retention * _RETENTION_SECONDS[unit] <= retry.window.seconds:
        hours = retention * _RETENTION_SECONDS[unit] / 3600
        raise ConfigError(
            f"retry.window: {retry.window.seconds / 3600:g} h is not shorter than the database's change retention of {hours:g} h; "
            f"raise CHANGE_RETENTION (infra/sql/10-change-tracking.sql) or shorten the window"
        )
    if ledger is None:
        raise ConfigError("rowpost.Ledger: the app's own tables are missing or not visible to it; run infra/sql/20-rowpost.sql")
    if not may_write:
        raise ConfigError("rowpost.Ledger: the app's user may not write to schema rowpost; run infra/sql/20-rowpost.sql")
