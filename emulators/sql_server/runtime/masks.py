"""Masks of changed columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulators.sql_server.values.results import SqlError


class MaskUnion:
    """SYS_CHANGE_COLUMNS of several changes: columns in the order in which they were first set; NULL when a change has no mask."""

    def __init__(self) -> None:
        self.columns: dict[int, None] = {}
        self.unknown = False

    def step(self, operation: str, mask: bytes | None) -> None:
        if mask is None or operation != "U":
            self.unknown = True
        else:
            for start in range(4, len(mask), 4):
                self.columns[int.from_bytes(mask[start : start + 4], "little", signed=True)] = None

    def finalize(self) -> bytes | None:
        return None if self.unknown or not self.columns else mask_of(list(self.columns))


def mask_of(columns: list[int]) -> bytes:
    """A change mask: four zero bytes, then each column id in four bytes."""
    return b"\0\0\0\0" + b"".join(number.to_bytes(4, "little", signed=True) for number in columns)


def _in_mask(column_id: int | None, mask: bytes | None) -> int | None:
    if column_id is None:
        return None
    if mask is None:
        return 1
    if len(mask) < 5:
        raise SqlError(22101, "The value is not a valid change mask.")
    return int(any(int.from_bytes(mask[i : i + 4], "little", signed=True) == column_id for i in range(4, len(mask) - 3, 4)))


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_in_mask": (2, _in_mask),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
