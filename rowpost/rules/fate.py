"""The fate of each row of a batch: which event its answer is, and what the ledger and the lease are to say."""

from __future__ import annotations

from msgspec import Struct
from msgspec.structs import replace

from rowpost.rules.answer import NOT_TRIED, Answer, Verdict
from rowpost.rules.backoff import RetryPolicy
from rowpost.rules.lease import GUARDED_COUNT, LEASE_SECONDS, PROTECT_SECONDS
from rowpost.rules.lifecycle import TRANSITIONS, Event, Lease, State
from rowpost.rules.row import ROW_BYTES_AT_MOST, ClaimedRow

UNSETTLED = "handed out several times without an outcome: the process ended, or the trigger's payload could not be matched"
UNREADABLE = "the row cannot be read"
TARGET_DOWN = "the target is known to be down"
PAUSED = "the relay is paused"


class Fate(Struct, frozen=True):
    """What becomes of one row.

    Attributes:
        row: the row.
        event: what happened to it; the transition of that name says what follows.
        attempts: what the ledger will count, if the event changes its record.
        wait_seconds: how long until the next attempt, and how long the lease is held if the event holds it.
        answer: the target's; None if the row was not to be posted.
        redelivered: whether recovery posted the row, under a lease of its own that it releases whatever happens.
    """

    row: ClaimedRow
    event: Event
    attempts: int = 0
    wait_seconds: int = 0
    answer: Answer | None = None
    redelivered: bool = False

    @property
    def state(self) -> State | None:
        """The state that the ledger will have of the row; None if it is to have no record, or its record stays as it is."""
        return TRANSITIONS[self.event].target

    @property
    def lease(self) -> Lease:
        """What happens to the row's lease."""
        return Lease.RELEASE if self.redelivered else TRANSITIONS[self.event].lease

    @property
    def failed(self) -> bool:
        """Whether the row is still to be delivered by the trigger or by recovery."""
        return TRANSITIONS[self.event].lease is not Lease.RELEASE

    @property
    def delivered(self) -> bool:
        """Whether the target accepted the row."""
        return self.event is Event.DELIVERED

    @property
    def clears(self) -> bool:
        """Whether a record of the ledger is to be removed."""
        return self.event in (Event.DELIVERED, Event.LEFT_OUT) and self.row.record is not None

    @property
    def raised(self) -> bool:
        """Whether a record is to be removed that a resync has raised to a later version than that of the row's last change."""
        return self.clears and self.row.version > self.row.tracked_version

    @property
    def failed_before(self) -> bool:
        """Whether the row had failed before, in this state or a former or dead one: it says nothing new about the target."""
        return self.row.record is not None and self.row.record.attempts > 0

    def by_recovery(self) -> Fate:
        """The same for a row that recovery posted."""
        return replace(self, redelivered=True)


def fate_before_posting(row: ClaimedRow) -> Fate | None:
    """The fate of a row that is not to be posted: left out, dead already, never settled, or held; None for all others."""
    record = row.record
    if record is not None and not record.live and record.version >= row.version:
        return Fate(row, Event.SKIPPED)
    if row.stopped:
        # Each time it was handed out the process ended: recovery tries it with growing delays, and its neighbours are spared.
        attempts = row.attempts_so_far + max(row.attempt_count, GUARDED_COUNT)
        answer = Answer(Verdict.TRANSIENT, error=UNSETTLED)
        return Fate(row, Event.UNSETTLED, attempts, PROTECT_SECONDS, answer)
    if record is None:
        return None if row.skipped_by is None else Fate(row, Event.SKIPPED)
    if record.version < row.version:
        return None  # changed since it failed: the new state gets its chance at once
    # Handed out early: a renewal of the lease, begun before the hold was written, has overtaken it. A row that is retrying comes by
    # itself when its lease lapses; it is early only if the target has asked for more.
    expected = LEASE_SECONDS if record.state == State.RETRYING else 0
    if record.live and record.wait_seconds > expected:
        return Fate(row, Event.KEPT_BACK, wait_seconds=record.wait_seconds)
    return None


