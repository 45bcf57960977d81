"""Which masked columns the values of a query come from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager

from emulators.sql_server.catalogue.masking import DEFAULT, Mask
from emulators.sql_server.catalogue.model import quote_text
from emulators.sql_server.compiler.scope import Typed


def combined(masks: list[Mask], doubt: str = "") -> Mask | None:
    """The mask of an expression over masked values: that of its type."""
    if not masks:
        return None
    sources = frozenset[tuple[int, int]]().union(*(mask.sources for mask in masks))
    return Mask(DEFAULT, sources, doubt or next((mask.doubt for mask in masks if mask.doubt), ""))


class MaskedReads:
    """The masked columns that were named since somebody asked.

    A condition, an ordering or a grouping reads what is stored, and hands no value on.
    """

    def __init__(self) -> None:
        self.values: list[Mask] = []
        self.tests: list[Mask] = []

    @contextmanager
    def no_value(self, test: bool = False) -> Iterator[None]:
        """What is read inside is not handed on; ``test``: it decides which value is."""
        start = len(self.values)
        yield
        if len(self.values) > start:
            if test:
                self.tests += self.values[start:]
            del self.values[start:]

    def taken(self, start: int) -> list[Mask]:
        """The values read since the list had ``start`` elements."""
        found = self.values[start:]
        if found:
            del self.values[start:]
        return found


def masked_sql(sql: str, typed: Typed) -> str:
    """A value as the user of the session reads it; the text is asked at each execution who that is."""
    if typed.mask is None or typed.type is None:
        return sql
    kind = [typed.type.name, typed.type.length, typed.type.precision, typed.type.scale]
    key = json.dumps([typed.mask.function, sorted(typed.mask.sources), kind])
    return f"k_masked({sql}, {quote_text(key)})"
