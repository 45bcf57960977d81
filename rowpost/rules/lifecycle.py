"""The life of a row that is not yet delivered: its states in the ledger, and the transitions between them, as data.

This is the one place that says what may follow what. A fate (:mod:`rowpost.rules.fate`) takes its state and its lease action from
here. So do the statements that change many rows at once: their fragments ``{from_…}`` and ``{to_…}`` are rendered from here. The
simulation fails on any other transition, and ``docs/architecture.md`` shows a diagram that is made from here.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class State(StrEnum):
    """The state of a record in the ledger. A row without a record is delivered, or has never failed."""

    RETRYING = "retrying"  # the trigger's built-in attempts go on
    EXHAUSTED = "exhausted"  # they are used up, and recovery has not planned the row yet
    HELD = "held"  # planned: the lease is held until the next attempt, then the trigger hands the row out
    DETACHED = "detached"  # planned: the lease is released or gone, and recovery redelivers the row itself
    DEAD = "dead"  # a dead letter


class Lease(StrEnum):
    """What happens to the row's lease."""

    RELEASE = "release"  # done for the trigger, whose cursor may pass the row
    HOLD = "hold"  # not handed out before a given time, and the cursor waits
    LAPSE = "lapse"  # handed out again when the lease ends, within a minute
    HAND_BACK = "hand_back"  # the same, and the hand-out does not count
    END = "end"  # a hold ends now: handed out at the next look of the trigger
    LEAVE = "leave"  # as it is


class Event(StrEnum):
    """What happens to a row."""

    DELIVERED = "delivered"
    SKIPPED = "skipped"
    LEFT_OUT = "left_out"
    HANDED_BACK = "handed_back"
    KEPT_BACK = "kept_back"
    FAILED = "failed"
    ASKED_TO_WAIT = "asked_to_wait"
    USED_UP = "used_up"
    TARGET_DOWN = "target_down"
    UNSETTLED = "unsettled"
    REJECTED = "rejected"
    UNFIT = "unfit"
    PAUSED = "paused"
    PLANNED = "planned"
    PLANNED_DETACHED = "planned_detached"
    ORDERED = "ordered"
    ORDERED_DETACHED = "ordered_detached"
    LEASE_LOST = "lease_lost"
    WINDOW_OVER = "window_over"
    ADOPTED = "adopted"
    TAKEN_OVER = "taken_over"
    RESYNCED = "resynced"
    REPLAYED = "replayed"
    DISCARDED = "discarded"


NO_RECORD = None
ANY = frozenset({NO_RECORD, *State})
LIVE = frozenset(State) - {State.DEAD}
WAITING = LIVE - {State.EXHAUSTED}  # they have a next attempt
UNPLANNED = frozenset({State.EXHAUSTED, State.DETACHED})  # a detached row while the circuit breaker is open


class Transition(Struct, frozen=True):
    """What an event does.

    Attributes:
        sources: the states in which it can happen; None is "no record".
        target: the state that follows; None removes the record.
        lease: what happens to the row's lease. A redelivery releases its own lease whatever happens.
        meaning: one line for the reader of the diagram.
        keeps: whether the record stays as it is; ``target`` is then of no account.
    """

    sources: frozenset[State | None]
    target: State | None
    lease: Lease
    meaning: str
    keeps: bool = False


TRANSITIONS: dict[Event, Transition] = {
    # a batch, settled
    Event.DELIVERED: Transition(ANY, NO_RECORD, Lease.RELEASE, "the target took it"),
    Event.SKIPPED: Transition(ANY, None, Lease.RELEASE, "nothing to post: left out, or dead already", keeps=True),
    Event.LEFT_OUT: Transition(ANY, NO_RECORD, Lease.RELEASE, "it does not meet `where`, and is ignored"),
    Event.HANDED_BACK: Transition(ANY, None, Lease.HAND_BACK, "not tried: the batch or the breaker stopped it", keeps=True),
    Event.KEPT_BACK: Transition(LIVE, None, Lease.HOLD, "handed out too early", keeps=True),
    Event.FAILED: Transition(ANY, State.RETRYING, Lease.LAPSE, "an attempt failed, others follow"),
    Event.ASKED_TO_WAIT: Transition(ANY, State.RETRYING, Lease.HOLD, "it failed with a long Retry-After"),
    Event.USED_UP: Transition(ANY, State.EXHAUSTED, Lease.HOLD, "the last attempt failed"),
    Event.TARGET_DOWN: Transition(ANY, State.EXHAUSTED, Lease.HOLD, "the circuit breaker is open"),
    Event.UNSETTLED: Transition(ANY, State.EXHAUSTED, Lease.HOLD, "handed out four times without an outcome"),
    Event.REJECTED: Transition(ANY, State.DEAD, Lease.RELEASE, "refused, and refused rows are given up"),
    Event.UNFIT: Transition(ANY, State.DEAD, Lease.RELEASE, "never to be sent: too large, or a key that no path can hold"),
    Event.PAUSED: Transition(ANY, State.DETACHED, Lease.RELEASE, "the relay is paused: recovery delivers it after that"),
    # recovery, planning
    Event.PLANNED: Transition(UNPLANNED, State.HELD, Lease.HOLD, "its next round"),
    Event.PLANNED_DETACHED: Transition(UNPLANNED, State.DETACHED, Lease.RELEASE, "its next round, after many or without a lease"),
    Event.ORDERED: Transition(WAITING, State.HELD, Lease.END, "due now: the target works again, or an operator says so"),
    Event.ORDERED_DETACHED: Transition(WAITING, State.DETACHED, Lease.LEAVE, "due now, without a lease"),
    Event.LEASE_LOST: Transition(WAITING - {State.DETACHED}, State.DETACHED, Lease.LEAVE, "the trigger does not know it any more"),
    Event.WINDOW_OVER: Transition(LIVE, State.DEAD, Lease.RELEASE, "the retry window is over"),
    # the watchdog
    Event.ADOPTED: Transition(ANY - {State.EXHAUSTED}, State.EXHAUSTED, Lease.RELEASE, "parked, or its process ended each time"),
    Event.TAKEN_OVER: Transition(ANY - {State.EXHAUSTED}, State.DETACHED, Lease.RELEASE, "the trigger stands still"),
    # an operator
    Event.RESYNCED: Transition(frozenset({NO_RECORD, State.DEAD}), State.DETACHED, Lease.LEAVE, "a resync was ordered"),
    Event.REPLAYED: Transition(frozenset({State.DEAD}), State.DETACHED, Lease.LEAVE, "the dead letter is replayed"),
    Event.DISCARDED: Transition(frozenset(State), NO_RECORD, Lease.RELEASE, "an order gives its present change up"),
}


def allowed(before: str | None, after: str | None) -> bool:
    """Whether any event leads from one state to the other; None is "no record". To stay in a state is always allowed."""
    return before == after or any(before in t.sources and after == t.target for t in TRANSITIONS.values() if not t.keeps)
