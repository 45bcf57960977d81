"""The relay of one batch: claim, post, settle. The trigger's whole work, and the core of every redelivery."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from rowpost.app import App
from rowpost.claim import Claim, ClaimedRow, claim
from rowpost.delivery import Answer, Verdict
from rowpost.envelope import build_event
from rowpost.gate import GateChange, next_gate
from rowpost.settlement import Settlement, clear, early_settlement, gated_settlement, settle, settle_row
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
        gated: whether nothing was posted, since the target is known to be down: recovery knows when to look.
        awaited: whether recovery waits for what happened: nothing is left to look after, or the target works again.
    """

    delivered: int
    skipped: int
    failed: int
    exhausted: int
    dead: int
    recovered: int
    unknown: int
    error: str | None
    awaited: bool = False
    gated: bool = False

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
        return self.needs_recovery or self.awaited

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
    settlements, change = post(app, table, claimed)
    outcome = summarize(settlements, claimed.unknown + sum(not row.leased for row in claimed.rows))
    emptied = False
    if outcome.complete and not outcome.dead:
        emptied = clear(app.database, table, settlements, change)
    else:
        settle(app.database, table, settlements, change)
    return replace(outcome, awaited=emptied or (change is not None and change.opens), gated=claimed.gate.closed)


def post(app: App, table: Table, claimed: Claim, *, redelivered: bool = False) -> tuple[list[Settlement], GateChange | None]:
    """Post the rows of a claim that are to be posted, and decide the fate of each row and of the table's gate."""
    fates: dict[int, Settlement] = {}
    retry, due = app.config.retry, []
    for index, row in enumerate(claimed.rows):
        early = early_settlement(row)
        if early is None and claimed.gate.closed:
            gate = claimed.gate
            early = gated_settlement(row, gate) if gate.exhausts(retry) else settle_row(row, Answer(Verdict.UNTRIED), retry)
        if early is None:
            due.append(index)
        else:
            fates[index] = early
    due.sort(key=lambda index: _turn(claimed.rows[index], half_open=claimed.gate.round > 0))
    downstream = app.config.downstream
    events = [
        build_event(table.name, claimed.rows[index], claimed.client_columns, claimed.now, downstream.source, downstream.format)
        for index in due
    ]
    answers: Sequence[Answer] = app.deliverer.deliver(events) if events else ()
    for index, answer in zip(due, answers, strict=True):
        fates[index] = settle_row(claimed.rows[index], answer, retry, redelivered=redelivered)
    change = next_gate(claimed.gate, [fates[index] for index in due], app.config)
    if redelivered:
        fates = {index: fate.for_recovery() for index, fate in fates.items()}
    return [fates[index] for index in range(len(claimed.rows))], change


def _turn(row: ClaimedRow, *, half_open: bool) -> tuple[int, float]:
    """When a row's turn comes in its batch: rows that always fail must not keep the circuit breaker from letting others through.

    Who was left out before comes first, then who is new, then who waited longest; but while the gate is half open, who failed least
    for its own sake, since that row tells most about the target.
    """
    record = row.record
    if record is None:
        return 1, 0
    if record.tried_seconds is None:
        return 0, 0
    return 2, record.attempts if half_open else -record.tried_seconds


def summarize(settlements: Sequence[Settlement], unknown: int = 0) -> Outcome:
    """Count the fates of a batch."""
    errors = [s.answer.error for s in settlements if s.answer is not None and s.answer.error is not None]
    return Outcome(
        delivered=sum(s.delivered for s in settlements),
        skipped=sum(s.answer is None and not s.failed for s in settlements),
        failed=sum(s.failed for s in settlements),
        exhausted=sum(s.state == "exhausted" for s in settlements),
        dead=sum(s.state == "dead" for s in settlements),
        recovered=sum(s.clears and s.row.record is not None and s.row.record.state != "retrying" for s in settlements),
        unknown=unknown,
        error=errors[-1] if errors else None,
    )
