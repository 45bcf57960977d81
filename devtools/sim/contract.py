"""The invariant that each request is what the schema of its relay says."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

from devtools.contracts import Contract, broken
from devtools.sim.judging import Violation
from devtools.sim.lane import Lane
from devtools.sim.plan import Settings, clock_text
from devtools.sim.record import Record, key_text
from rowpost.config.sections import RelayConfig
from rowpost.database.columns import TableColumn
from rowpost.database.table import Table
from rowpost.target.shape import Shape


def columns_of(settings: Settings) -> tuple[TableColumn, ...]:
    """The columns of the table that scenario.py makes, as the app finds them in the catalogue; those of the key first."""
    number, text = ("int", 4, 10, 0), ("nvarchar", 80, 0, 0)
    found = [TableColumn("Region", "nvarchar", 20, 0, 0, False)] if settings.key == "pair" else []
    found += [TableColumn("Id", *number, False), TableColumn("Note", *text), TableColumn("Total", "decimal", 13, 20, 4)]
    found += [TableColumn("Extra", *number), TableColumn("Secret", *text)]
    found += [TableColumn("Divisor", *number, False), TableColumn("Ratio", *number)] if settings.computed else []
    return tuple(found)


@lru_cache(64)
def _contract(columns: tuple[TableColumn, ...], key_length: int, name: str, table: str, *, narrowed: bool) -> Contract:
    key = columns[:key_length]
    relay = RelayConfig(table=table, name=name)
    return Contract(Table(relay, "", key, columns, None), Shape(table), narrowed=narrowed)


def contract_of(settings: Settings, lane: Lane, *, narrowed: bool = False) -> Contract:
    """The contract of a relay of a plan."""
    allowed = {*settings.key_columns, *settings.ceiling}
    columns = tuple(column for column in columns_of(settings) if column.name in allowed)
    return _contract(columns, len(settings.key_columns), lane.relay.name, lane.table, narrowed=narrowed)


def contract(record: Record) -> Iterator[Violation]:
    """(3) Each request, taken or not, is what the schema of its relay says."""
    known = contract_of(record.plan.settings, record.lane, narrowed=bool(record.choices))
    for attempt, why in broken([each for each in record.attempts if each.body is not None], [known]):
        key = key_text(attempt.key) if isinstance(attempt.key, dict) else None
        yield Violation("contract", f"{why}, at {clock_text(record.at(attempt.at))}", key)
