"""Which leases a renewal of the real extension finds: it sends each key value as a parameter, and dates as datetime."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from emulators.functions_host.sql_trigger.errors import DatabaseError
from emulators.functions_host.sql_trigger.table import KeyColumn

_MOST_PARAMETERS = 2100
_FIRST_DATETIME = "1753"
_HUNDREDTHS = re.compile(r"[^.]*(\.\d?\d?0*)?")  # as datetime2, which the lease table has, a datetime is exact only there


def renewed(rows: Sequence[tuple[Any, ...]], keys: Sequence[KeyColumn]) -> list[bool]:
    """Whether the lease of each row, given by its key values, is found.

    Raises:
        DatabaseError: the renewal fails as a whole.
    """
    if len(rows) * len(keys) >= _MOST_PARAMETERS:
        raise DatabaseError(
            f"The incoming request has too many parameters. The server supports a maximum of {_MOST_PARAMETERS} parameters.",
            number=8003,
        )
    places = [place for place, key in enumerate(keys) if key.type in ("date", "datetime2")]
    dates = [[str(row[place]) for place in places] for row in rows]
    if any(text < _FIRST_DATETIME for texts in dates for text in texts):
        raise DatabaseError("SqlDateTime overflow. Must be between 1/1/1753 12:00:00 AM and 12/31/9999 11:59:59 PM.")
    return [all(_HUNDREDTHS.fullmatch(text) for text in texts) for texts in dates]
