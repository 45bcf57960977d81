"""Reading the values of claimed rows: within a budget of bytes, and past rows that cannot be read.

A computed column divides by zero: then the statement fails for all rows that it reads. The set is halved until such a row stands
alone, with its own error, and all others are read.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import Any

import msgspec
from msgspec import Struct

from rowpost.database.connection import Database, DatabaseError, Row
from rowpost.database.table import Table
from rowpost.rules.epoch import Seen, same_mark
from rowpost.rules.json_text import to_json
from rowpost.rules.row import CHANGING, FORGOTTEN, HIDDEN, ROW_BYTES_AT_MOST, ClaimedRow

READ_BYTES = 16 * 2**20  # of rows that are read at once, and are in memory until they are posted
NOTHING = -1  # the budget with which a claim reads no rows
_LOSSES_AT_MOST = 20  # connections lost in one reading: what is not read by then waits for another one
LOST = "the connection is lost when it is read"

Key = dict[str, Any]


class Reading(Struct):
    """What was read; all by the number of the row's key.

    Attributes:
        asked: the rows that were looked for.
        sizes: of those that exist, in bytes.
        values: of the rows that were read, a value for each column that may leave.
        missing: of those that are not there, what change tracking says.
        left: those that are there and do not meet the condition of the relay.
        unreadable: rows whose reading fails, and why.
        lost: rows at whose reading the connection is lost, and which stood alone. That is no proof against them.
        left_out: rows that are not read this time.
    """

    asked: set[int] = msgspec.field(default_factory=set)
    sizes: dict[int, int] = msgspec.field(default_factory=dict)
    values: dict[int, Row] = msgspec.field(default_factory=dict)
    missing: dict[int, Row] = msgspec.field(default_factory=dict)
    left: set[int] = msgspec.field(default_factory=set)
    unreadable: dict[int, str] = msgspec.field(default_factory=dict)
    lost: set[int] = msgspec.field(default_factory=set)
    left_out: set[int] = msgspec.field(default_factory=set)

    def add(self, keys: Sequence[Key], read: Sequence[Sequence[Row]], missing: Sequence[Row]) -> None:
        """Add what a statement has read: the result sets of read_within_budget.sql, of which the third is not always there."""
        sizes, values, *left = read
        self.left.update(number for rows in left for (number,) in rows)
        self.asked.update(key["number"] for key in keys)
        self.sizes.update((number, size) for number, size, _ in sizes)
        self.values.update((number, tuple(row)) for number, *row in values)
        self.missing.update((number, tuple(row)) for number, *row in missing)

    @property
    def bytes_left(self) -> int:
        """What is left of the budget, in bytes."""
        return READ_BYTES - sum(self.sizes[number] for number in self.values)


def read_rows(database: Database, table: Table, keys: Sequence[Key], seen: Seen) -> Reading:
    """Read as many of some rows as the budget allows, at least one.

    Args:
        database: the database.
        table: the table.
        keys: of the rows, numbered.
        seen: the database as the claim saw it; rows of another one are left unread, and such as may hold masks.

    Raises:
        DatabaseError: the database failed, and not for the sake of a row.
    """
    reading = Reading()
    statement = table.statement("read_rows")

    def read_some(some: Sequence[Key]) -> None:
        if reading.bytes_left > 0:
            found = database.run(statement, to_json(some), reading.bytes_left, ROW_BYTES_AT_MOST)
            *read, missing, ((mark, version),), masks = found
            goes_on = same_mark(mark, seen.mark) and version is not None and version >= (seen.version or 0)
            if goes_on and {name for (name,) in masks} == table.masks:
                reading.add(some, read, missing)
            else:
                reading.left_out.update(key["number"] for key in some)

    halve(read_some, keys, reading)
    return reading


def halve(read: Callable[[Sequence[Key]], None], keys: Sequence[Key], into: Reading) -> None:
    """Call ``read`` for keys; where it fails for the sake of one, call it for halves until each that fails stands alone.

    A statement that fails even for no keys at all is the failure of the database. If the connection is lost again and again, though
    the database works, the rest is left out.

    Raises:
        DatabaseError: the database failed.
    """
    losses, checked = 0, False
    sets = [keys]
    while sets:
        some = sets.pop()
        try:
            read(some)
        except DatabaseError as failure:
            losses += failure.lost
            if not (failure.by_a_row or failure.lost):
                raise
            if failure.lost or not checked:
                read([])
                checked = True
            if losses > _LOSSES_AT_MOST:
                into.left_out.update(key["number"] for key in [*some, *itertools.chain(*sets)])
                return
            if len(some) > 1:
                middle = len(some) // 2
                sets += [some[middle:], some[:middle]]
            elif failure.by_a_row:
                into.unreadable[some[0]["number"]] = failure.reason
            else:
                into.lost.add(some[0]["number"])


def take_values(table: Table, row: ClaimedRow, reading: Reading) -> None:
    """Give a row that was not read yet what was read of it: values, a size, why it cannot be read, or what became of it.

    To the target, one that does not meet the condition of the relay is one that was deleted; or nothing, if it never had the row.
    """
    number = row.number
    if not row.unread:
        return
    if number in reading.unreadable:
        row.unreadable, row.unread = reading.unreadable[number], False
    elif number in reading.values:
        values = reading.values[number]
        try:
            row.spell(table.key_of([values[place] for place in table.key_places]))
            row.values = {c.name: c.json_value(v) for c, v in zip(table.columns, values, strict=True)}
        except Exception as error:
            row.unreadable = type(error).__name__
        row.unread = False
    elif number in reading.left:
        row.values, row.unread, row.left = None, False, True
        row.ignored = row.new or table.relay.leaving == "ignore"
    elif number in reading.sizes:
        row.size = reading.sizes[number]
    elif number in reading.asked:
        found = reading.missing.get(number)
        row.values, row.unread, row.obstacle = None, False, obstacle(found)
        if found is not None and found[0] is not None:
            row.spell(table.key_of(found[3:]))


def obstacle(missing: Row | None) -> str:
    """Why nothing can be said of a row that is not there, from what change tracking says of it; empty if it is deleted."""
    if missing is None:
        return CHANGING  # it is there again
    operation, newer, nothing_hidden = missing[:3]
    if operation is None:
        return "" if nothing_hidden else FORGOTTEN
    if operation == "D":
        return ""
    return CHANGING if newer else HIDDEN
