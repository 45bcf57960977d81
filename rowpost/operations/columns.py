"""The client-side columns: the downstream system's own choice, within the ceiling that the configuration sets.

It stands in ``rowpost.Relays``, where every claim reads it in the round trip that it makes anyway: a choice counts from the
first batch that is claimed after the API has confirmed it. The database also puts choices that are made at the same moment in one
order, which the durable entity of the table follows: it keeps the latest choice as its state.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from rowpost.app import App
from rowpost.database.table import Table, quoted_name
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


def chosen_columns(app: App, table: Table) -> list[str] | None:
    """The choice in force; None means all columns.

    Raises:
        DatabaseError: the database failed.
    """
    sql = "DECLARE @relay nvarchar(261) = ?; SELECT ClientColumns FROM rowpost.Relays WHERE Relay = @relay;"
    (rows,) = app.database.run(sql, table.name)
    return None if not rows or rows[0][0] is None else list(json.loads(rows[0][0]))


def effective_columns(app: App, table: Table) -> list[str]:
    """The columns that leave now: of the ceiling those that the choice in force names, and the key.

    Raises:
        DatabaseError: the database failed.
    """
    every, chosen = [column.name for column in table.columns], chosen_columns(app, table)
    if chosen is None:
        return every
    wanted = {name.lower() for name in chosen} | {column.name.lower() for column in table.key}
    return [name for name in every if name.lower() in wanted]


def choose(app: App, relay: str, columns: Sequence[str] | None) -> str:
    """Write the choice where claims read it; None means all columns.

    Returns:
        When it was made, by the database's clock (ISO 8601, UTC); of two choices the later one has the later text, always.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; the choice is unchanged.
    """
    choice = "" if columns is None else to_json(list(columns))
    (((chosen_at,),),) = app.database.run(app.table(relay).statement("choose_columns"), choice)
    return str(chosen_at)
