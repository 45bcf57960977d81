"""The client-side columns: the downstream system's own choice, within the ceiling that the configuration sets.

It stands in ``rowpost.Relays``, where every claim reads it in the round trip that it makes anyway: a choice counts from the
first batch that is claimed after the API has confirmed it. The database also puts choices that are made at the same moment in one
order, which the durable entity of the table follows: it keeps the latest choice as its state. It is told after the database, and
the database remembers of which choice it was told: what it has missed it is told by the watchdog.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from msgspec import Struct

from rowpost.app import App
from rowpost.database.table import Table, quoted_name
from rowpost.operations.audit import THE_APP, Order
from rowpost.rules.json_text import to_json


class ColumnsRefused(ValueError):
    """A choice of columns that cannot be taken; the text names the columns."""


def check_choice(table: Table, every_column: Sequence[str], wanted: object) -> list[str]:
    """The choice in the table's own spelling, without repeats.

    Args:
        table: the table, whose columns are the ceiling.
        every_column: all columns that the table has, to tell unknown ones from forbidden ones.
        wanted: what the client sent.

    Raises:
        ColumnsRefused: it is not a list of names, is empty, or names columns that are unknown or above the ceiling.
    """
    if not isinstance(wanted, list) or not all(isinstance(name, str) for name in wanted):
        raise ColumnsRefused('columns: expected a list of column names, such as {"columns": ["Id", "Total"]}')
    if not wanted:
        raise ColumnsRefused("columns: is empty; name columns, or DELETE the choice to receive all")
    ceiling = {column.name.lower(): column.name for column in table.columns}
    known = {name.lower() for name in every_column}
    unknown = [name for name in wanted if name.lower() not in known]
    if unknown:
        raise ColumnsRefused(f"columns: {table.name} has no column {', '.join(unknown)}; it may send {', '.join(ceiling.values())}")
    forbidden = [name for name in wanted if name.lower() not in ceiling]
    if forbidden:
        raise ColumnsRefused(
            f"columns: {', '.join(forbidden)} may not leave {table.name}; the server's ceiling is {', '.join(ceiling.values())}"
        )
    return list(dict.fromkeys(ceiling[name.lower()] for name in wanted))


def column_names(app: App, table: Table) -> list[str]:
    """All columns that the table has now."""
    sql = "DECLARE @table nvarchar(600) = ?; SELECT name FROM sys.columns WHERE object_id = OBJECT_ID(@table) ORDER BY column_id;"
    (rows,) = app.database.run(sql, quoted_name(table.relay.table))
    return [row[0] for row in rows]


class Choice(Struct, frozen=True):
    """A choice of columns in force.

    Attributes:
        columns: those that are chosen; None for all.
        chosen_at: when, by the database's clock (ISO 8601, UTC); of two choices the later one has the later text, always.
    """

    columns: list[str] | None
    chosen_at: str


def effective_columns(table: Table, columns: Sequence[str] | None) -> list[str]:
    """The columns that leave: of the ceiling those that are chosen, and the key."""
    every = [column.name for column in table.columns]
    if columns is None:
        return every
    wanted = {name.lower() for name in columns} | {column.name.lower() for column in table.key}
    return [name for name in every if name.lower() in wanted]


def chosen_columns(app: App, table: Table) -> list[str] | None:
    """The choice in force, which the next claim reads; None for all columns.

    Raises:
        DatabaseError: the database failed.
    """
    (rows,) = app.database.run("SELECT ClientColumns FROM rowpost.Relays WHERE Relay = ?;", table.name)
    return json.loads(rows[0][0]) if rows and rows[0][0] is not None else None


def choose(app: App, relay: str, columns: Sequence[str] | None, by: str = THE_APP) -> Choice:
    """Write the choice where claims read it, and the order into the audit; None means all columns.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the choice is unchanged.
    """
    choice = "" if columns is None else to_json(list(columns))
    order = Order("columns", relay, by, {"columns": None if columns is None else list(columns)})
    (((chosen_at,),),) = app.database.run(app.table(relay).statement("choose_columns"), *order.parameters, choice)
    return Choice(None if columns is None else list(columns), str(chosen_at))


def unstored_choice(app: App, relay: str) -> Choice | None:
    """The choice in force, if the durable entity was not told of it yet.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed.
    """
    (rows,) = app.database.run(app.table(relay).statement("unstored_choice"))
    if not rows:
        return None
    columns, chosen_at = rows[0]
    return Choice(None if columns is None else json.loads(columns), chosen_at)


def mark_stored(app: App, relay: str, choice: Choice) -> None:
    """Write down that the durable entity was told of a choice.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the entity is told once more.
    """
    app.database.run(app.table(relay).statement("mark_choice_stored"), choice.chosen_at)
