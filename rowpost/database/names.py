"""Names and texts as T-SQL writes them."""

from __future__ import annotations


def quote(name: str) -> str:
    """A SQL Server identifier in brackets."""
    return "[" + name.replace("]", "]]") + "]"


def literal(text: str) -> str:
    """A Unicode string literal of T-SQL."""
    return "N'" + text.replace("'", "''") + "'"
