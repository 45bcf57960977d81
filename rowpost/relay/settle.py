"""Writing down what became of a batch: leases, ledger and circuit breaker together, as the last thing before the batch raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rowpost.database.connection import Database
from rowpost.database.table import Table
from rowpost.rules.circuit_breaker import BreakerChange
from rowpost.rules.error_class import error_class
from rowpost.rules.fate import Fate
from rowpost.rules.json_text import to_json
from rowpost.rules.lease import PARKED_COUNT

_UNCHANGED = (-1, 0, 0, 0, 0)


def settle(
    database: Database,
    table: Table,
    fates: Sequence[Fate],
    epoch: int,
    change: BreakerChange | None = None,
    *,
    redelivered: bool = False,
    trace: str | None = None,
) -> None:
    """Write the fate of a batch's rows: one transaction, the same number of statements for any number of rows.

    Args:
        database: the database.
        table: the table.
        fates: of the rows.
        epoch: as the claim saw it.
        change: of the circuit breaker.
        redelivered: whether recovery posted the rows.
        trace: the id of the trace in which they were posted, 32 hexadecimal digits; None if they were not.

    Raises:
        DatabaseError: nothing was written, such as in another epoch; the leases lapse and the rows come again.
    """
    rows = to_json([_row_json(fate) for fate in fates])
    database.run(table.statement("settle"), rows, int(redelivered), epoch, trace, *_breaker(change))


def clear(database: Database, table: Table, fates: Sequence[Fate], epoch: int, change: BreakerChange | None = None) -> bool:
    """Drop the ledger records of delivered rows; all that a batch without a failure has to write, if anything.

    Raises:
        DatabaseError: nothing was written, such as in another epoch than the claim's; the rows come again.

    Returns:
        Whether that left nothing for recovery to look after.
    """
    rows = [{"keyHash": fate.row.key_hash, "version": fate.row.version, "clears": 1} for fate in fates if fate.clears]
    if not rows and change is None:
        return False
    ((row,),) = database.run(table.statement("clear"), to_json(rows), epoch, *_breaker(change))
    return bool(rows) and not row[0]


def _breaker(change: BreakerChange | None) -> tuple[int, int, int, int, int]:
    if change is None:
        return _UNCHANGED
    breaker = change.breaker
    return breaker.failures, breaker.openings, breaker.open_seconds, change.seen_openings, change.added


def _row_json(fate: Fate) -> dict[str, Any]:
    row, answer = fate.row, fate.answer
    return {
        "key": row.key,
        "keyHash": row.key_hash,
        "rowKey": row.key_text,
        "version": row.version,
        "leaseVersion": row.lease_version,
        "trackedVersion": row.tracked_version,
        "attemptCount": PARKED_COUNT if row.stopped else row.attempt_count,  # as the guard has left it
        "lease": fate.lease,
        "waitSeconds": fate.wait_seconds,
        "operation": "D" if row.deleted else "U",
        "state": fate.state,
        "attempts": fate.attempts,
        "retryAfterSeconds": answer.retry_after_seconds if answer else None,
        "status": answer.status if answer else None,
        "error": answer.error if answer else None,
        "class": error_class(answer.status, answer.error) if answer and fate.state is not None else None,
        "clears": int(fate.clears),
        "snapshot": row.snapshot,
        "milliseconds": answer.milliseconds if answer else None,
        "tried": int(answer is not None and answer.tried),
    }
