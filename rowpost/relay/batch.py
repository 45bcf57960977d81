"""The relay of one batch: claim, post, settle. The trigger's whole work, and the core of every redelivery."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

from msgspec import Struct
from msgspec.structs import replace

from rowpost.app import App
from rowpost.database.connection import DatabaseError
from rowpost.database.table import Table
from rowpost.database.trigger_limits import seconds_to_post
from rowpost.relay.claim import Claim, claim, read_more
from rowpost.relay.settle import clear, settle
from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.backoff import RetryPolicy
from rowpost.rules.circuit_breaker import BreakerChange, CircuitBreaker, next_breaker
from rowpost.rules.fate import (
    Fate,
    attempts_with,
    fate_before_posting,
    fate_behind_open_breaker,
    fate_of_answer,
    fate_of_unfit,
    fate_of_values,
    fate_while_paused,
    refusal_is_final,
    unreadable,
)
from rowpost.rules.lifecycle import Event, State
from rowpost.rules.row import ClaimedRow
from rowpost.target.event import Event as PostedEvent
from rowpost.target.event import build_event
from rowpost.target.request import Unfit
from rowpost.target.time_budget import TimeBudget
from rowpost.target.under_way import Care
from rowpost.telemetry.journal import Journal


class BatchFailed(Exception):
    """Rows of the batch are still to be delivered: the trigger must not release their leases."""


class Outcome(Struct, frozen=True):
    """What became of a batch. Each of its rows is delivered, skipped, failed, handed back, dead or paused.

    Attributes:
        delivered: rows accepted by the target.
        skipped: rows that needed no posting (changes that are left out, rows that are dead already).
        failed: rows that the ledger has as failed now; they will come again.
        handed_back: rows that were not tried, and come again as they were.
        exhausted: those of the failed rows that used up the built-in attempts: recovery must plan them.
        dead: rows that went to the dead letters.
        recovered: those of the delivered rows that recovery was looking after.
        unknown: keys of the payload that match no leased row: the payload may have rewritten them, so their leases stay.
        error: the reason of one of the failures.
        expired: other rows, whose window was over: they are dead letters now.
        breaker_open: whether nothing was posted, since the circuit breaker is open: recovery knows when to look.
        emptied: whether nothing is left for recovery to look after.
        closed: whether the batch has shown that the target works: rows that waited for it are due, in all its relays.
        slow: whether a redelivery took so long that rows which failed meanwhile are to be planned before the next one.
        doubted: whether nothing was posted, since the database may be another one than before: its life is to be looked at.
        paused: rows that wait in the ledger until the relay is resumed.
    """

    delivered: int = 0
    skipped: int = 0
    failed: int = 0
    handed_back: int = 0
    exhausted: int = 0
    dead: int = 0
    recovered: int = 0
    unknown: int = 0
    error: str | None = None
    expired: int = 0
    emptied: bool = False
    closed: bool = False
    breaker_open: bool = False
    slow: bool = False
    doubted: bool = False
    paused: int = 0

    @property
    def complete(self) -> bool:
        """Whether the trigger may release the whole batch."""
        return not self.left and not self.unknown

    @property
    def left(self) -> int:
        """Rows that are still to be delivered."""
        return self.failed + self.handed_back

    @property
    def rows(self) -> int:
        """All rows of the batch."""
        return self.settled + self.left + self.paused

    @property
    def settled(self) -> int:
        """Rows that are done with."""
        return self.delivered + self.skipped + self.dead

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
            left = f"{self.left} to be tried again" + (f", {self.unknown} not found under a lease" if self.unknown else "")
            raise BatchFailed(f"{relay}: {self.delivered} rows delivered, {left}; last reason: {self.error or 'held for later'}")


def relay_batch(app: App, relay: str, changes: str, journal: Journal | None = None) -> Outcome:
    """Relay the rows of one trigger payload.

    Args:
        app: the app.
        relay: its name.
        changes: the SQL trigger's payload, a JSON array.
        journal: takes each request.

    Raises:
        ConfigError: the table cannot be relayed.
        DatabaseError: the database failed; nothing is lost, the batch comes again.
    """
    table = app.table(relay)
    known = app.life.known
    claimed = claim(app.database, table, changes)
    if claimed.masked or not app.life.goes_on(known, claimed.seen):
        return hand_back(app, table, claimed)
    fates, change = post(app, table, claimed, journal)
    outcome = summarize(fates, claimed.unknown + sum(not row.leased for row in claimed.rows))
    emptied = False
    # A lease that outlived such a record would hand the row out again, under the older version: both end together.
    if outcome.complete and not outcome.dead and not outcome.paused and not any(fate.raised for fate in fates):
        emptied = clear(app.database, table, fates, claimed.epoch, change)
    else:
        settle(app.database, table, fates, claimed.epoch, change, trace=journal.trace_id if journal else None)
    closed = change is not None and change.closes
    return replace(outcome, emptied=emptied, closed=closed, breaker_open=claimed.breaker.open)


def hand_back(app: App, table: Table, claimed: Claim, *, redelivered: bool = False) -> Outcome:
    """Post nothing of a claim, and count no attempt.

    The database may be another one, in which the same versions say other things. Or columns were masked: the table is looked up
    anew. If that cannot be written, the leases lapse.
    """
    if claimed.masked:
        app.forget(table.name)
    fates = [Fate(row, Event.HANDED_BACK, redelivered=redelivered) for row in claimed.rows if row.leased and not row.stopped]
    with suppress(DatabaseError):
        settle(app.database, table, fates, claimed.epoch, redelivered=redelivered)
    left = claimed.unknown + len(claimed.rows) - len(fates)
    error = "columns of the table were masked" if claimed.masked else "the database may have been restored or replaced"
    return replace(summarize(fates, left), doubted=not claimed.masked, error=error)


def post(
    app: App, table: Table, claimed: Claim, journal: Journal | None = None, *, redelivered: bool = False
) -> tuple[list[Fate], BreakerChange | None]:
    """Post the rows of a claim that are to be posted, and decide the fate of each row and of the table's circuit breaker.

    Rows that the claim could not read within its budget are read and posted in portions, as long as there is time for it. Recovery
    posts one portion, since nobody renews its leases.
    """
    policy, breaker, target = app.config.retry.policy, claimed.breaker, app.config.target(table.relay.target)
    fates: dict[int, Fate] = {}
    posted: list[Fate] = []

    def early(row: ClaimedRow) -> Fate | None:
        return _early_fate(row, breaker, policy, redelivered, paused=claimed.paused)

    def undecided() -> list[ClaimedRow]:
        found = [row for row in claimed.rows if row.number not in fates]
        fates.update((row.number, fate) for row in found if (fate := early(row)) is not None)
        return [row for row in found if row.number not in fates]

    due = undecided()
    budget = TimeBudget(seconds_to_post(target, table.key))
    while due:
        portion = sorted((row for row in due if not row.unread), key=lambda row: _turn(row, half_open=breaker.half_open))
        answers = _post_portion(app, table, claimed, portion, budget, journal)
        for row, answer in zip(portion, answers, strict=True):
            if row.unfit is not None:
                fates[row.number] = fate_of_unfit(row, row.unfit)
            else:
                fates[row.number] = fate_of_answer(row, answer, policy, redelivered=redelivered)
        posted += [fates[row.number] for row in portion if row.unreadable is None and row.unfit is None]
        due = [row for row in due if row.unread]
        stopped = redelivered or budget.spent or any(answer.verdict is Verdict.UNTRIED for answer in answers)
        if due and not stopped:
            before = len(due)
            due = undecided() if _read_portion(app, table, claimed, due) else []
            stopped = len(due) == before and all(row.unread for row in due)
        if stopped:
            fates.update((row.number, fate_of_answer(row, Answer(Verdict.UNTRIED), policy)) for row in due)
            due = []
    change = next_breaker(
        breaker,
        posted,
        policy,
        threshold=target.breaker_failures,
        probe_seconds=round(target.probe.seconds),
        batches=target.batch > 1,
    )
    ordered = [fates[row.number] for row in claimed.rows]
    return [fate.by_recovery() for fate in ordered] if redelivered else ordered, change


def _early_fate(row: ClaimedRow, breaker: CircuitBreaker, policy: RetryPolicy, redelivered: bool, *, paused: bool) -> Fate | None:
    """The fate of a row that is not posted now, if that is known; None if it is to be posted."""
    early = fate_before_posting(row)
    if early is None and paused:
        return fate_while_paused(row)
    if early is None and row.obstacle:
        return fate_of_answer(row, Answer(Verdict.TRANSIENT, error=row.obstacle), policy, redelivered=redelivered)
    if early is None:
        early = fate_of_values(row, policy, redelivered=redelivered)
    if early is None and breaker.open and breaker.exhausts(policy):
        return fate_behind_open_breaker(row, breaker.open_seconds)
    if early is None and breaker.open:
        return fate_of_answer(row, Answer(Verdict.UNTRIED), policy)
    return early


def _post_portion(
    app: App, table: Table, claimed: Claim, rows: Sequence[ClaimedRow], budget: TimeBudget, journal: Journal | None
) -> list[Answer]:
    """Post rows that are read, and forget their values: the next portion takes their place in memory.

    A row of which no event can be made, or may be sent, says so itself; its answer is of no account if it is unfit.
    """
    target, shape = app.config.target(table.relay.target), app.shape(table.relay)
    events: dict[int, PostedEvent] = {}
    for row in rows:
        try:
            events[row.number] = build_event(shape, row, claimed.epoch, claimed.client_columns, claimed.now)
        except Unfit as error:
            row.unfit = str(error)
        except Exception as error:  # such as a number that JSON does not have
            row.unreadable = type(error).__name__
        row.values = None if row.values is None else {}
    care = [_care(row, claimed.breaker, app.config.retry.policy) for row in rows if row.number in events]
    deliverer = app.deliverers[target.name]
    deliverer.database_says(claimed.now)
    delivered = iter(deliverer.deliver(list(events.values()), budget, care, journal) if events else ())
    answers = (None if row.number in events else unreadable(row.unreadable or "") for row in rows)
    return [next(delivered) if answer is None else answer for answer in answers]


def _care(row: ClaimedRow, breaker: CircuitBreaker, policy: RetryPolicy) -> Care:
    """How a row is sent if its target takes several in a request."""
    record = row.record
    failed = record is not None and record.live and record.tried_seconds is not None
    return Care(
        alone=record is not None and record.refused,
        careful=breaker.half_open or failed,
        certain=refusal_is_final(row, policy),
        attempt=attempts_with(row),
    )


def _read_portion(app: App, table: Table, claimed: Claim, due: Sequence[ClaimedRow]) -> bool:
    """Read more of the rows that are due. If the database fails they stay as they are under their leases, and the batch fails."""
    try:
        read_more(app.database, table, claimed, due)
        return True
    except DatabaseError:
        left = {row.number for row in due}
        claimed.rows = [row for row in claimed.rows if row.number not in left]
        claimed.unknown += len(left)
        return False


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
        skipped=sum(fate.event in (Event.SKIPPED, Event.LEFT_OUT) for fate in fates),
        failed=sum(fate.failed and fate.state is not None for fate in fates),
        handed_back=sum(fate.failed and fate.state is None for fate in fates),
        exhausted=sum(fate.state is State.EXHAUSTED for fate in fates),
        dead=sum(fate.state is State.DEAD for fate in fates),
        paused=sum(fate.event is Event.PAUSED for fate in fates),
        recovered=sum(fate.delivered and fate.row.record is not None and fate.row.record.state != State.RETRYING for fate in fates),
        unknown=unknown,
        error=errors[-1] if errors else None,
    )
