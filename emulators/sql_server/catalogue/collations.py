"""Collations by their names: which of the three of SQLite each is, and which of two wins."""

from __future__ import annotations

import re
from collections.abc import Iterable

from emulators.sql_server.values.errors import sql_error, unsupported
from emulators.sql_server.values.results import SqlError

DEFAULT_COLLATION = "SQL_Latin1_General_CP1_CI_AS"


class Collation(str):
    """CI, CS or BIN, the collations registered with SQLite, of a column or a COLLATE clause. A plain string is that of a variable,
    a constant or the like, which takes the collation of what it meets."""

    name: str
    explicit: bool

    @classmethod
    def named(cls, name: str, explicit: bool = False) -> Collation:
        """That of a name; '' and DATABASE_DEFAULT are the database's."""
        full = DEFAULT_COLLATION if not name or name.upper() == "DATABASE_DEFAULT" else name
        upper = full.upper()
        collation = cls("BIN" if "_BIN" in upper else "CS" if "_CS_" in upper else "CI")
        collation.name, collation.explicit = full, explicit
        return collation


def common_collation(collations: Iterable[str], operation: str) -> str:
    """COLLATE wins over columns, and columns over the rest. Raises SqlError 468 for two of one rank."""
    found: str = "CI"
    for collation in collations:
        if not isinstance(collation, Collation):
            found = collation if collation != "CI" and not isinstance(found, Collation) else found
        elif not isinstance(found, Collation) or collation.explicit > found.explicit:
            found = collation
        elif collation.explicit == found.explicit and collation.name.lower() != found.name.lower():
            raise sql_error(468, found.name, collation.name, operation)
    return found


_COLLATION = re.compile(
    r"(?P<language>\w+?)_(?:(?:CI|CS)_(?P<accents>AI|AS)(?P<more>(?:_KS)?(?:_WS)?(?:_VSS)?(?:_SC)?)|BIN2?)(?P<utf8>_UTF8)?",
    re.IGNORECASE | re.ASCII,
)
_LIKE_THE_DEFAULT = frozenset(
    {
        "latin1_general",
        "latin1_general_100",
        "sql_latin1_general_cp1",
        "french",
        "french_100",
        "modern_spanish",
        "modern_spanish_100",
    }
)
"""Languages whose letters are equal where those of Latin1_General are, with code page 1252."""


def check_collation(name: str | None) -> str:
    """The collation of a column for which this is written; '' is that of the database.

    Raises SqlError 448 for a name that is none, 40517 for a collation that compares or stores otherwise than those here."""
    if not name or name.upper() == "DATABASE_DEFAULT":
        return ""
    found = _COLLATION.fullmatch(name)
    if found is None:
        raise SqlError(448, f"Invalid collation '{name}'.")
    if found["utf8"] or found["more"] or (found["accents"] or "").upper() == "AI":
        raise unsupported(f"collation {name}")
    if found["language"].lower() not in _LIKE_THE_DEFAULT:
        raise unsupported(f"collation {name}")
    return name
