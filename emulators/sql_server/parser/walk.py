"""Walks over the syntax tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulators.sql_server.parser.tree import ColumnRef, Node, Query
from emulators.sql_server.values.results import SqlType


def deep_walk(node: Any) -> Iterator[Node]:
    """The node and everything below it, also in subqueries."""
    if isinstance(node, Node):
        yield node
        for name in node.__dataclass_fields__:  # type: ignore[attr-defined]
            yield from deep_walk(getattr(node, name))
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from deep_walk(item)


def walk(node: Any) -> Iterator[Node]:
    """The node and everything below it, without entering subqueries."""
    if isinstance(node, Node):
        yield node
        for name in node.__dataclass_fields__:  # type: ignore[attr-defined]
            value = getattr(node, name)
            if value.__class__ in (str, int, bool, SqlType) or value is None or isinstance(value, Query):
                continue
            yield from walk(value)
    elif isinstance(node, (list, tuple)):
        for item in node:
            yield from walk(item)


def columns_in(node: Node) -> set[str]:
    """Lower-case names of all columns that an expression or query names."""
    return {part.parts[-1].lower() for part in deep_walk(node) if isinstance(part, ColumnRef)}
