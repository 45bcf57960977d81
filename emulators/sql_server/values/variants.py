"""sql_variant: a value with its base type, kept as one text."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from emulators.sql_server.values.datatypes import (
    BINARIES,
    INT,
    STRINGS,
    SYSNAME,
    max_length_bytes,
    precision_scale,
    to_external,
)
from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlType, Variant

_WIDEST, _VARYING = 8000, frozenset({"nvarchar", "varchar", "varbinary"})
_NO_BASE = frozenset({"text", "ntext", "image", "xml", "rowversion", "geography", "geometry", "hierarchyid"})


def packer(source: SqlType) -> Callable[[Any], str]:
    """What makes a sql_variant of an inner form. Raises SqlError 206."""
    if source.name in _NO_BASE or source.length < 0:
        shown = f"{source.name}(max)" if source.length < 0 and source.name not in _NO_BASE else source.name
        raise sql_error(206, shown, "sql_variant")
    head = [source.name, source.length, source.precision, source.scale]
    return lambda value: json.dumps([head, value.hex() if isinstance(value, bytes) else value])


@lru_cache(maxsize=1024)
def unpacked(text: str) -> tuple[SqlType, Any]:
    """Base type and inner form."""
    head, value = json.loads(text)
    kind = SqlType(*head)
    return kind, bytes.fromhex(value) if kind.name in BINARIES else value


def external(text: str) -> Variant:
    """The form of results.py."""
    kind, value = unpacked(text)
    convert = to_external(kind)
    return Variant(kind, convert(value) if convert is not None else value)


def variant_property(text: str | None, name: str | None, collation: str) -> str | None:
    """SQL_VARIANT_PROPERTY, itself a sql_variant."""
    if text is None or name is None:
        return None
    kind, _ = unpacked(text)
    precision, scale = precision_scale(kind)
    lower = name.strip().lower()
    if lower == "basetype":
        return packer(SYSNAME)(kind.name)
    if lower == "collation":
        return packer(SYSNAME)(collation) if kind.name in STRINGS else None
    if lower == "maxlength" and max_length_bytes(kind) == _WIDEST and kind.name in _VARYING:
        raise unsupported("SQL_VARIANT_PROPERTY MaxLength where it may be that of a parameter")  # parameters are widened
    numbers = {"precision": precision, "scale": scale, "maxlength": max_length_bytes(kind)}
    return packer(INT)(numbers[lower]) if lower in numbers else None
