"""``USE master`` and ``USE tempdb``: databases that exist by name. What would change their objects is refused."""

from __future__ import annotations

import re

from emulators.sql_server.parser.tree import (
    AlterAuthorization,
    AlterDatabase,
    AlterTable,
    CheckIdentity,
    CreateFunction,
    CreateIndex,
    CreateSchema,
    CreateTable,
    CreateType,
    CreateView,
    DropObjects,
    Name,
    PermissionStatement,
    PolicyStatement,
    PrincipalStatement,
    QueryStatement,
    SequenceStatement,
    Statement,
    TruncateTable,
)
from emulators.sql_server.storage.session import Session
from emulators.sql_server.values.errors import unsupported

_ALWAYS_OF_THE_DATABASE = (
    *(AlterAuthorization, CreateFunction, CreateSchema, CreateType, CreateView),
    *(PermissionStatement, PolicyStatement, SequenceStatement),
)


def refuse_elsewhere(session: Session, statement: Statement) -> None:
    """Raises SqlError 40517 where another database is the current one, and the statement would change what that one has."""
    current = session.other_database
    if current and _changes(statement):
        raise unsupported(f"{re.sub('(?<=[a-z])(?=[A-Z])', ' ', type(statement).__name__).upper()} in the database {current}")


def _changes(statement: Statement) -> bool:
    if isinstance(statement, _ALWAYS_OF_THE_DATABASE):
        return True
    if isinstance(statement, (AlterTable, CheckIdentity, CreateTable, TruncateTable)):
        return not _temporary(statement.name)
    if isinstance(statement, CreateIndex):
        return not _temporary(statement.table)
    if isinstance(statement, DropObjects):
        return not all(map(_temporary, [statement.on_table] if statement.on_table else statement.names))
    if isinstance(statement, QueryStatement):
        return bool(statement.into) and not _temporary(statement.into or ())
    if isinstance(statement, PrincipalStatement):
        return statement.kind != "LOGIN"
    return isinstance(statement, AlterDatabase) and not statement.database


def _temporary(name: Name) -> bool:
    return any(part.startswith("#") for part in name)
