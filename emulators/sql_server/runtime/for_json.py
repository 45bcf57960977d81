"""FOR JSON: rows become objects, and objects an array."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.runtime.json import Number, dump, load
from emulators.sql_server.values.utf16 import cut, units


def json_row(names: str, kinds: str, include_nulls: int, *values: Any) -> str:
    """One object of FOR JSON; a dot in a name nests."""
    row: dict[str, Any] = {}
    for name, kind, value in zip(load(names), kinds, values, strict=True):
        if value is None and not include_nulls:
            continue
        holder = row
        *parents, last = name.split(".")
        for parent in parents:
            holder = holder.setdefault(parent, {})
        holder[last] = value if value is None or kind == "t" else Number(value)
    return dump(row, escape_slash=True)


_PIECE_UNITS = 2033


def pieces(text: str | None) -> list[tuple[Any, ...]]:
    """The rows in which a long text arrives; the client joins them."""
    if text is None:
        return []
    return [(cut(text, start, start + _PIECE_UNITS),) for start in range(0, units(text), _PIECE_UNITS)]


class JsonRows:
    """The array of FOR JSON."""

    def __init__(self) -> None:
        self.rows: list[str] = []
        self.root, self.bare, self.rooted = "", 0, 0

    def step(self, row: str, root: str, bare: int, rooted: int) -> None:
        self.rows.append(row)
        self.root, self.bare, self.rooted = root, bare, rooted

    def finalize(self) -> str | None:
        if not self.rows:
            return None
        body = ",".join(self.rows)
        text = body if self.bare else f"[{body}]"
        return f"{{{dump(self.root, escape_slash=True)}:{text}}}" if self.rooted else text
