"""Walks over the syntax tree."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from emulators.sql_server.parser.tree import ColumnRef, FunctionCall, Node, Query
from emulators.sql_server.values.results import SqlType

_LEAVES = (str, int, bool, SqlType, type(None))


def deep_walk(node: Any) -> Iterator[Node]:
    """The node and everything below it, also in subqueries."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node):
            yield node
            waiting += [getattr(node, name) for name in reversed(node.__dataclass_fields__)]  # type: ignore[attr-defined]
        elif isinstance(node, (list, tuple)):
            waiting += reversed(node)


def walk(node: Any) -> Iterator[Node]:
    """The node and everything below it, without entering subqueries."""
    waiting = [node]
    while waiting:
        node = waiting.pop()
        if isinstance(node, Node):
            yield node
            values = [getattr(node, name) for name in reversed(node.__dataclass_fields__)]  # type: ignore[attr-defined]
            waiting += [value for value in values if value.__class__ not in _LEAVES and not isinstance(value, Query)]
        elif isinstance(node, (list, tuple)):
            waiting += reversed(node)


def is_sequential_id(node: Node) -> bool:
    """NEWSEQUENTIALID(), which only a DEFAULT may be, and only as a whole."""
    return isinstance(node, FunctionCall) and node.name == "NEWSEQUENTIALID" and not node.arguments


def columns_in(node: Node) -> set[str]:
    """Lower-case names of all columns that an expression or query names."""
    return {part.parts[-1].lower() for part in deep_walk(node) if isinstance(part, ColumnRef)}
