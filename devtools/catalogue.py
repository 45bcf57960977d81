"""What a database says about the tables that could be relayed, and about Rowpost in it.

It only reads: nothing is registered or changed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyodbc
from msgspec import Struct

from emulators.odbc import odbc_driver
from rowpost.config.connection_string import OdbcConnection, translate
from rowpost.database.connection import DatabaseError

RETENTION_UNIT_SECONDS = {1: 60, 2: 3600, 3: 86400}  # sys.change_tracking_databases.retention_period_units
_ROLE = "rowpost_app"

_WHO = "SELECT DB_NAME(), USER_NAME(), IS_MEMBER(N'db_owner');"
_RETENTION = "SELECT retention_period, retention_period_units FROM sys.change_tracking_databases WHERE database_id = DB_ID();"
_RIGHTS = """
SELECT HAS_PERMS_BY_NAME(N'rowpost', 'SCHEMA', 'UPDATE'),
       HAS_PERMS_BY_NAME(N'az_func', 'SCHEMA', 'ALTER'),
       HAS_PERMS_BY_NAME(DB_NAME(), 'DATABASE', 'CREATE TABLE');
"""
_VERSION = """
SELECT CASE WHEN OBJECT_ID(N'rowpost.Ledger', N'U') IS NULL OR HAS_PERMS_BY_NAME(N'rowpost', 'SCHEMA', 'SELECT') = 0 THEN 0
            WHEN OBJECT_ID(N'rowpost.SchemaVersion', N'U') IS NULL THEN 1 END,
       OBJECT_ID(N'rowpost.Relays', N'U');
"""
_TABLES = """
SELECT t.object_id, s.name, t.name, ct.is_track_columns_updated_on,
       HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), 'OBJECT', 'SELECT'),
       HAS_PERMS_BY_NAME(QUOTENAME(s.name) + N'.' + QUOTENAME(t.name), 'OBJECT', 'VIEW CHANGE TRACKING')
  FROM sys.tables t
  JOIN sys.schemas s ON s.schema_id = t.schema_id
  LEFT JOIN sys.change_tracking_tables ct ON ct.object_id = t.object_id
 WHERE t.is_ms_shipped = 0 AND s.name NOT IN (N'rowpost', N'az_func')
 ORDER BY s.name, t.name;
"""
_COLUMNS = """
SELECT c.object_id, c.name, y.name, c.is_computed, k.key_ordinal
  FROM sys.columns c
  JOIN sys.tables t ON t.object_id = c.object_id
  LEFT JOIN sys.types y ON y.user_type_id = c.system_type_id
  LEFT JOIN (SELECT ic.object_id, ic.column_id, ic.key_ordinal
               FROM sys.indexes i
               JOIN sys.index_columns ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
              WHERE i.is_primary_key = 1) k
    ON k.object_id = c.object_id AND k.column_id = c.column_id
 WHERE t.is_ms_shipped = 0
 ORDER BY c.object_id, c.column_id;
"""
_GRANTS = f"""
SELECT p.major_id, p.permission_name
  FROM sys.database_permissions p
  JOIN sys.database_principals r ON r.principal_id = p.grantee_principal_id
 WHERE r.name = N'{_ROLE}' AND p.state IN ('G', 'W');
