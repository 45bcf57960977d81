"""Keys of rows as people name them: in a path, in a query, in the body of an order."""

from __future__ import annotations

import json
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from rowpost.database.columns import TableColumn
from rowpost.database.table import Table
from rowpost.operations.rows import Refused
from rowpost.rules.json_text import to_json

_MAY_BE_EMPTY = {"char", "varchar", "nchar", "nvarchar", "binary", "varbinary", "sql_variant"}


def read_key(table: Table, text: str) -> dict[str, Any]:
    """The key of a row as a path names it: the value if the key has one column, else (or also) a JSON object.

    Raises:
        Refused: it is neither.
    """
    if text.startswith("{"):
        try:
            found = json.loads(text, parse_float=Decimal)
        except ValueError:
            found = None
        if isinstance(found, dict):
            return whole_key(table, found)
    if len(table.key) > 1:
        example = to_json({column.name: "…" for column in table.key})
        raise Refused("key", f"the key of {table.name} has several columns; write it as a JSON object, such as {example}")
    return whole_key(table, {table.key[0].name: text})


def whole_key(table: Table, given: Mapping[str, Any], field: str = "key") -> dict[str, Any]:
    """The key with the names of the columns as the table spells them; numbers with a fraction keep their digits.

    Args:
        table: whose key it is.
        given: a value for each column of the key; its name may be spelled in any case.
        field: where it stands in the request.

    Raises:
        Refused: a column is missing, or there are others, or a value cannot be one of a key.
    """
    known = {name.lower(): value for name, value in given.items()}
    wanted = {column.name.lower(): column for column in table.key}
    if known.keys() != wanted.keys() or len(given) != len(wanted):
        raise Refused(field, f"must name each column of the key of {table.name} once: {', '.join(c.name for c in table.key)}")
    return {column.name: _value(column, known[name], field) for name, column in wanted.items()}


def _value(column: TableColumn, value: Any, field: str) -> Any:
    if value is None or isinstance(value, dict | list):
        raise Refused(field, f"{column.name} must be a single value")
    # SQL Server takes an empty text for 0, or for the first day of 1900: nobody means that row.
    if isinstance(value, str) and not value.strip(" \t\r\n\0") and column.type not in _MAY_BE_EMPTY:
        raise Refused(field, f"{column.name} is empty; give the value as the events have it")
    if column.type in ("float", "real"):
        try:
            return float(value)
        except ValueError:
            raise Refused(field, f"{column.name} has a text where the column has a number") from None
    return Decimal(repr(value)) if isinstance(value, float) else value
