"""The claim: one round trip that turns a trigger payload into rows worth posting.

The payload of the SQL trigger is a signal that carries keys. Its values are not used: decimals went through double, offsets and
date-like strings were rewritten, and it has no change version. What is posted is read here, after the lease's change version: so
the version that an event carries is never newer than its data. Where even a key may be rewritten, the leases say which rows were
handed out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from decimal import Decimal
from typing import Any

from msgspec import Struct

from rowpost.database.connection import Database, DatabaseError, Row
from rowpost.database.ledger import fetch_records
from rowpost.database.table import Table
from rowpost.relay.changed import tell_changed
from rowpost.relay.matching import doubtful_numbers, hand_out
from rowpost.relay.reading import LOST, NOTHING, READ_BYTES, Reading, halve, obstacle, read_rows, take_values
from rowpost.rules.circuit_breaker import CircuitBreaker
from rowpost.rules.epoch import Seen
from rowpost.rules.json_text import JsonValue, to_json
from rowpost.rules.lease import REDELIVERED_VERSION
from rowpost.rules.row import CHANGING, ROW_BYTES_AT_MOST, ClaimedRow, key_text

Redelivered = tuple[int, int, str | None]
"""Of a row: the version of its event, the one that is tracked, and the resync for whose sake it is sent."""

_READS = 3  # at most, while a row changes at each


class Claim(Struct):
    """A claimed batch.

    Attributes:
        rows: the rows that are to be settled. Those that are beyond the budget are not read yet: see :func:`read_more`.
        unknown: how many changes of the payload have no row of their own here: they match neither a lease, nor a tracked change,
            nor a row; or only one that another change has; or they are in somebody else's hands.
        now: the server's clock, UTC.
        client_columns: the columns that the downstream system narrowed the table to, or None for all.
        breaker: the table's circuit breaker.
        keys: what reads each row, by number.
        epoch: the relay's.
        seen: what tells whether the change versions go on.
        masked: whether other columns are masked than when the table was looked up: what was read may be masks.
        paused: whether the relay is paused: nothing is to be posted.
    """

    rows: list[ClaimedRow]
    unknown: int
    now: datetime
    client_columns: list[str] | None
    breaker: CircuitBreaker
    keys: dict[int, dict[str, Any]]
    epoch: int
    seen: Seen
    masked: bool = False
    paused: bool = False


class _Look(Struct):
    """What one claim brought: the result sets of claim.sql that need no reading of values, and the values."""

    leases: dict[int, Row]
    facts: Row
    in_hand: list[Row]
    rows: list[Row]
    missing: dict[int, Row]
    reading: Reading | None
    masked: bool = False


def payload_keys(table: Table, changes: str) -> list[dict[str, Any]]:
    """The keys of a trigger payload, numbered; decimals keep the digits that are left in the text."""
    return numbered_keys(table, [change["Item"] for change in json.loads(changes, parse_float=Decimal)])


def numbered_keys(table: Table, items: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The keys of rows, numbered, as the claim sends them; numbers with a fraction are given as ``Decimal``."""
    return [{"number": i, "key": {c.name: c.json_value(item.get(c.name)) for c in table.key}} for i, item in enumerate(items)]


def claim(database: Database, table: Table, changes: str) -> Claim:
    """Claim the batch of a trigger payload: one round trip, and a second one only if the table has anything in the ledger.

    Some more follow if the payload names other rows than those that were handed out, or if a row cannot be read.

    Raises:
        DatabaseError: the database cannot be reached, or refuses.
    """
    keys = payload_keys(table, changes)
    doubtful = doubtful_numbers(table, keys)
    look = _look(database, table, keys, doubtful=bool(doubtful))
    if not doubtful:
        return _claim(database, table, keys, look)
    handed_out = hand_out(table, keys, look.in_hand)
    if handed_out is None:  # nothing is done for them: the batch fails, and the watchdog adopts them by their true keys
        sure = [key for key in keys if key["number"] not in doubtful]
        found = _claim(database, table, sure, look)
        found.unknown += len(doubtful)
        return found
    if handed_out.as_named:
        return _claim(database, table, keys, look)
    return claim_keys(database, table, handed_out.keys)


