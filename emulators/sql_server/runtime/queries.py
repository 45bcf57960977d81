"""What the text of compiled queries calls: values that travel as text, TOP, the depth of a recursion."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from emulators.sql_server.values.errors import sql_error


def _top(count: int | None) -> int:
    if count is None:
        raise sql_error(1060)
    if count < 0:
        raise sql_error(127)
    return count


def _recursion(depth: int, limit: int) -> int:
    if limit and depth > limit:
        raise sql_error(530, limit)
    return depth


def _unhex(text: str | None) -> bytes | None:
    return None if text is None else bytes.fromhex(text)


def _real_text(value: float | None) -> str | None:
    return None if value is None else repr(value)


def _join_bytes(a: bytes | None, b: bytes | None) -> bytes | None:
    return None if a is None or b is None else a + b


def _first_bytes(value: bytes | None) -> bytes | None:
    """The lowest of the values that a binary equals: without zeros at its end."""
    return None if value is None else value.rstrip(b"\0")


def _last_bytes(value: bytes | None) -> bytes | None:
    """The highest of them, as long as a binary or varbinary may be."""
    return None if value is None else value.rstrip(b"\0") + bytes(max(8000, len(value)))


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_first_bytes": (1, _first_bytes),
    "k_last_bytes": (1, _last_bytes),
    "k_join_bytes": (2, _join_bytes),
    "k_top": (1, _top),
    "k_recursion": (2, _recursion),
    "k_unhex": (1, _unhex),
    "k_real_text": (1, _real_text),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
