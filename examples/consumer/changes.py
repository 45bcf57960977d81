"""What an event says, whatever its form: a CloudEvent or its bare data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from decimal import Decimal
from typing import Any


class NoChange(ValueError):
    """A document that is none of Rowpost's events."""


@dataclass(frozen=True)
class Change:
    """One event.

    ``operation`` is upsert, delete, resync-begun or resync-completed, or another word in a later version.
    """

    id: str | None
    source: str
    operation: str
    sequence: str
    row_key: str
    data: str | None


def read(document: Any) -> Change:
    """Read an event.

    Raises:
        NoChange: it is none.
    """
    if not isinstance(document, dict):
        raise NoChange("a JSON object is expected")
    change = document["data"] if "specversion" in document and "data" in document else document
    try:
        key, row = change.get("key"), change.get("row")
        row_key, data = "" if key is None else canonical(key), None if row is None else canonical(row)
        f"{row_key}{data}".encode()  # half a character cannot be kept; Rowpost never sends one
        return Change(
            id=document.get("id"),
            source=_text(change["table"]),
            operation=_text(change["operation"]),
            sequence=sequence(int(change["epoch"]), int(change["version"])),
            row_key=row_key,
            data=data,
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise NoChange(f"it is no event of Rowpost: {type(error).__name__}") from None


def sequence(epoch: int, version: int) -> str:
    """What orders the states of a row, as text; the same as the attribute of that name."""
    return f"{epoch:010d}.{version:020d}" if epoch else f"{version:020d}"


def canonical(value: Any) -> str:
    """JSON text that is the same for the same value, with all digits of its numbers."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{canonical(name)}:{canonical(value[name])}" for name in sorted(value)) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    return f"{value:f}" if isinstance(value, Decimal) else json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise NoChange("a text is expected")
    return value
