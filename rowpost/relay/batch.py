"""The relay of one batch: claim, post, settle. The trigger's whole work, and the core of every redelivery."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from rowpost.app import App
from rowpost.database.table import Table
from rowpost.relay.claim import Claim, claim
from rowpost.relay.settle import clear, settle
from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.circuit_breaker import BreakerChange, next_breaker
from rowpost.rules.fate import Fate, fate_before_posting, fate_behind_open_breaker, fate_of_answer
from rowpost.rules.lifecycle import Event, State
from rowpost.rules.row import ClaimedRow
from rowpost.target.event import build_event


class BatchFailed(Exception):
    """Rows of the batch are still to be delivered: the trigger must not release their leases."""


class Outcome(Struct, frozen=True):
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
        breaker_open: whether nothing was posted, since the circuit breaker is open: recovery knows when to look.
        emptied: whether nothing is left for recovery to look after.
        closed: whether the batch has shown that the target works: rows that waited for it are due, in all its relays.
    """

    delivered: int
    skipped: int
    failed: int
    exhausted: int
    dead: int
    recovered: int
    unknown: int
    error: str | None
    emptied: bool = False
    closed: bool = False
    breaker_open: bool = False

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
        return self.needs_recovery or self.emptied

    def raise_if_incomplete(self, relay: str) -> None:
        """Raises:
        BatchFailed: rows are left; the message says how many and why, without row values.
        """
        if not self.complete:
            left = f"{self.failed} to be tried again" + (f", {self.unknown} not found under a lease" if self.unknown else "")
            raise BatchFailed(f"{relay}: {self.delivered} rows delivered, {left}; last reason: {self.error or 'held for later'}")


def relay_batch(app: App, relay: str, changes: str) -> Outcome:
    """Relay the rows of one trigger payload.

    Args:
        app: the app.
        relay: its name.
        changes: the SQL trigger's payload, a JSON array.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; nothing is lost, the batch comes again.
    """
    table = app.table(relay)
    claimed = claim(app.database, table, changes)
    fates, change = post(app, table, claimed)
    outcome = summarize(fates, claimed.unknown + sum(not row.leased for row in claimed.rows))
    emptied = False
    if outcome.complete and not outcome.dead:
        emptied = clear(app.database, table, fates, change)
    else:
        settle(app.database, table, fates, change)
    closed = change is not None and change.closes
    return replace(outcome, emptied=emptied, closed=closed, breaker_open=claimed.breaker.open)


def post(app: App, table: Table, claimed: Claim, *, redelivered: bool = False) -> tuple[list[Fate], BreakerChange | None]:
    """Post the rows of a claim that are to be posted, and decide the fate of each row and of the table's circuit breaker."""
    fates: dict[int, Fate] = {}
    policy, breaker, due = app.config.retry.policy, claimed.breaker, []
    for index, row in enumerate(claimed.rows):
        early = fate_before_posting(row)
        if early is None and row.obstacle:
            early = fate_of_answer(row, Answer(Verdict.TRANSIENT, error=row.obstacle), policy, redelivered=redelivered)
        if early is None and breaker.open and breaker.exhausts(policy):
            early = fate_behind_open_breaker(row, breaker.open_seconds)
        elif early is None and breaker.open:
            early = fate_of_answer(row, Answer(Verdict.UNTRIED), policy)
        if early is None:
            due.append(index)
        else:
            fates[index] = early
    due.sort(key=lambda index: _turn(claimed.rows[index], half_open=breaker.half_open))
    target = app.config.target(table.relay.target)
    events = [
        build_event(table.relay.table, claimed.rows[index], claimed.client_columns, claimed.now, target.source, target.format)
        for index in due
    ]
    answers: Sequence[Answer] = app.deliverers[target.name].deliver(events) if events else ()
    for index, answer in zip(due, answers, strict=True):
        fates[index] = fate_of_answer(claimed.rows[index], answer, policy, redelivered=redelivered)
    change = next_breaker(
        breaker,
        [fates[index] for index in due],
        policy,
        threshold=target.breaker_failures,
        probe_seconds=round(target.probe.seconds),
    )
    ordered = [fates[index] for index in range(len(claimed.rows))]
    return [fate.by_recovery() for fate in ordered] if redelivered else ordered, change


def _turn(row: ClaimedRow, *, half_open: bool) -> tuple[int, float]:
    """When a row's turn comes in its batch: rows that always fail must not keep others from being tried before the batch stops.

    Who was left out before comes first, then who is new, then who waited longest; but while the breaker is half-open, who failed
    least for its own sake, since that row tells most about the target.
    """
    record = row.record
    if record is None:
        return 1, 0
    if record.tried_seconds is None:
        return 0, 0
    return 2, record.attempts if half_open else -record.tried_seconds


def summarize(fates: Sequence[Fate], unknown: int = 0) -> Outcome:
    """Count the fates of a batch."""
    errors = [fate.answer.error for fate in fates if fate.answer is not None and fate.answer.error is not None]
    return Outcome(
        delivered=sum(fate.delivered for fate in fates),
        skipped=sum(fate.event is Event.SKIPPED for fate in fates),
        failed=sum(fate.failed for fate in fates),
        exhausted=sum(fate.state is State.EXHAUSTED for fate in fates),
        dead=sum(fate.state is State.DEAD for fate in fates),
        recovered=sum(fate.clears and fate.row.record is not None and fate.row.record.state != State.RETRYING for fate in fates),
        unknown=unknown,
        error=errors[-1] if errors else None,
    )
