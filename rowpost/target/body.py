"""The body of an event: its forms, templates, how numbers are written, and how a long one is compressed."""

from __future__ import annotations

import gzip
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from msgspec import Raw

from rowpost.config.sections import Numbers
from rowpost.rules.json_text import JsonValue, to_json_text
from rowpost.rules.placeholders import Placeholder, fill
from rowpost.target.request import Values

JSON, CLOUD_EVENT = "application/json", "application/cloudevents+json"
_EXACT_IN_A_DOUBLE = 2**53 - 1  # the largest integer that has no neighbour in a double: Number.MAX_SAFE_INTEGER, RFC 7493 2.2
_AS_THEY_ARE = frozenset({str, bool, float, bytes, type(None)})  # most values, so they are told apart first
_LEVEL = 6


def number_for(value: JsonValue, numbers: Numbers) -> JsonValue:
    """A value as it is sent. With ``string`` a number is a text that a reader with doubles would read as another one.

    These are all decimals, so that a column has one type, and integers beyond 2^53 - 1.
    """
    if numbers == "exact":
        return value
    if isinstance(value, Decimal):
        return f"{value:f}"
    if isinstance(value, Raw):  # the digits of a decimal
        return bytes(value).decode()
    if isinstance(value, int) and not -_EXACT_IN_A_DOUBLE <= value <= _EXACT_IN_A_DOUBLE:
        return str(value)
    return value


def numbers_in(data: Mapping[str, Any], numbers: Numbers) -> Mapping[str, Any]:
    """The same for the values of an object, and of the objects in it."""
    if numbers == "exact":
        return data
    found = {}
    for name, value in data.items():
        kind = type(value)
        if kind is dict:
            value = numbers_in(value, numbers)
        elif kind not in _AS_THEY_ARE and not (kind is int and -_EXACT_IN_A_DOUBLE <= value <= _EXACT_IN_A_DOUBLE):
            value = number_for(value, numbers)
        found[name] = value
    return found


def structured(attributes: Mapping[str, str], data: Mapping[str, Any]) -> bytes:
    """A CloudEvent as one JSON object (structured mode)."""
    return to_json_text({"specversion": "1.0", **attributes, "datacontenttype": JSON, "data": data}).encode()


def binary_headers(attributes: Mapping[str, str]) -> dict[str, str]:
    """The attributes of a CloudEvent as headers (binary mode; HTTP protocol binding 1.0.2, 3.1.3)."""
    return {f"ce-{name}": _header_text(value) for name, value in {"specversion": "1.0", **attributes}.items()}


def _header_text(value: str) -> str:
    """Blanks, quotes, percent signs and all but printable ASCII are percent-encoded, as UTF-8."""
    data = value.encode("utf-8", "replace")
    return "".join(chr(byte) if 0x21 <= byte <= 0x7E and byte not in b'"%' else f"%{byte:02X}" for byte in data)


def bare(data: Any) -> bytes:
    """JSON text."""
    return to_json_text(data).encode()


def filled(template: Any, values: Values) -> Any:
    """A template with values in its places. A text that is one placeholder becomes its value, with its type."""
    if isinstance(template, tuple):
        if len(template) == 1 and isinstance(template[0], Placeholder):
            return values.value(template[0])
        return fill(template, values.text)
    if isinstance(template, dict):
        return {name: filled(item, values) for name, item in template.items()}
    if isinstance(template, list):
        return [filled(item, values) for item in template]
    return template


def compressed(body: bytes) -> bytes:
    """The body as gzip; the same bytes for the same body."""
    return gzip.compress(body, _LEVEL, mtime=0)
