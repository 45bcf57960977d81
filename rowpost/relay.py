"""The relay of one batch: claim, post, settle. The trigger's whole work, and the core of every redelivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from rowpost.app import App
from rowpost.claim import Claim, claim
from rowpost.delivery import Answer
from rowpost.envelope import build_event
from rowpost.settlement import Settlement, clear, early_settlement, settle, settle_row
from rowpost.tables import Table


class BatchFailed(Exception):
    """Rows of the batch are still to be delivered: the trigger must not release their leases."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a batch.

    Attributes:
        delivered: rows accepted by the target.
        skipped: rows that needed no posting (unwatched changes, rows that are dead already).
        failed: rows that will come again.
        exhausted: failed rows that used up the built-in attempts: recovery must plan them.
        dead: rows that went to the dead letters.
        recovered: delivered rows that recovery was looking after.
        unknown: keys of the payload that match no leased row: the payload may have rewritten them, so their leases stay.
        error: the reason of one of the failures.
    """

    delivered: int
    skipped: int
    failed: int
    exhausted: int
    dead: int
    recovered: int
    unknown: int
    error: str | None

    @property
    def complete(self) -> bool:
        """Whether the trigger may release the whole batch."""
        return not self.failed and not self.unknown

    @property
    def needs_recovery(self) -> bool:
        """Whether the recovery of the table has something to do: it must run."""
        return bool(self.exhausted or self.dead)

    @property
    def concerns_recovery(self) -> bool:
        """Whether the recovery of the table, if it runs, has something to learn."""
        return self.needs_recovery or bool(self.recovered)

    def raise_if_incomplete(self, table: str) -> None:
        """Raises:
        BatchFailed: rows are left; the message says how many and why, without row values.
        """
        if not self.complete:
            left = f"{self.failed} to be tried again" + (f", {self.unknown} not found under a lease" if self.unknown else "")
            raise BatchFailed(f"{table}: {self.delivered} rows delivered, {left}; last reason: {self.error or 'held for later'}")


def relay_batch(app: App, table_name: str, changes: str) -> Outcome:
    """Relay the rows of one trigger payload.

    Args:
        app: the app.
        table_name: the table's configured name.
        changes: the SQL trigger's payload, a JSON array.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; nothing is lost, the batch comes again.
    """
    table = app.table(table_name)
    claimed = claim(app.database, table, changes)
    settlements = post(app, table, claimed)
    outcome = summarize(settlements, claimed.unknown + sum(not row.leased for row in claimed.rows))
    if outcome.complete and not outcome.dead:
        clear(app.database, table, settlements)
    else:
        settle(app.database, table, settlements)
    return outcome


def post(app: App, table: Table, claimed: Claim) -> list[Settlement]:
    """Post the rows of a claim that are to be posted, and decide the fate of each row."""
    fates: dict[int, Settlement] = {}
    due = []
    for index, row in enumerate(claimed.rows):
        early = early_settlement(row)
        if early is None:
            due.append(index)
        else:
            fates[index] = early
    # First those that the circuit breaker always left out: else rows that always fail could keep them from ever being tried.
    due.sort(key=lambda index: (record := claimed.rows[index].record) is None or record.tried)
    downstream = app.config.downstream
    events = [
        build_event(table.name, claimed.rows[index], claimed.client_columns, claimed.now, downstream.source, downstream.format)
        for index in due
    ]
    answers: Sequence[Answer] = app.deliverer.deliver(events) if events else ()
    for index, answer in zip(due, answers, strict=True):
        fates[index] = settle_row(claimed.rows[index], answer, app.config.retry)
    return [fates[index] for index in range(len(claimed.rows))]


def summarize(settlements: Sequence[Settlement], unknown: int = 0) -> Outcome:
    """Count the fates of a batch."""
    errors = [s.answer.error for s in settlements if s.answer is not None and s.answer.error is not None]
    return Outcome(
        delivered=sum(s.delivered for s in settlements),
        skipped=sum(s.lease == "done" and s.answer is None for s in settlements),
        failed=sum(s.failed for s in settlements),
        exhausted=sum(s.state == "exhausted" for s in settlements),
        dead=sum(s.state == "dead" for s in settlements),
        recovered=sum(s.clears and s.row.record is not None and s.row.record.state != "retrying" for s in settlements),
        unknown=unknown,
        error=errors[-1] if errors else None,
    )
