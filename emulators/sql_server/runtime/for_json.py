"""FOR JSON: rows become objects, and objects an array."""

from __future__ import annotations

from typing import Any

from emulators.sql_server.runtime.json import Number, dump, load


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
        holder[last] = value if value is None or kind == "t" else load(value) if value[:1] in "[{" else Number(value)
    return dump(row)


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
        return f"{{{dump(self.root)}:{text}}}" if self.rooted else text
