"""Which columns of a row have changed since the target last took it, as far as change tracking knows.

It gives a mask of the columns that were updated since a base up to which all is delivered. So these are at least the columns that
have changed. What a mask means only the database can say: each one is read once, and remembered.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from rowpost.database.connection import Database
from rowpost.database.table import Table
from rowpost.rules.json_text import to_json
from rowpost.rules.row import ClaimedRow

_REMEMBERED = 1000  # masks of one table


def tell_changed(database: Database, table: Table, rows: Sequence[ClaimedRow], masks: Mapping[int, bytes]) -> None:
    """Write down what has changed in rows, where it is known.

    It is not of a row that failed before, since the base may be past the state that the target has; nor of one whose key is spelled
    anew, since the target takes it for another one.

    Args:
        database: the database.
        table: the table.
        rows: as they were claimed, with what the ledger knows of them.
        masks: of changed columns, by the number of the row's key.

    Raises:
        DatabaseError: the database failed.
    """
    known = table.known_masks
    told = [row for row in rows if row.number in masks and row.skipped_by is None and row.record is None and not row.former]
    new = {masks[row.number] for row in told} - known.keys()
    if new:
        if len(known) + len(new) > _REMEMBERED:
            known.clear()
            new = {masks[row.number] for row in told}
        _read(database, table, list(new))
    for row in told:
        row.changed = known.get(masks[row.number])


def _read(database: Database, table: Table, masks: Sequence[bytes]) -> None:
    asked = [{"number": number, "mask": mask} for number, mask in enumerate(masks)]
    (found,) = database.run(table.statement("read_masks"), to_json(asked))
    columns: dict[int, set[str]] = {number: set(table.unseen) for number in range(len(masks))}
    for number, name in found:
        columns[number].add(name)
    for number, mask in enumerate(masks):
        table.known_masks[mask] = tuple(c.name for c in table.columns if c.name in columns[number])
