"""Which types may be converted, united and compared: the tables in chart/ and the errors that they stand for.

The real server decides this by the two types alone, while it compiles. So a NULL of a type raises the error too.
"""

from __future__ import annotations

import csv
from pathlib import Path

from emulators.sql_server.values.datatypes import ASSEMBLY_TYPES, STRINGS, display, rank
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError, SqlType

Chart = dict[tuple[str, str], str]
"""By the names of two types."""

_NAMED_FIRST = (
    ("text", "ntext", "image"),
    ("xml",),
    ("date", "time", "datetime2", "datetimeoffset"),
    ("uniqueidentifier",),
    ("rowversion",),
    ("binary", "varbinary"),
)
"""In error 206 of a comparison the type of the earlier group comes first."""


def read_chart(name: str) -> Chart:
    """One table: ``conversions`` (from, to), ``unions`` or ``comparisons`` (left, right)."""
    with (Path(__file__).parent / "chart" / f"{name}.csv").open(encoding="ascii", newline="") as file:
        (_, *columns), *rows = csv.reader(file)
    return {(row, column): cell for row, *cells in rows for column, cell in zip(columns, cells, strict=True)}


CONVERSIONS = read_chart("conversions")
"""``implicit``, ``explicit`` (by CAST and CONVERT only) or ``none``."""
UNIONS = read_chart("unions")
"""Types that get a common one (CASE, UNION): ``ok`` or the number of the error."""
COMPARISONS = read_chart("comparisons")
"""Types that may be compared: ``ok`` or the number of the error."""


def named(kind: SqlType) -> str:
    """A type as these errors name it."""
    name = display(kind, False)
    return f"{name}(max)" if kind.length < 0 and name in ("varchar", "nvarchar", "varbinary") else name


def _is_large(kind: SqlType) -> bool:
    return kind.length < 0 and kind.name in ("varchar", "nvarchar", "varbinary")


def _conversion(source: SqlType, target: SqlType) -> str:
    if source.name == target.name or source.name in ASSEMBLY_TYPES or target.name in ASSEMBLY_TYPES:
        return "implicit"
    if target.name == "sql_variant" and _is_large(source):
        return "none"
    return CONVERSIONS.get((source.name, target.name), "implicit")


def require_implicit(source: SqlType, target: SqlType) -> None:
    """A value enters a column, a variable or a parameter. Raises SqlError 206, 257."""
    found = _conversion(source, target)
    if found != "implicit":
        raise sql_error(257 if found == "explicit" else 206, named(source), named(target))


def require_explicit(source: SqlType, target: SqlType) -> None:
    """CAST and CONVERT. Raises SqlError 529."""
    if _conversion(source, target) == "none":
        raise sql_error(529, named(source), named(target))


def require_union(left: SqlType, right: SqlType) -> None:
    """Raises SqlError 206, 257."""
    found = UNIONS.get((left.name, right.name), "ok")
    if found != "ok":
        lower, higher = sorted((left, right), key=lambda kind: (kind.name == "xml", rank(kind.name)))
        raise sql_error(int(found), named(lower), named(higher))


def require_comparison(left: SqlType, right: SqlType, operator: str) -> None:
    """``operator`` in words. Raises SqlError 206, 257, 305, 402."""
    found = COMPARISONS.get((left.name, right.name), "ok")
    if found == "ok":
        return
    if found == "402":
        raise sql_error(402, named(left), named(right), operator)
    if found == "305":
        raise SqlError(305, "The XML data type cannot be compared or sorted, except when using the IS NULL operator.")
    if found == "257":
        source, target = (left, right) if left.name in STRINGS else (right, left)
        raise sql_error(257, named(source), named(target))
    first, second = sorted((left, right), key=_place)
    raise sql_error(206, named(first), named(second))


def _place(kind: SqlType) -> int:
    return next((place for place, names in enumerate(_NAMED_FIRST) if kind.name in names), len(_NAMED_FIRST))