def claim_keys(
    database: Database, table: Table, keys: list[dict[str, Any]], redelivered: Sequence[Redelivered] | None = None
) -> Claim:
    """Claim rows by numbered keys (see :func:`numbered_keys`); see :func:`claim`.

    Args:
        database: the database.
        table: the table.
        keys: of the rows.
        redelivered: for rows that recovery has leased, by number. Rows whose lease is another's, the trigger's or recovery's, are
            unknown here.
    """
    return _claim(database, table, keys, _look(database, table, keys), redelivered)


def look_at(database: Database, table: Table, keys: list[dict[str, Any]]) -> Claim:
    """What a claim of these rows would find now. Nothing is written, and rows that are in anybody's hands are found too.

    Raises:
        DatabaseError: the database failed, or a key is none of this table's.
    """
    look = _look(database, table, keys, looking=True)
    for number, (version, count, leased, tracked, _, *lease_key) in sorted(look.leases.items()):
        by_recovery = version == REDELIVERED_VERSION
        look.leases[number] = (tracked if by_recovery else version, count, leased, tracked, 0, *lease_key)
    return _claim(database, table, keys, look)


def _look(database: Database, table: Table, keys: list[dict[str, Any]], *, doubtful: bool = False, looking: bool = False) -> _Look:
    """One claim, whatever happens at the reading of values: there are none in the result then. ``looking``: nothing is written."""
    statement, failed = table.statement("claim", **table.to_look) if looking else table.statement("claim"), False
    try:
        results = database.run(statement, to_json(keys), int(doubtful), READ_BYTES, ROW_BYTES_AT_MOST)
    except DatabaseError as error:
        failed, results = True, error.results
        if not results and not error.lost and not looking:  # the statement as a whole: it has not looked after the leases
            with suppress(DatabaseError):
                database.run(table.statement("guard"))
        if len(results) < _BEFORE_VALUES:
            keys = _true_keys(database, table, keys, error)
            results = database.run(statement, to_json(keys), int(doubtful), NOTHING, ROW_BYTES_AT_MOST)
    leases, (facts,), in_hand, rows, missing, *values = results[: None if not failed else _BEFORE_VALUES]
    reading, masked = None if failed else Reading(), False
    if reading is not None:
        *read, masks = values
        masked = {name for (name,) in masks} != table.masks
        if read:
            reading.add(keys, read, missing)
    return _Look({row[0]: row[1:] for row in leases}, facts, in_hand, rows, {row[0]: row[1:] for row in missing}, reading, masked)


_BEFORE_VALUES = 5  # result sets of the claim that need no value of a row


def _true_keys(database: Database, table: Table, keys: list[dict[str, Any]], failure: DatabaseError) -> list[dict[str, Any]]:
    """The keys that can be keys of the table. A rewritten number may have become too large for its column, and fails them all."""
    if failure.lost:
        return keys
    if not failure.by_a_row:
        raise failure
    statement, reading = table.statement("read_keys"), Reading()

    def read(some: Sequence[dict[str, Any]]) -> None:
        database.run(statement, to_json(some))

    halve(read, keys, reading)
    if not reading.unreadable:
        raise failure
    return [key for key in keys if key["number"] not in reading.unreadable]


