"""The claim: one round trip that turns a trigger payload into rows worth posting.

The payload of the SQL trigger is a signal that carries keys. Its values are not used: decimals went through double, offsets and
date-like strings were rewritten, and it has no change version. What is posted is read here, after the lease's change version: so
the version that an event carries is never newer than its data.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from rowpost.database.connection import Database, Row
from rowpost.database.ledger import fetch_records
from rowpost.database.table import Table
from rowpost.rules.circuit_breaker import CircuitBreaker
from rowpost.rules.json_text import JsonValue, to_json
from rowpost.rules.lease import REDELIVERED_VERSION
from rowpost.rules.row import CHANGING, FORGOTTEN, HIDDEN, ClaimedRow, key_text

_READS = 3  # at most, while a row changes at each


class Claim(Struct):
    """A claimed batch.

    Attributes:
        rows: the rows that are to be settled.
        unknown: how many keys of the payload are not: they match neither a lease, nor a tracked change, nor a row; or they are in
            somebody else's hands.
        now: the server's clock, UTC.
        client_columns: the columns that the downstream system narrowed the table to, or None for all.
        breaker: the table's circuit breaker.
    """

    rows: list[ClaimedRow]
    unknown: int
    now: datetime
    client_columns: list[str] | None
    breaker: CircuitBreaker


def payload_keys(table: Table, changes: str) -> list[dict[str, Any]]:
    """The keys of a trigger payload, numbered; decimals keep the digits that are left in the text."""
    return numbered_keys(table, [change["Item"] for change in json.loads(changes, parse_float=Decimal)])


def numbered_keys(table: Table, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The keys of rows, numbered, as the claim sends them; numbers with a fraction are given as ``Decimal``."""
    return [{"number": i, "key": {c.name: c.json_value(item.get(c.name)) for c in table.key}} for i, item in enumerate(items)]


def claim(database: Database, table: Table, changes: str) -> Claim:
    """Claim the batch of a trigger payload: one round trip, and a second one only if the table has anything in the ledger.

    Raises:
        DatabaseError: the database cannot be reached, or refuses.
    """
    return claim_keys(database, table, payload_keys(table, changes))


def claim_keys(
    database: Database, table: Table, keys: list[dict[str, Any]], redelivered: Sequence[tuple[int, int]] | None = None
) -> Claim:
    """Claim rows by numbered keys (see :func:`numbered_keys`); see :func:`claim`.

    Args:
        database: the database.
        table: the table.
        keys: of the rows.
        redelivered: for rows that recovery has leased, by number: the version of the event, and the one that is tracked. Rows
            whose lease is another's, the trigger's or recovery's, are unknown here.
    """
    for _ in range(_READS):
        leases, data, missing, ((now, newest, has_ledger, choice, *breaker),) = database.run(
            table.statement("claim"), to_json(keys)
        )
        missing_of = {row[0]: row[1:] for row in missing}
        if all(row[1] or _obstacle(missing_of.get(row[0]), newest) != CHANGING for row in data):
            break
    lease_of = {row[0]: row[1:] for row in leases}
    rows: list[ClaimedRow] = []
    unknown = 0
    width = len(table.key)
    for number, exists, watched, *values in data:
        lease_version, attempt_count, leased, tracked_version, in_other_hands, *lease_key = lease_of[number]
        gone = lease_version is None and tracked_version is None and not exists
        if gone or in_other_hands or (lease_version == REDELIVERED_VERSION) != (redelivered is not None):
            unknown += 1
            continue
        version = lease_version if lease_version is not None else tracked_version or 0
        # What SQL Server takes for the same key may be another one to the target.
        key, claimed_key, former = _spellings(table, values, bool(exists), missing_of.get(number), lease_key)
        current = {c.name: c.json_value(v) for c, v in zip(table.columns, values[width:], strict=True)} if exists else None
        row = ClaimedRow(key, version, attempt_count or 0, bool(leased), current, bool(watched), number=number)
        row.rename(claimed_key, former)
        row.obstacle = "" if exists else _obstacle(missing_of.get(number), newest)
        if redelivered is not None:
            row.version, row.tracked_version = redelivered[number]
        rows.append(row)
    if has_ledger:
        records = fetch_records(database, table, [row.key_hash for row in rows])
        for row in rows:
            record = records.get(row.key_hash)
            row.recall(record)
            # A resync's version is later than the row's own. One that was not there when the values were read is another worker's.
            if record is not None and record.live and record.version <= newest:
                row.version = max(row.version, record.version)
    return Claim(rows, unknown, now, json.loads(choice) if choice else None, CircuitBreaker(*(value or 0 for value in breaker)))


def _obstacle(found: Row | None, newest: int) -> str:
    """Why nothing can be said of a row that is not there; empty if it is deleted."""
    if found is None:
        return CHANGING  # it is there again
    operation, version, nothing_hidden = found[:3]
    if operation is None:
        return "" if nothing_hidden else FORGOTTEN
    if operation == "D":
        return ""
    return CHANGING if version > newest else HIDDEN


def _spellings(
    table: Table, values: Sequence[Any], exists: bool, missing: Row | None, leased: Sequence[Any]
) -> tuple[dict[str, JsonValue], dict[str, JsonValue], tuple[dict[str, JsonValue], ...]]:
    """The key as the target is to know it, as it was handed out, and other spellings that were handed out before.

    To SQL Server ``abc`` and ``ABC`` may be one key, and likewise two that differ in trailing blanks.
    """
    width = len(table.key)
    claimed = values[:width]
    tracked = missing[3:] if missing is not None and missing[0] is not None else claimed
    now = [values[width + place] for place in table.key_places] if exists else tracked
    key, handed_out = table.key_of(now), table.key_of(claimed)
    others = {key_text(handed_out): handed_out}
    if any(value is not None for value in leased):
        before = table.key_of(leased)
        others[key_text(before)] = before
    others.pop(key_text(key), None)
    return key, handed_out, tuple(others.values())
