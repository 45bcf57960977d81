"""Aggregates that SQLite does not have."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from emulators.sql_server.values.datatypes import decimal_context, decode_decimal, encode_decimal
from emulators.sql_server.values.errors import sql_error
from emulators.sql_server.values.results import SqlError
from emulators.sql_server.values.utf16 import units

_CONTEXT = decimal_context()


class Single:
    """The only value of a scalar subquery. Raises SqlError 512 at the second."""

    def __init__(self) -> None:
        self.count, self.value = 0, None

    def step(self, value: Any) -> None:
        self.count += 1
        if self.count > 1:
            raise sql_error(512)
        self.value = value

    def finalize(self) -> Any:
        return self.value


class DecimalSum:
    """SUM of decimals; also over a window."""

    def __init__(self) -> None:
        self.total, self.count = Decimal(0), 0

    def step(self, value: str | None) -> None:
        if value is not None:
            self.total = _CONTEXT.add(self.total, decode_decimal(value))
            self.count += 1

    def inverse(self, value: str | None) -> None:
        if value is not None:
            self.total = _CONTEXT.subtract(self.total, decode_decimal(value))
            self.count -= 1

    def value(self) -> str | None:
        if not self.count:
            return None
        if self.total.copy_abs() >= Decimal(10) ** 38:
            raise sql_error(8115, "expression", "numeric")
        return encode_decimal(self.total)

    finalize = value


class StringAggregate:
    """STRING_AGG, with WITHIN GROUP's order: arguments are the limit, separator, value, then key and direction of each."""

    def __init__(self) -> None:
        self.separator, self.limit = "", -1
        self.rows: list[tuple[list[Any], str]] = []
        self.directions: list[int] = []

    def step(self, limit: int, separator: str | None, value: str | None, *order: Any) -> None:
        if value is None:
            return
        self.separator, self.limit = separator or "", limit
        self.directions = list(order[1::2])
        keys = [key.rstrip(" ").casefold() if isinstance(key, str) else key for key in order[0::2]]
        self.rows.append((keys, value))

    def finalize(self) -> str | None:
        if not self.rows:
            return None
        for place in range(len(self.directions) - 1, -1, -1):
            self.rows.sort(key=lambda row: (row[0][place] is not None, row[0][place]), reverse=bool(self.directions[place]))
        text = self.separator.join(value for _, value in self.rows)
        if 0 < self.limit < units(text):
            raise SqlError(
                9829, "STRING_AGG aggregation result exceeded the limit of 8000 bytes. Use LOB types to avoid result truncation."
            )
        return text
