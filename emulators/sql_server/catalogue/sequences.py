"""Sequences and alias types, as the catalogue keeps them."""

from __future__ import annotations

from dataclasses import dataclass

from emulators.sql_server.values.datatypes import INTEGER_RANGES
from emulators.sql_server.values.results import SqlError, SqlType

BIGINT_RANGE = INTEGER_RANGES["bigint"]
FIRST_ALIAS_ID = 257


@dataclass(slots=True)
class Sequence:
    """A sequence. Which value was given last is kept where identity values are: a rollback does not take it back."""

    object_id: int
    schema: str
    name: str
    type: SqlType
    start: int
    increment: int
    minimum: int
    maximum: int
    cycling: bool = False
    cached: bool = True
    cache_size: int | None = None
    created: str = ""
    modified: str = ""

    @property
    def full_name(self) -> str:
        return f"{self.schema}.{self.name}"

    def after(self, last: int | None) -> int:
        """The value that follows ``last``, which is None before the first. Raises SqlError 11728."""
        if last is None:
            return self.start
        value = last + self.increment
        if self.minimum <= value <= self.maximum:
            return value
        if not self.cycling:
            raise SqlError(
                11728,
                f"The sequence object '{self.name}' has reached its minimum or maximum value. Restart the sequence object to allow "
                "new values to be generated.",
            )
        return self.minimum if self.increment > 0 else self.maximum


@dataclass(slots=True)
class AliasType:
    """A type made by CREATE TYPE … FROM."""

    user_type_id: int
    schema: str
    name: str
    base: SqlType
    nullable: bool = True


def range_of(kind: SqlType) -> tuple[int, int]:
    """The values that a sequence of the type may have."""
    if kind.name in INTEGER_RANGES:
        return INTEGER_RANGES[kind.name]
    most = 10**kind.precision - 1
    return max(-most, BIGINT_RANGE[0]), min(most, BIGINT_RANGE[1])
