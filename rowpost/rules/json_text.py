"""JSON text, digit-exact: the one form in which rows, keys and batches travel to the target and to SQL Server."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

import msgspec

JsonValue = str | int | float | bool | Decimal | bytes | msgspec.Raw | None

_HALF = re.compile("[\ud800-\udfff]")
_ENCODER = msgspec.json.Encoder(decimal_format="number")


def to_json(value: Any) -> str:
    """JSON text: decimals digit-exact as numbers, bytes as base64. Half a surrogate pair is an escape, as SQL Server reads it."""
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError:
        return _with_halves(value, json.dumps)


def to_json_text(value: Any) -> str:
    """The same for who takes Unicode only: U+FFFD stands for each half of a surrogate pair."""
    try:
        return _ENCODER.encode(value).decode()
    except UnicodeEncodeError:
        return _with_halves(value, lambda text: _ENCODER.encode(_HALF.sub("\ufffd", text)).decode())


def value_text(value: JsonValue) -> str:
    """A single value as text: as it stands in JSON, without the quotes and escapes of a string. Null is an empty text."""
    if isinstance(value, str):
        return _HALF.sub("\ufffd", value)
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    return "" if value is None else to_json(value)


def _with_halves(value: Any, write: Callable[[str], str]) -> str:
    """JSON text as above, in which ``write`` writes the strings that are not Unicode."""
    if isinstance(value, Mapping):
        parts = (f"{_with_halves(name, write)}:{_with_halves(item, write)}" for name, item in value.items())
        return "{" + ",".join(parts) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_with_halves(item, write) for item in value) + "]"
    return write(value) if isinstance(value, str) and _HALF.search(value) else _ENCODER.encode(value).decode()