"""


class CatalogueError(Exception):
    """The database cannot be asked; the text says why, without a password."""


class Column(Struct, frozen=True):
    """A column. ``type`` is None for a CLR type, which cannot be relayed; ``key`` is its place in the primary key."""

    name: str
    type: str | None
    computed: bool
    key: int | None


class UserTable(Struct, frozen=True):
    """A table that is neither the system's nor Rowpost's own.

    Attributes:
        tracks_columns: None: change tracking is off; else whether it knows which columns an update touched.
        may_select, may_view: the rights of whoever asked: SELECT, VIEW CHANGE TRACKING.
        granted: the rights that the app's role was given on the table itself.
    """

    schema: str
    table: str
    columns: list[Column]
    tracks_columns: bool | None
    may_select: bool
    may_view: bool
    granted: frozenset[str]

    @property
    def name(self) -> str:
        """As relay.toml writes it."""
        return f"{self.schema}.{self.table}"

    @property
    def key(self) -> list[str]:
        """The columns of the primary key, in its order."""
        return [column.name for column in sorted((c for c in self.columns if c.key), key=lambda c: c.key or 0)]

    @property
    def clr_columns(self) -> list[str]:
        """Columns of types that the SQL trigger does not support."""
        return [column.name for column in self.columns if column.type is None]


class Catalogue(Struct, frozen=True):
    """What was read.

    Attributes:
        owner: whether whoever asked owns the database, and so may do everything.
        retention_seconds: None: change tracking is off for the database.
        version: of the app's own tables; 0: there are none, or they are not visible.
        owners: of each registered relay, by its name in lower case: the app and the table.
        may_write, may_alter_leases, may_create_table: rights on schemas rowpost and az_func, and in the database.
    """

    server: str
    database: str
    user: str
    owner: bool
    retention_seconds: int | None
    version: int
    owners: dict[str, tuple[str | None, str]]
    may_write: bool
    may_alter_leases: bool
    may_create_table: bool
    tables: list[UserTable]

    def table(self, name: str) -> UserTable | None:
        """The table of that name; case counts only where it must."""
        alike = [table for table in self.tables if table.name.lower() == name.lower()]
        return next((table for table in alike if table.name == name), alike[0] if alike else None)


def read_catalogue(connection_string: str, setting: str) -> Catalogue:
    """Ask a database.

    Args:
        connection_string: in the form of the app setting.
        setting: its name, for messages.

    Raises:
        ConfigError: the connection string cannot be used.
        CatalogueError: the database cannot be reached, or refused.
    """
    target = translate(connection_string, setting, odbc_driver().strip("{}"))
    try:
        connection = pyodbc.connect(target.text, autocommit=True, timeout=target.login_timeout_seconds)
    except pyodbc.Error as error:
        raise CatalogueError(f"no connection to {target.database} on {target.server}: {DatabaseError(error)}") from None
    try:
        connection.timeout = target.command_timeout_seconds
        return _read(connection, target)
    except pyodbc.Error as error:
        raise CatalogueError(f"{target.database} on {target.server}: {DatabaseError(error)}") from None
    finally:
        connection.close()


def _read(connection: pyodbc.Connection, target: OdbcConnection) -> Catalogue:
    def rows(sql: str) -> list[Sequence[Any]]:
        return list(connection.execute(sql).fetchall())

    ((database, user, owner),) = rows(_WHO)
    retention = [period * RETENTION_UNIT_SECONDS[unit] for period, unit in rows(_RETENTION)]
    ((may_write, may_alter, may_create),) = rows(_RIGHTS)
    ((version, relays),) = rows(_VERSION)
    if version is None:
        ((version,),) = rows("SELECT COALESCE(MAX(Version), 0) FROM rowpost.SchemaVersion;")
    owners = rows("SELECT Relay, App, TableName FROM rowpost.Relays;") if version and relays is not None else []
    columns: dict[int, list[Column]] = {}
    for table, name, kind, computed, key in rows(_COLUMNS):
        columns.setdefault(table, []).append(Column(name, kind, bool(computed), key))
    granted: dict[int, set[str]] = {}
    for table, permission in rows(_GRANTS):
        granted.setdefault(table, set()).add(permission)
    return Catalogue(
        target.server,
        database,
        user,
        bool(owner),
        retention[0] if retention else None,
        version,
        {relay.lower(): (app, table) for relay, app, table in owners},
        bool(may_write),
        bool(may_alter),
        bool(may_create),
        [
            UserTable(
                schema,
                name,
                columns.get(number, []),
                None if tracks is None else bool(tracks),
                bool(may_select),
                bool(may_view),
                frozenset(granted.get(number, ())),
            )
            for number, schema, name, tracks, may_select, may_view in rows(_TABLES)
        ],
    )
