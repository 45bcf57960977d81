"""What follows from the answers to the events of a resync, and when one gives way to another."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.answer import Answer, Verdict, classify
from rowpost.rules.backoff import Backoff
from rowpost.rules.resync import (
    OPEN,
    ResyncState,
    after_answer,
    backlog_rows,
    gives_way,
    is_checkpoint,
    pause_for_delivery,
    pause_for_the_rest,
    pause_for_trigger,
    pause_seconds,
    share_delivered,
)

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


@given(st.integers(1, 10**5))
def test_the_backlog_keeps_who_delivers_busy(rows_of_a_call: int) -> None:
    assert backlog_rows(rows_of_a_call) >= max(1000, 2 * rows_of_a_call)


def test_large_tables_have_few_checkpoints() -> None:
    assert [pages for pages in range(1000) if is_checkpoint(pages, 20)] == [20, 40, 80, 160, 320, 640]


@given(st.none() | st.integers(-(10**6), 10**6), st.integers(0, 10**6))
def test_a_page_waits_for_the_deliveries_and_no_longer(next_seconds: int | None, waited: int) -> None:
    pause = pause_for_delivery(next_seconds, waited)
    assert 1 <= pause <= 300
    if next_seconds is not None and next_seconds > 0:  # nothing is delivered before
        assert pause >= min(next_seconds, 300)
    else:
        assert pause <= max(1, waited)


@given(st.integers(0, 10**9))
def test_who_waits_for_long_looks_seldom(seconds: int) -> None:
    for pause in (pause_for_the_rest, pause_for_trigger):
        assert 1 <= pause(seconds) <= 300 and pause(seconds) <= pause(seconds + 1)


@given(st.sampled_from(ResyncState), st.integers(0, 10**9), st.integers(0, 10**9), st.none() | st.integers(0, 10**9))
def test_a_share_is_between_nothing_and_all(state: ResyncState, queued: int, left: int, rows: int | None) -> None:
    share = share_delivered(state, queued, min(left, queued), rows)
    assert share is None or 0 <= share <= 1
    assert (share is None) <= (state not in OPEN or rows is None)
    assert state is not ResyncState.COMPLETED or share == 1
