"""The ledger: one record per row that is not yet delivered. Only failures write it; it is the truth about what is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rowpost.database.connection import Database
from rowpost.database.table import Table
from rowpost.rules.json_text import to_json
from rowpost.rules.row import LedgerRecord

CHUNK_ROWS = 2000  # of one statement that changes many; from 5,000 locks on SQL Server locks the whole table, for all others too


def fetch_records(database: Database, table: Table, hashes: Sequence[str]) -> dict[str, LedgerRecord]:
    """The records of the rows with these key hashes, by hash."""
    (rows,) = database.run(table.statement("fetch_records"), to_json(list(hashes)))
    return {key: LedgerRecord(*values) for key, *values in rows}


def rename_records(database: Database, table: Table, renamed: Sequence[Mapping[str, str]]) -> None:
    """Give records the present spelling of their keys: ``oldHash``, ``keyHash`` and ``rowKey`` of each."""
    database.run(table.statement("rename_records"), to_json(list(renamed)))


def change_in_chunks(database: Database, sql: str, *parameters: Any) -> int:
    """Repeat a batch that changes at most :data:`CHUNK_ROWS` records, and selects how many, until there are none left.

    Returns:
        How many were changed.

    Raises:
        DatabaseError: the database failed; each chunk was changed wholly or not at all.
    """
    total = 0
    while changed := int(database.run(sql, *parameters)[0][0][0]):
        total += changed
    return total