def _claim(
    database: Database,
    table: Table,
    keys: list[dict[str, Any]],
    look: _Look,
    redelivered: Sequence[Redelivered] | None = None,
) -> Claim:
    """The rows of some keys, from what a look has brought; what it could not read is read here."""
    now, newest, has_ledger, choice, epoch, mark, look_number, paused, *breaker = look.facts
    by_number = {key["number"]: key for key in keys}
    rows: dict[str, ClaimedRow] = {}
    masks: dict[int, bytes] = {}
    for number, exists, skipped_by, mask, new, *values in look.rows:
        lease_version, attempt_count, leased, tracked_version, in_other_hands, *lease_key = look.leases[number]
        gone = lease_version is None and tracked_version is None and not exists
        if number not in by_number or gone or in_other_hands:
            continue
        if (lease_version == REDELIVERED_VERSION) != (redelivered is not None):
            continue
        version = lease_version if lease_version is not None else tracked_version or 0
        missing = look.missing.get(number)
        try:
            # What SQL Server takes for the same key may be another one to the target.
            key, claimed_key, former = _spellings(table, values, bool(exists), missing, lease_key)
            row = ClaimedRow(key, version, attempt_count or 0, bool(leased), {} if exists else None, skipped_by, number=number)
            row.rename(claimed_key, former)
        except Exception:  # a key that cannot be written as JSON names no row to anybody
            continue
        row.new = bool(new)
        row.unread, row.obstacle = bool(exists), "" if exists else obstacle(missing)
        if redelivered is not None:
            row.version, row.tracked_version, row.snapshot = redelivered[number]
        if mask is not None:
            masks[number] = mask
        # One change alone is its own: the trigger would release the other's row.
        rows.setdefault(key_text(row.key) if former else row.key_text, row)
    claimed = list(rows.values())
    found = Claim(
        claimed,
        len(keys) - len(claimed),
        now,
        json.loads(choice) if choice else None,
        CircuitBreaker(*(value or 0 for value in breaker)),
        by_number,
        epoch,
        Seen(mark, look_number, newest),
        look.masked,
        bool(paused),
    )
    if look.masked:
        return found
    wanted = [row for row in claimed if not row.stopped]
    if look.reading is not None:
        _take(table, found, look.reading, wanted)
    wanted = [row for row in wanted if row.obstacle == CHANGING or (row.unread and look.reading is None)]
    if wanted:
        read_more(database, table, found, wanted)
    if has_ledger:
        records = fetch_records(database, table, [row.key_hash for row in claimed])
        for row in claimed:
            record = records.get(row.key_hash)
            row.recall(record)
            # A resync's version is later than the row's own. One that was not there when the values were read is another worker's.
            if record is not None and record.live and row.version <= record.version <= newest:
                row.version, row.snapshot = record.version, record.snapshot
    if masks:
        tell_changed(database, table, claimed, masks)
    return found


def read_more(database: Database, table: Table, claimed: Claim, rows: Sequence[ClaimedRow]) -> None:
    """Read rows that the claim has not read, as many as the budget allows; again, if they change meanwhile.

    If the database was replaced since the claim, they are left as they are: their versions are not those of the data any more.

    Raises:
        DatabaseError: the database failed.
    """
    for _ in range(_READS):
        for row in rows:
            if row.obstacle == CHANGING:
                row.obstacle, row.values, row.unread = "", {}, True
        _take(table, claimed, read_rows(database, table, [claimed.keys[row.number] for row in rows], claimed.seen), rows)
        rows = [row for row in rows if row.obstacle == CHANGING]
        if not rows:
            return


def _take(table: Table, claimed: Claim, reading: Reading, rows: Sequence[ClaimedRow]) -> None:
    """Give rows what was read of them. Rows that were not read are left as they are, under their leases.

    So are those at which the connection is lost, unless recovery has leased them: it tries them again after a pause, and they
    do not keep others from their turn.
    """
    left_out = set(reading.left_out)
    for row in rows:
        if row.number in reading.lost and row.lease_version == REDELIVERED_VERSION:
            row.unreadable, row.unread = LOST, False
        elif row.number in reading.lost:
            left_out.add(row.number)
        take_values(table, row, reading)
        row.recall(row.record)
    claimed.rows = [row for row in claimed.rows if row.number not in left_out]
    claimed.unknown += len(left_out)


def _spellings(
    table: Table, values: list[Any], exists: bool, missing: Row | None, leased: list[Any]
) -> tuple[dict[str, JsonValue], dict[str, JsonValue], tuple[dict[str, JsonValue], ...]]:
    """The key as the target is to know it, as it was handed out, and other spellings that were handed out before.

    To SQL Server ``abc`` and ``ABC`` may be one key, and likewise two that differ in trailing blanks.
    """
    width = len(table.key)
    claimed = values[:width]
    tracked = missing[3:] if missing is not None and missing[0] is not None else claimed
    now = values[width:] if exists else tracked
    key = table.key_of(now)
    if list(now) == claimed and (leased == claimed or not any(value is not None for value in leased)):  # nearly always
        return key, key, ()
    handed_out = table.key_of(claimed)
    others = {key_text(handed_out): handed_out}
    if any(value is not None for value in leased):
        before = table.key_of(leased)
        others[key_text(before)] = before
    others.pop(key_text(key), None)
    return key, handed_out, tuple(others.values())
