"""What the listener needs to know about the watched table, read from the catalogue when it starts.

The checks stand in the order in which a start meets them; each failure has a message of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emulators.functions_host.sql_trigger.connection import Connection
from emulators.functions_host.sql_trigger.errors import ListenerError
from emulators.functions_host.sql_trigger.names import TableName, literal
from emulators.functions_host.sql_trigger.payload import Column

MINIMUM_COMPATIBILITY_LEVEL = 130  # OPENJSON came with it
CHANGE_VERSION = "_az_func_ChangeVersion"
ATTEMPT_COUNT = "_az_func_AttemptCount"
LEASE_EXPIRATION = "_az_func_LeaseExpirationTime"
_RESERVED = (CHANGE_VERSION, ATTEMPT_COUNT, LEASE_EXPIRATION)
_WITH_LENGTH = {"char", "varchar", "nchar", "nvarchar", "binary", "varbinary"}
_WITH_PRECISION = {"decimal", "numeric"}


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """A column of the primary key.

    Attributes:
        name: as the table has it.
        type: name of its type.
        declaration: the type as the lease table declares it.
    """

    name: str
    type: str
    declaration: str


@dataclass(frozen=True, slots=True)
class WatchedTable:
    """The watched table.

    Attributes:
        conflict: two collations that the statements of the real extension compare, of a key column and of its lease; or None.
    """

    name: TableName
    object_id: int
    keys: Sequence[KeyColumn]
    columns: Sequence[Column]
    conflict: tuple[str, str] | None = None


def _declaration(type_name: str, max_length: int, precision: int, scale: int) -> str:
    # The length is the one in bytes, so lease tables have national strings of twice the length: the extension's way.
    if type_name in _WITH_LENGTH:
        return f"{type_name}({'max' if max_length == -1 else max_length})"
    if type_name in _WITH_PRECISION:
        return f"{type_name}({precision},{scale})"
    return type_name


async def check_compatibility_level(connection: Connection) -> None:
    """Raises ListenerError if the database is too old for OPENJSON."""
    results = await connection.run("SELECT compatibility_level FROM sys.databases WHERE name = DB_NAME();")
    level = int(results[0][0][0])
    if level < MINIMUM_COMPATIBILITY_LEVEL:
        raise ListenerError(
            f"SQL triggers need database compatibility level {MINIMUM_COMPATIBILITY_LEVEL} or higher; found {level}."
        )


async def find_object_id(connection: Connection, name: TableName) -> int:
    """The table's object id. Raises ListenerError if there is no such table; views do not count."""
    results = await connection.run(f"SELECT OBJECT_ID({literal(name.quoted)}, N'U');")
    object_id = results[0][0][0]
    if object_id is None:
        raise ListenerError(f"Could not find table: '{name.display}'.")
    return int(object_id)


async def read_keys(connection: Connection, name: TableName, object_id: int) -> list[KeyColumn]:
    """The primary key's columns. Raises ListenerError if there are none."""
    results = await connection.run(
        f"""
SELECT c.name, t.name, c.max_length, c.precision, c.scale
FROM sys.indexes AS i
JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
JOIN sys.types AS t ON t.user_type_id = c.user_type_id
WHERE i.object_id = {object_id} AND i.is_primary_key = 1
ORDER BY ic.key_ordinal;"""
    )
    keys = [KeyColumn(column, kind, _declaration(kind, *sizes)) for column, kind, *sizes in results[0]]
    if not keys:
        raise ListenerError(f"Could not find primary key created in table: '{name.display}'.")
    return keys


async def read_conflict(connection: Connection, object_id: int) -> tuple[str, str] | None:
    """The collation of a key column and that of the database, which its column of the lease table has, if they differ."""
    results = await connection.run(
        f"""
SELECT c.collation_name, d.collation_name
FROM sys.indexes AS i
JOIN sys.index_columns AS ic ON ic.object_id = i.object_id AND ic.index_id = i.index_id
JOIN sys.columns AS c ON c.object_id = ic.object_id AND c.column_id = ic.column_id
JOIN sys.databases AS d ON d.name = DB_NAME()
WHERE i.object_id = {object_id} AND i.is_primary_key = 1 AND c.collation_name <> d.collation_name;"""
    )
    return (str(results[0][0][0]), str(results[0][0][1])) if results[0] else None


async def read_columns(connection: Connection, name: TableName, object_id: int) -> list[Column]:
    """All columns. Raises ListenerError if one has a type or a name that cannot be."""
    results = await connection.run(
        f"""
SELECT c.name, t.name, t.is_assembly_type
FROM sys.columns AS c
JOIN sys.types AS t ON t.user_type_id = c.user_type_id
WHERE c.object_id = {object_id}
ORDER BY c.column_id;"""
    )
    unsupported = [f"'{column}' (type: {kind})" for column, kind, is_assembly in results[0] if is_assembly]
    if unsupported:
        raise ListenerError(f"Found column(s) with unsupported type(s): {', '.join(unsupported)} in table: '{name.display}'.")
    columns = [Column(column, kind) for column, kind, _ in results[0]]
    reserved = [f"'{column.name}'" for column in columns if column.name in _RESERVED]
    if reserved:
        raise ListenerError(f"Found reserved column name(s): {', '.join(reserved)} in table: '{name.display}'. Please rename them.")
    return columns


async def read_table(connection: Connection, name: TableName) -> WatchedTable:
    """Everything about the watched table.

    Raises:
        ListenerError: the table cannot be watched.
        DatabaseError: a statement failed.
    """
    object_id = await find_object_id(connection, name)
    keys = await read_keys(connection, name, object_id)
    columns = await read_columns(connection, name, object_id)
    return WatchedTable(name, object_id, keys, columns, await read_conflict(connection, object_id))