def fate_while_paused(row: ClaimedRow) -> Fate:
    """The fate of a row that is not posted, since its relay is paused: the ledger has it until then. No attempt is counted."""
    if _left_out(row):
        return Fate(row, Event.LEFT_OUT)
    return Fate(row, Event.PAUSED, row.attempts_so_far, answer=Answer(Verdict.TRANSIENT, error=f"{NOT_TRIED}: {PAUSED}"))


def fate_of_values(row: ClaimedRow, policy: RetryPolicy, *, redelivered: bool = False) -> Fate | None:
    """The fate of a row that is not posted for the sake of its values: larger than a row may be, unreadable, or ignored; else None.

    What cannot be read may be mended, so it is tried again like any row. This says nothing of the target.
    """
    if _left_out(row):
        return Fate(row, Event.LEFT_OUT)
    if row.too_large:
        size = f"the row has {row.size} bytes, and at most {ROW_BYTES_AT_MOST} are sent"
        return fate_of_unfit(row, size)
    if row.unreadable is not None:
        return fate_of_answer(row, unreadable(row.unreadable), policy, redelivered=redelivered)
    return None


def _left_out(row: ClaimedRow) -> bool:
    """Whether nothing is sent of a row, since it does not meet the condition of the relay.

    An older state that was not delivered is not either. A row that failed before may have been delivered all the same.
    """
    return row.ignored and not (row.new and row.record is not None)


def fate_of_unfit(row: ClaimedRow, reason: str) -> Fate:
    """The fate of a row that may not be sent as it is, whatever the target says: a dead letter at once."""
    return Fate(row, Event.UNFIT, row.attempts_so_far, answer=Answer(Verdict.REJECTED, error=reason))


def unreadable(reason: str) -> Answer:
    """What stands for the target's answer if the values of a row cannot be read, or not be written as JSON."""
    return Answer(Verdict.TRANSIENT, error=f"{UNREADABLE}: {reason}")


def fate_behind_open_breaker(row: ClaimedRow, open_seconds: int) -> Fate:
    """The fate of a row that is not posted, since its target is known to be down: recovery plans it. No attempt is counted."""
    answer = Answer(Verdict.TRANSIENT, error=f"{NOT_TRIED}: {TARGET_DOWN}")
    return Fate(row, Event.TARGET_DOWN, row.attempts_so_far, max(PROTECT_SECONDS, open_seconds), answer)


def attempts_with(row: ClaimedRow) -> int:
    """The attempts of a row with the present one. The lease counts hand-outs that nobody settled, such as crashes."""
    return row.attempts_so_far + max(row.attempt_count, 1)


def refusal_is_final(row: ClaimedRow, policy: RetryPolicy) -> bool:
    """Whether the row is given up if the target refuses it now."""
    return policy.rejected_are_dead and attempts_with(row) >= policy.attempts


def fate_of_answer(row: ClaimedRow, answer: Answer, policy: RetryPolicy, *, redelivered: bool = False) -> Fate:
    """The fate of a row that was posted, or should have been; ``redelivered`` if the trigger will not hand it out again."""
    if answer.verdict is Verdict.DELIVERED:
        return Fate(row, Event.DELIVERED, answer=answer)
    if answer.verdict is Verdict.UNTRIED and row.leased:
        return Fate(row, Event.HANDED_BACK)
    attempts = attempts_with(row)
    used_up = attempts >= policy.attempts
    if used_up and answer.verdict is Verdict.REJECTED and policy.rejected_are_dead:
        return Fate(row, Event.REJECTED, attempts, answer=answer)
    asked = answer.retry_after_seconds or 0
    if used_up or redelivered or not row.leased:  # there is no further hand-out: recovery must plan it
        return Fate(row, Event.USED_UP, attempts, max(PROTECT_SECONDS, asked), answer)
    if asked > LEASE_SECONDS:
        return Fate(row, Event.ASKED_TO_WAIT, attempts, asked, answer)
    return Fate(row, Event.FAILED, attempts, LEASE_SECONDS, answer)
