"""The life of a row: every fate takes its state and its lease action from the one table of transitions."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rowpost.database.statements import COMMON
from rowpost.rules.answer import Answer, Verdict
from rowpost.rules.backoff import Backoff, RetryPolicy
from rowpost.rules.fate import Fate, fate_before_posting, fate_behind_open_breaker, fate_of_answer, fate_while_paused
from rowpost.rules.lifecycle import LIVE, NO_RECORD, TRANSITIONS, Event, Lease, State, allowed
from rowpost.rules.row import ClaimedRow, LedgerRecord

POLICIES = st.builds(RetryPolicy, st.integers(1, 5), st.just(Backoff(60, 2, 3600)), st.booleans())
RECORDS = st.none() | st.builds(
    LedgerRecord, st.integers(1, 9), st.sampled_from(State), st.integers(0, 9), st.integers(0, 9), st.integers(-99, 999), st.none()
)
ROWS = st.builds(
    ClaimedRow, st.just({"Id": 1}), st.integers(1, 9), st.integers(0, 4), st.booleans(), st.just({}), st.booleans(), RECORDS
)
ANSWERS = st.builds(Answer, st.sampled_from(Verdict), st.none(), st.just("HTTP 503"), st.none() | st.integers(0, 9999))


def fates(row: ClaimedRow, answer: Answer, policy: RetryPolicy, redelivered: bool) -> list[Fate]:
    found = [
        fate_of_answer(row, answer, policy, redelivered=redelivered),
        fate_behind_open_breaker(row, 60),
        fate_while_paused(row),
    ]
    early = fate_before_posting(row)
    return [*found, *([early] if early is not None else [])]


@given(ROWS, ANSWERS, POLICIES, st.booleans())
def test_a_fate_follows_from_a_state_in_which_it_can_happen(
    row: ClaimedRow, answer: Answer, policy: RetryPolicy, redelivered: bool
) -> None:
    before = row.record.state if row.record is not None else NO_RECORD
    for fate in fates(row, answer, policy, redelivered):
        transition = TRANSITIONS[fate.event]
        assert before in transition.sources
        assert transition.keeps or allowed(before, fate.state)


@given(ROWS, ANSWERS, POLICIES, st.booleans())
def test_a_row_that_is_still_to_be_delivered_keeps_its_lease_unless_recovery_holds_one_of_its_own(
    row: ClaimedRow, answer: Answer, policy: RetryPolicy, redelivered: bool
) -> None:
    for fate in fates(row, answer, policy, redelivered):
        assert fate.failed == (fate.lease is not Lease.RELEASE)
        mine = fate.by_recovery()
        assert mine.lease is Lease.RELEASE and (mine.failed, mine.state) == (fate.failed, fate.state)
        if fate.failed:
            assert fate.state in LIVE or TRANSITIONS[fate.event].keeps, "what fails has a record, or keeps what it has"
        if fate.lease is Lease.HOLD:
            assert fate.wait_seconds > 0


def test_every_state_can_be_reached_and_left() -> None:
    changes = [transition for transition in TRANSITIONS.values() if not transition.keeps]
    reached = {NO_RECORD}
    while found := {t.target for t in changes if t.sources & reached} - reached:
        reached |= found
    assert reached == {NO_RECORD, *State}
    assert all(allowed(state, NO_RECORD) for state in State)
    assert TRANSITIONS.keys() == set(Event)


def test_what_is_no_transition_is_not_allowed() -> None:
    assert not allowed(State.DEAD, State.HELD)
    assert not allowed(NO_RECORD, State.HELD)
    assert not allowed(State.RETRYING, "lost")
    assert allowed(State.HELD, State.HELD) and allowed(State.HELD, State.DEAD) and allowed(State.DEAD, NO_RECORD)


def test_events_that_one_statement_decides_between_begin_in_the_same_states() -> None:
    for one, other in (("planned", "planned_detached"), ("ordered", "ordered_detached"), ("adopted", "taken_over")):
        assert TRANSITIONS[Event(one)].sources == TRANSITIONS[Event(other)].sources


def test_statements_take_the_states_of_an_event_from_the_table() -> None:
    assert COMMON["to_lease_lost"] == "'detached'"
    assert COMMON["from_lease_lost"] == "'held', 'retrying'"
    for event, transition in TRANSITIONS.items():
        if not transition.keeps:
            assert COMMON[f"from_{event}"].count("'") == 2 * len(transition.sources - {NO_RECORD})


@given(ROWS, st.booleans(), st.booleans())
def test_a_pause_counts_no_attempt_and_leaves_every_row_to_recovery_but_those_that_are_not_sent(
    row: ClaimedRow, ignored: bool, new: bool
) -> None:
    row.ignored, row.new = ignored, new
    fate = fate_while_paused(row)
    if fate.event is Event.LEFT_OUT:
        assert ignored and not (new and row.record is not None)
    else:
        assert (fate.state, fate.lease, fate.attempts) == (State.DETACHED, Lease.RELEASE, row.attempts_so_far)
        assert fate.answer is not None and not fate.answer.tried
