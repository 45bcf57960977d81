"""The pace of a target: the bucket, pauses, half of what was reached, and the way back. In seconds that are given."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.pace import Pace


def spend(pace: Pace, requests: int, events: int = 1, now: float = 0.0, left: float = 1e9) -> list[float | None]:
    """The waits of requests that all want to go at once."""
    return [pace.turn(events, now, left) for _ in range(requests)]


def test_without_a_rate_nobody_waits() -> None:
    pace = Pace(None, 1, 300)
    assert spend(pace, 10_000) == [0.0] * 10_000 and pace.in_force is None


def test_a_seconds_worth_goes_at_once_and_then_one_after_the_other() -> None:
    assert spend(Pace(5, 1, 300), 8) == pytest.approx([0, 0, 0, 0, 0, 0.2, 0.4, 0.6])


def test_a_batch_goes_at_once_whatever_the_rate_is() -> None:
    assert spend(Pace(10, 100, 300), 3, events=100) == pytest.approx([0, 10, 20])
    assert spend(Pace(0.5, 1, 300), 3) == pytest.approx([0, 2, 4])


def test_who_would_wait_for_too_long_takes_no_turn() -> None:
    pace = Pace(1, 1, 300)
    assert spend(pace, 4, left=1.5) == [0, 1, None, None]
    assert pace.turn(1, 1.0, 1.5) == pytest.approx(1), "as if those that went away had never asked"


def test_after_a_while_there_is_no_more_than_a_seconds_worth() -> None:
    pace = Pace(5, 1, 300)
    spend(pace, 5)
    assert spend(pace, 7, now=1000) == pytest.approx([0, 0, 0, 0, 0, 0.2, 0.4])


@given(
    st.floats(0.1, 1000),
    st.integers(1, 50),
    st.lists(st.tuples(st.floats(0, 5), st.integers(1, 50), st.floats(0, 20)), max_size=60),
)
def test_no_span_of_time_has_more_than_the_rate_and_the_bucket(
    rate: float, batch: int, asked: list[tuple[float, int, float]]
) -> None:
    pace, now = Pace(rate, batch, 300), 0.0
    went: list[tuple[float, int]] = []
    for pause, events, left in asked:
        now += pause
        events = min(events, batch)
        wait = pace.turn(events, now, left)
        if wait is not None:
            assert 0 <= wait <= left
            went.append((now + wait, events))
    for first, (begin, _) in enumerate(went):
        for last in range(first, len(went)):
            end = went[last][0]
            assert sum(events for _, events in went[first : last + 1]) <= (end - begin) * rate + max(rate, batch) + 1e-6


def test_a_pause_is_for_all_and_has_a_bound() -> None:
    pace = Pace(None, 1, 300)
    pace.too_much(0, 10, 30)
    assert pace.pause(15) == pytest.approx(25) and pace.turn(1, 15, 60) == pytest.approx(25)
    assert pace.turn(1, 15, 20) is None
    pace.too_much(0, 10, 86400)
    assert pace.pause(10) == 300
    pace.too_much(11, 11, 1)
    assert pace.pause(11) == 299, "a shorter one does not end it"


def test_the_rate_in_force_is_half_of_what_was_reached() -> None:
    pace = Pace(None, 1, 300)
    for number in range(400):
        assert pace.turn(1, number / 40, 60) == 0
    pace.too_much(10, 10.0, None)
    assert pace.in_force == pytest.approx(20, rel=0.1) and pace.pause(10) == 0


def test_requests_that_were_under_way_lower_it_once() -> None:
    pace = Pace(100, 1, 300)
    for second in range(5):
        spend(pace, 100, now=float(second))
    pace.too_much(3.9, 4.0, None)
    once = pace.in_force
    for begun in (3.8, 3.95, 3.99):
        pace.too_much(begun, 4.1, None)
    assert pace.in_force == once
    pace.too_much(4.2, 4.3, None)
    assert once is not None and pace.in_force is not None and pace.in_force <= once / 2 + 1e-9


def test_it_has_a_floor() -> None:
    pace = Pace(None, 1, 300)
    for number in range(40):
        pace.too_much(number, number, None)
    assert pace.in_force == 10
    slow = Pace(0.1, 1, 300)
    slow.too_much(0, 1, None)
    assert slow.in_force == 0.1, "and never above the one that is configured"
    batches = Pace(None, 600, 300)
    for number in range(40):
        batches.too_much(number, number, None)
    assert batches.in_force == 10, "a full batch a minute"


def deliver_for(pace: Pace, seconds: int, now: float) -> None:
    for _ in range(seconds):
        for _ in range(round(pace.in_force or 0)):
            pace.delivered(1)
        now += 1


def test_successes_bring_the_configured_rate_back() -> None:
    pace = Pace(100, 1, 300)
    for second in range(5):
        spend(pace, 100, now=float(second))
    pace.too_much(4, 4.5, None)
    low = pace.in_force
    assert low is not None and low <= 50
    pace.delivered(1)
    assert low < pace.in_force < low + 1
    deliver_for(pace, 40, 5)
    assert pace.in_force == 100


def test_successes_bring_it_to_twice_what_was_reached_and_then_there_is_none() -> None:
    pace = Pace(None, 1, 300)
    for second in range(5):
        spend(pace, 100, now=float(second))
    pace.too_much(4, 4.5, None)
    deliver_for(pace, 10, 5)
    assert pace.in_force is not None
    deliver_for(pace, 60, 15)
    assert pace.in_force is None
