"""The variables that a batch declares."""

from __future__ import annotations

from collections.abc import Iterator

from emulators.sql_server.parser.tree import Block, Declare, If, Statement, TryCatch, While
from emulators.sql_server.values.results import SqlType


def declarations_in(statements: list[Statement]) -> Iterator[Declare]:
    """All DECLARE statements, also nested ones, in order."""
    for statement in statements:
        if isinstance(statement, Declare):
            yield statement
        elif isinstance(statement, If):
            yield from declarations_in([statement.then] + ([statement.otherwise] if statement.otherwise else []))
        elif isinstance(statement, While):
            yield from declarations_in([statement.body])
        elif isinstance(statement, Block):
            yield from declarations_in(statement.body)
        elif isinstance(statement, TryCatch):
            yield from declarations_in(statement.body)
            yield from declarations_in(statement.handler)


def widened(kind: SqlType) -> SqlType:
    """Drivers declare strings by the length of each value: one plan for all of them."""
    if kind.name == "nvarchar" and 0 < kind.length < 4000:
        return SqlType("nvarchar", 4000)
    if kind.name == "varchar" and 0 < kind.length < 8000:
        return SqlType("varchar", 8000)
    return kind
