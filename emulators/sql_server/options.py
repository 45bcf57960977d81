"""SET options of a session."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .catalogue import Table
from .compile_dml import StatementCompiler
from .errors import sql_error, unsupported
from .syntax import SetOption, TableSource, Variable

if TYPE_CHECKING:
    from .engine import Session

_ISOLATION = frozenset({"READ UNCOMMITTED", "READ COMMITTED", "REPEATABLE READ", "SNAPSHOT", "SERIALIZABLE"})
_MUST_BE_ON = frozenset(
    {"ANSI_NULLS", "ANSI_PADDING", "ANSI_WARNINGS", "QUOTED_IDENTIFIER", "CONCAT_NULL_YIELDS_NULL", "ANSI_DEFAULTS"}
)
_EITHER = frozenset(
    {
        "ARITHABORT",
        "ANSI_NULL_DFLT_ON",
        "ANSI_NULL_DFLT_OFF",
        "DEADLOCK_PRIORITY",
        "TEXTSIZE",
        "LANGUAGE",
        "CURSOR_CLOSE_ON_COMMIT",
        "FORCEPLAN",
        "REMOTE_PROC_TRANSACTIONS",
        "QUERY_GOVERNOR_COST_LIMIT",
    }
)
_MUST_BE_OFF = frozenset(
    {"NUMERIC_ROUNDABORT", "IMPLICIT_TRANSACTIONS", "FMTONLY", "NOEXEC", "PARSEONLY", "ARITHIGNORE", "XACT_ABORT_OFF"}
)


def set_option(session: Session, node: SetOption) -> None:
    """Raises SqlError 40517 where the other setting would change results."""
    for name in node.names:
        value = node.value
        if name == "NOCOUNT":
            session.nocount = value == "ON"
        elif name == "XACT_ABORT":
            session.xact_abort = value == "ON"
        elif name == "TRANSACTION ISOLATION LEVEL":
            if value not in _ISOLATION:
                raise sql_error(102, value)
            session.store.isolation = value
        elif name == "LOCK_TIMEOUT":
            number = session.interpreter.frame.values.get(value.name) if isinstance(value, Variable) else int(value)
            session.lock_timeout = -1 if number is None else number
            session.store.lock_timeout_seconds = None if session.lock_timeout < 0 else session.lock_timeout / 1000
        elif name == "IDENTITY_INSERT":
            _identity_insert(session, node)
        elif name == "ROWCOUNT":
            if value != 0:
                raise unsupported("SET ROWCOUNT")
        elif name == "DATEFIRST":
            if value != 7:
                raise unsupported(f"SET DATEFIRST {value}")
        elif name == "DATEFORMAT":
            if str(value).upper() != "MDY":
                raise unsupported(f"SET DATEFORMAT {value}")
        elif name in _MUST_BE_ON:
            if value != "ON":
                raise unsupported(f"SET {name} OFF")
        elif name in _MUST_BE_OFF:
            if value != "OFF":
                raise unsupported(f"SET {name} ON")
        elif name not in _EITHER:
            raise sql_error(195, name)


def _identity_insert(session: Session, node: SetOption) -> None:
    table: Table = StatementCompiler(session.interpreter.unit()).target_table(TableSource(node.table))
    if table.identity is None:
        raise sql_error(8106, table.name)
    if node.value == "OFF":
        if session.identity_insert == table.object_id:
            session.identity_insert = 0
    elif session.identity_insert and session.identity_insert != table.object_id:
        raise sql_error(8107, str(session.identity_insert), table.full_name)
    else:
        session.identity_insert = table.object_id
