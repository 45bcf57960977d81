"""Errors of a statement: what they are called, and whether message 3621 follows."""

from __future__ import annotations

from collections.abc import Iterator

from emulators.sql_server.parser.tree import AlterTable, CreateIndex, Delete, Insert, Merge, QueryStatement, Statement, Update
from emulators.sql_server.values.errors import LONE_SURROGATE, sql_error, terminates_statement, unsupported
from emulators.sql_server.values.results import Event, SqlError

_CHANGES = (Insert, Update, Delete, Merge, AlterTable, CreateIndex)
_FOREIGN_KEY = 547


def with_named_limits(events: Iterator[Event | SqlError]) -> Iterator[Event | SqlError]:
    """Raises SqlError 40517 for text that SQLite cannot hold, 191 for what is nested too deeply."""
    try:
        yield from events
    except RecursionError:
        raise sql_error(191) from None
    except UnicodeEncodeError:
        raise unsupported(LONE_SURROGATE) from None


def is_terminated(statement: Statement, error: SqlError) -> bool:
    """Whether message 3621 follows the error, after which the batch goes on."""
    into = getattr(statement.query.body, "into", None) if isinstance(statement, QueryStatement) else None
    changes = isinstance(statement, _CHANGES) or into is not None
    if isinstance(statement, AlterTable) and error.number == _FOREIGN_KEY:
        return False
    return changes and terminates_statement(error)
