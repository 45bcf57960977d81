"""Tables, keys and rows to test with, and how a JSON text is read without losing a digit."""

from __future__ import annotations

import string
from typing import Any

import simplejson
from hypothesis import strategies as st

from rowpost.config.sections import RelayConfig
from rowpost.database.columns import TableColumn
from rowpost.database.table import Table
from rowpost.rules.json_text import JsonValue
from rowpost.rules.row import ClaimedRow

TEXTS = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**28), max_value=10**28, places=10)
VALUES = st.one_of(TEXTS, st.integers(-(2**63), 2**63 - 1), DECIMALS, st.booleans(), st.binary(max_size=16))
KEYS = st.dictionaries(st.text(string.ascii_letters, min_size=1, max_size=8), VALUES, min_size=1, max_size=4)


def table(key: tuple[TableColumn, ...], *columns: TableColumn) -> Table:
    return Table(RelayConfig(table="dbo.Orders", target="api"), "", key, (*key, *columns), None)


def column(name: str, type_name: str, max_length: int = 4, precision: int = 10, scale: int = 0) -> TableColumn:
    return TableColumn(name, type_name, max_length, precision, scale)


def row(version: int = 7, values: dict[str, JsonValue] | None = None, key: dict[str, JsonValue] | None = None) -> ClaimedRow:
    return ClaimedRow(key or {"OrderId": 1}, version, 1, True, values)


def exact(body: bytes | str) -> Any:
    return simplejson.loads(body, use_decimal=True)
