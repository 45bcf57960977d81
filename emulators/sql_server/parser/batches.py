"""The parser of T-SQL: text → statements.

Written for this purpose because a general parser drops clauses it does not know; here whatever is not understood is an error.
"""

from __future__ import annotations

from emulators.sql_server.parser.ddl import DdlParser
from emulators.sql_server.parser.tree import Expression, Query, Statement


class Parser(DdlParser):
    """All parts together."""


def parse_batch(sql: str) -> list[Statement]:
    """The statements of a batch. Raises SqlError 102, 156, 40517 and the like, with the line."""
    return Parser(sql).batch()


def _whole(parser: Parser) -> None:
    parser.accept(";")
    if parser.token.kind != "end":
        raise parser.syntax_error()


def parse_expression(sql: str) -> Expression:
    """One scalar expression, as in a DEFAULT."""
    parser = Parser(sql)
    value = parser.expression()
    _whole(parser)
    return value


def parse_condition(sql: str) -> Expression:
    """One condition, as in a CHECK."""
    parser = Parser(sql)
    value = parser.condition()
    _whole(parser)
    return value


def parse_query(sql: str) -> Query:
    """One query, as in a view."""
    parser = Parser(sql)
    value = parser.query()
    _whole(parser)
    return value
