"""The JSON Schema of a column: what its values look like in a body, and in a key.

A schema is as narrow as the type allows, and true of each value that is ever sent. Only what JSON Schema of draft 7 and of draft
2020-12 mean alike is used. Patterns are those of ECMA-262, which all validators share.
"""

from __future__ import annotations

from typing import Any

from rowpost.config.sections import Numbers
from rowpost.database.columns import TableColumn

Schema = dict[str, Any]

EXACT_IN_A_DOUBLE = 2**53 - 1
NOTHING: Schema = {"type": "null"}
_INTEGERS = {"tinyint": (0, 255), "smallint": (-(2**15), 2**15 - 1), "int": (-(2**31), 2**31 - 1), "bigint": (-(2**63), 2**63 - 1)}
_MONEY = {"money": (19, 4), "smallmoney": (10, 4)}
_BYTES = {"binary", "varbinary", "image", "timestamp"}
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"
_MEDIA_TYPES = {"xml": "application/xml", "json": "application/json"}
_DAY, _MINUTE, _SECOND = r"\d{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01])", r"(?:[01]\d|2[0-3]):[0-5]\d", ":[0-5]\\d"
_OFFSET, _UTC = r"[+-](?:0\d|1[0-4]):[0-5]\d", r"\+00:00"
_DIGITS_OF_DATETIME = 3
_SPECIAL = frozenset(r"^$\.*+?()[]{}|/")


def literal(text: str) -> str:
    """A text as it stands in a pattern."""
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def integer(lowest: int, highest: int, numbers: Numbers) -> Schema:
    """A whole number. With ``string`` it is a text beyond 2^53 - 1."""
    exact = {"type": "integer", "minimum": lowest, "maximum": highest}
    if numbers == "exact" or (lowest >= -EXACT_IN_A_DOUBLE and highest <= EXACT_IN_A_DOUBLE):
        return exact
    small = {
        "type": "integer",
        "minimum": max(lowest, -EXACT_IN_A_DOUBLE),
        "maximum": min(highest, EXACT_IN_A_DOUBLE),
    }
    sign = "-?" if lowest < 0 else ""
    return {"anyOf": [small, {"type": "string", "pattern": f"^{sign}[1-9]\\d{{15,18}}$"}]}


def value_schema(column: TableColumn, numbers: Numbers) -> Schema:
    """What a value of the column looks like in a row."""
    found = _of_type(column, numbers, _OFFSET)
    return nullable(found) if column.nullable else found


def key_schema(column: TableColumn, numbers: Numbers) -> Schema:
    """What a value of the column looks like in a key: never null, and an instant is in UTC."""
    return _of_type(column, numbers, _UTC)


def nullable(schema: Schema) -> Schema:
    """The same or null."""
    kind = schema.get("type")
    if isinstance(kind, list):
        return schema if "null" in kind else {**schema, "type": [*kind, "null"]}
    if kind is None:
        return {**schema, "anyOf": [*schema["anyOf"], NOTHING]}
    return schema if kind == "null" else {**schema, "type": [kind, "null"]}


def _of_type(column: TableColumn, numbers: Numbers, offset: str) -> Schema:
    kind = column.type
    if kind == "sql_variant":
        return {"type": ["string", "number", "boolean", "null"]}
    if kind == "bit":
        return {"type": "boolean"}
    if kind in _INTEGERS:
        return integer(*_INTEGERS[kind], numbers)
    if kind in ("decimal", "numeric"):
        return _decimal(column.precision, column.scale, numbers)
    if kind in _MONEY:
        return _decimal(*_MONEY[kind], numbers)
    if kind in ("float", "real"):
        return {"type": "number"}
    if kind in _BYTES:
        return _base64(column)
    if kind == "uniqueidentifier":
        return {"type": "string", "format": "uuid", "pattern": "^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$"}
    return _instant(column, offset) or _text(column)


def _decimal(precision: int, scale: int, numbers: Numbers) -> Schema:
    whole = precision - scale
    if numbers == "exact":
        # A validator that reads doubles rounds the largest value up to this power.
        return {"type": "number" if scale else "integer", "minimum": -(10**whole), "maximum": 10**whole}
    before = f"(?:0|[1-9]\\d{{0,{whole - 1}}})" if whole > 0 else "0"
    after = f"[.]\\d{{{scale}}}" if scale else ""
    return {"type": "string", "pattern": f"^-?{before}{after}$"}


def _base64(column: TableColumn) -> Schema:
    found: Schema = {"type": "string", "contentEncoding": "base64", "pattern": _BASE64}
    size = 8 if column.type == "timestamp" else column.max_length
    if column.type != "image" and size > 0:
        found["maxLength"] = 4 * ((size + 2) // 3)
        if column.type in ("binary", "timestamp"):
            found["minLength"] = found["maxLength"]
    return found


def _text(column: TableColumn) -> Schema:
    """A length in characters is at most that in the units of the database: UTF-16, or bytes."""
    found: Schema = {"type": "string"}
    if column.type in ("nchar", "nvarchar") and column.max_length > 0:
        found["maxLength"] = column.max_length // 2
    elif column.type in ("char", "varchar") and column.max_length > 0:
        found["maxLength"] = column.max_length
    elif column.type in _MEDIA_TYPES:
        found["contentMediaType"] = _MEDIA_TYPES[column.type]
    return found


def _instant(column: TableColumn, offset: str) -> Schema | None:
    """A date or a time. A fraction has all digits of the type, or is left out if it is zero."""
    kind = column.type
    scale = _DIGITS_OF_DATETIME if kind == "datetime" else column.scale
    fraction = f"(?:[.]\\d{{{scale}}})?" if scale else ""
    if kind == "date":
        return {"type": "string", "format": "date", "pattern": f"^{_DAY}$"}
    if kind == "time":
        return {"type": "string", "pattern": f"^{_MINUTE}{_SECOND}{fraction}$"}
    if kind == "smalldatetime":
        return {"type": "string", "pattern": f"^{_DAY}T{_MINUTE}:00$"}
    if kind in ("datetime", "datetime2"):
        return {"type": "string", "pattern": f"^{_DAY}T{_MINUTE}{_SECOND}{fraction}$"}
    if kind == "datetimeoffset":
        return {"type": "string", "format": "date-time", "pattern": f"^{_DAY}T{_MINUTE}{_SECOND}{fraction}{offset}$"}
    return None
