"""STRING_SPLIT and GENERATE_SERIES: their rows travel as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from decimal import Context, Decimal
from typing import Any

from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError
from emulators.sql_server.values.utf16 import units

_EXACT = Context(prec=100)


def _string_split(text: str | None, separator: str | None) -> str:
    """Rows [value, ordinal] of STRING_SPLIT."""
    if separator is None or units(separator) != 1:
        raise sql_error(214, "separator", "nchar(1)/nvarchar(1)")
    if text is None:
        return "[]"
    return json.dumps([[part, position] for position, part in enumerate(text.split(separator), 1)])


def _generate_series(start: str | None, stop: str | None, step: str | None) -> str:
    """Rows [value] of GENERATE_SERIES, as texts; without a step it counts towards the end. Raises SqlError 4199."""
    if start is None or stop is None or step is None:
        return "[]"
    value, last = Decimal(start), Decimal(stop)
    by = Decimal(step) if step else Decimal(1 if value <= last else -1)
    if by == 0:
        raise SqlError(4199, "Argument value 0 is invalid for argument 3 of _generate_series function.")
    rows = []
    while (value <= last) if by > 0 else (value >= last):
        rows.append([f"{value:f}"])
        value = _EXACT.add(value, by)
    return json.dumps(rows)


FUNCTIONS: dict[str, tuple[int, Callable[..., Any]]] = {
    "k_string_split": (2, _string_split),
    "k_generate_series": (3, _generate_series),
}
"""Number of arguments and implementation of each, by its name in SQLite."""
