"""How many bytes rows and index entries take, and the limits of the real server."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.catalogue.objects import Index, Table
from emulators.sql_server.values.datatypes import UNICODE_STRINGS, max_length_bytes
from emulators.sql_server.values.results import SqlError, SqlType
from emulators.sql_server.values.utf16 import units

ROW_BYTES = 8060
COLUMNS = 1024
KEY_COLUMNS = 32
_VARYING = frozenset({"varchar", "nvarchar", "varbinary", "sql_variant"})
_LARGE = frozenset({"text", "ntext", "image", "xml", "geography", "geometry", "hierarchyid"})


def key_limit(index: Index) -> int:
    """Bytes of a key."""
    return 900 if index.clustered else 1700


def least_bytes(kinds: list[SqlType]) -> int:
    """What the fixed parts of the columns take; eight bits share a byte."""
    bits = sum(kind.name == "bit" for kind in kinds)
    fixed = [kind for kind in kinds if kind.name != "bit" and kind.name not in _VARYING | _LARGE]
    return sum(max_length_bytes(kind) for kind in fixed) + (bits + 7) // 8


def key_types(table: Table, index: Index) -> list[SqlType]:
    return [column.type for name, _ in index.columns if (column := table.column(name)) is not None]


def most_bytes(kinds: list[SqlType]) -> int:
    """The longest key that the types allow."""
    return least_bytes(kinds) + sum(max_length_bytes(kind) for kind in kinds if kind.name in _VARYING)


def is_wide(table: Table, index: Index) -> bool:
    """Whether the types of an index allow keys that are too long."""
    return _stored(table, index) and most_bytes(key_types(table, index)) > key_limit(index)


def wide_indexes(table: Table) -> list[Index]:
    """Indexes whose keys may be too long."""
    found = table.cache.get("wide_indexes")
    if found is None:
        found = table.cache["wide_indexes"] = [index for index in table.indexes if is_wide(table, index)]
    return list(found)


def _stored(table: Table, index: Index) -> bool:
    columns = [table.column(name) for name, _ in index.columns]
    return all(column is not None and column.computed is None for column in columns)


def require_entry_fits(index: Index, kinds: list[SqlType], values: list[Any]) -> None:
    """Raises SqlError 1946."""
    size = least_bytes(kinds)
    for kind, value in zip(kinds, values, strict=True):
        if kind.name in _VARYING and isinstance(value, str):
            size += units(value) * (2 if kind.name in UNICODE_STRINGS else 1)
        elif kind.name in _VARYING and value is not None:
            size += len(value)
    if size > key_limit(index):
        kind_of_index = "clustered" if index.clustered else "nonclustered"
        raise SqlError(
            1946,
            f"Operation failed. The index entry of length {size} bytes for the index '{index.name}' exceeds the maximum length of "
            f"{key_limit(index)} bytes for {kind_of_index} indexes.",
        )
