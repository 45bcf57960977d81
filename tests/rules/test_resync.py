"""What follows from the answers to the events of a resync, and when one gives way to another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.answer import Answer, Verdict, classify
from rowpost.rules.backoff import Backoff
from rowpost.rules.resync import OPEN, ResyncState, after_answer, gives_way, pause_seconds

BACKOFFS = st.builds(Backoff, st.floats(1, 600), st.floats(1, 10), st.floats(600, 86400))


@given(st.integers(100, 599), st.integers(0, 10**6), BACKOFFS, st.integers(1, 3600), st.none() | st.integers(0, 10**9))
def test_an_event_is_taken_refused_or_tried_again(
    status: int, tries: int, backoff: Backoff, probe: int, retry_after: int | None
) -> None:
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    answer = classify(status, headers)
    said = after_answer(answer, tries, backoff, probe)
    assert said.text and said.taken == {Verdict.DELIVERED: True, Verdict.REJECTED: False}.get(answer.verdict)
    if said.taken is None:
        assert 1 <= said.pause_seconds <= max(probe, answer.retry_after_seconds or 0)
        assert said.pause_seconds >= (answer.retry_after_seconds or 0)
    else:
        assert said.pause_seconds == 0


@given(BACKOFFS, st.integers(1, 10**6))
def test_pauses_grow_up_to_the_probe(backoff: Backoff, probe: int) -> None:
    down = Answer(Verdict.TRANSIENT, error="no answer in time")
    pauses = [after_answer(down, tries, backoff, probe).pause_seconds for tries in range(40)]
    assert pauses == sorted(pauses) and pauses[-1] <= probe


@given(st.none() | st.integers(-(10**9), 10**9))
def test_a_pause_is_neither_too_short_nor_too_long(seconds: int | None) -> None:
    assert 10 <= pause_seconds(seconds) <= 300


@given(st.sampled_from(sorted(OPEN)), st.integers(0, 10**6))
def test_only_what_has_queued_nothing_or_waits_for_long_gives_way(state: ResyncState, waits: int) -> None:
    assert not gives_way(state, None)
    expected = {ResyncState.BEGUN: True, ResyncState.SETTLING: waits >= 3600}.get(state, False)
    assert gives_way(state, waits) == expected
