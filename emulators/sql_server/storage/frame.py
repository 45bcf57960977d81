"""The variables of one batch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from emulators.sql_server.values.results import SqlType

_TYPE_KEYS: dict[tuple[int, str, SqlType], int] = {}


@dataclass(slots=True)
class Frame:
    """Variables of one batch."""

    values: dict[str, Any] = field(default_factory=dict)
    """Inner forms, by name."""
    types: dict[str, SqlType] = field(default_factory=dict)
    types_key: int = 0
    tables: list[str] = field(default_factory=list)
    """Table variables declared here."""
    dynamic: bool = False

    def declare(self, name: str, kind: SqlType, value: Any) -> None:
        self.types[name] = kind
        self.values[name] = value
        self.types_key = _TYPE_KEYS.setdefault((self.types_key, name, kind), len(_TYPE_KEYS) + 1)
