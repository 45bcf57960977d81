"""Collations by their names: which of the two of SQLite each is."""

from __future__ import annotations

import re

from emulators.sql_server.values.errors import unsupported
from emulators.sql_server.values.results import SqlError

DEFAULT_COLLATION = "SQL_Latin1_General_CP1_CI_AS"


def sqlite_collation(collation: str) -> str:
    """CI or CS, the two collations registered with SQLite."""
    upper = collation.upper()
    return "CS" if "_BIN" in upper or "_CS_" in upper else "CI"


_COLLATION = re.compile(
    r"\w+_(?:(?:CI|CS)_(?P<accents>AI|AS)(?:_KS)?(?:_WS)?(?:_VSS)?(?P<supplementary>_SC)?|BIN2?)(?P<utf8>_UTF8)?",
    re.IGNORECASE | re.ASCII,
)


def check_collation(name: str | None) -> str:
    """The collation of a column for which this is written; '' is that of the database.

    Raises SqlError 448 for a name that is none, 40517 for a collation that compares or stores otherwise than those here."""
    if not name or name.upper() == "DATABASE_DEFAULT":
        return ""
    found = _COLLATION.fullmatch(name)
    if found is None:
        raise SqlError(448, f"Invalid collation '{name}'.")
    if found["utf8"] or found["supplementary"] or "_140_" in name or (found["accents"] or "").upper() == "AI":
        raise unsupported(f"collation {name}")
    return name
