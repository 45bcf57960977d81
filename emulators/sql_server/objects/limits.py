"""What a table or an index must not exceed."""

from __future__ import annotations

from emulators.sql_server.catalogue.objects import Index, Table
from emulators.sql_server.catalogue.sizes import COLUMNS, KEY_COLUMNS, ROW_BYTES, key_limit, key_types, least_bytes
from emulators.sql_server.values.results import SqlError

_NO_KEYS = frozenset({"text", "ntext", "image", "xml", "geography", "geometry"})
_OVERHEAD = 6  # of a row, without its bits for NULL


def require_row_fits(table: Table) -> None:
    """Raises SqlError 1701, 1702."""
    if len(table.columns) > COLUMNS:
        raise SqlError(
            1702,
            f"CREATE TABLE failed because column '{table.columns[COLUMNS].name}' in table '{table.name}' exceeds the maximum of "
            f"{COLUMNS} columns.",
        )
    overhead = _OVERHEAD + (len(table.stored) + 7) // 8
    size = least_bytes([column.type for column in table.stored]) + overhead
    if size > ROW_BYTES:
        raise SqlError(
            1701,
            f"Creating or altering table '{table.name}' failed because the minimum row size would be {size}, including {overhead} "
            f"bytes of internal overhead. This exceeds the maximum allowable table row size of {ROW_BYTES} bytes.",
        )


def require_key_fits(table: Table, index: Index) -> None:
    """Raises SqlError 1904, 1919, 1944."""
    if len(index.columns) > KEY_COLUMNS:
        raise SqlError(
            1904,
            f"The index '{index.name}' on table '{table.full_name}' has {len(index.columns)} columns in the key list. The maximum "
            f"limit for index key column list is {KEY_COLUMNS}.",
        )
    for name, _ in index.columns:
        column = table.column(name)
        if column is not None and (column.type.name in _NO_KEYS or column.type.length < 0 and column.type.name != "hierarchyid"):
            raise SqlError(
                1919,
                f"Column '{column.name}' in table '{table.full_name}' is of a type that is invalid for use as a key column in an "
                "index.",
            )
    least = least_bytes(key_types(table, index))
    if least > key_limit(index):
        raise SqlError(
            1944,
            f"Index '{index.name}' was not created. This index has a key length of at least {least} bytes. The maximum permissible "
            f"key length is {key_limit(index)} bytes.",
        )
