"""The delays between rounds: properties that hold for every configuration."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from rowpost.rules.backoff import Backoff

FIRST = st.floats(1, 86400)
FACTORS = st.floats(1.05, 100)
CEILINGS = st.floats(1, 14 * 86400)
EXPONENTIAL = st.builds(Backoff, FIRST, FACTORS, CEILINGS).filter(lambda backoff: backoff.max_seconds >= backoff.first_seconds)


def test_the_shipped_defaults_spell_out() -> None:
    backoff = Backoff(60, 2.0, 6 * 3600)
    assert backoff.schedule_seconds() == [60, 120, 240, 480, 960, 1920, 3840, 7680, 15360, 21600]
    assert backoff.delay_seconds(10) == backoff.delay_seconds(11) == backoff.delay_seconds(10_000) == 21600


@settings(max_examples=200, deadline=None)
@given(backoff=EXPONENTIAL, number=st.integers(1, 10_000))
def test_delays_grow_and_stay_within_their_bounds(backoff: Backoff, number: int) -> None:
    delay, later = backoff.delay_seconds(number), backoff.delay_seconds(number + 1)
    assert isinstance(delay, int)
    assert round(backoff.first_seconds) <= delay <= later <= round(backoff.max_seconds)
    assert backoff.delay_seconds(1) == round(backoff.first_seconds)


@settings(max_examples=200, deadline=None)
@given(backoff=EXPONENTIAL)
def test_below_the_ceiling_each_delay_is_the_factor_times_the_one_before(backoff: Backoff) -> None:
    below = backoff.schedule_seconds()[:-1]
    for delay, later in pairwise(below):
        assert later == pytest.approx(delay * backoff.factor, abs=0.5 * backoff.factor + 0.51)  # both are whole seconds


@settings(max_examples=200, deadline=None)
@given(backoff=EXPONENTIAL)
def test_the_schedule_is_the_same_delays_and_ends_at_the_ceiling(backoff: Backoff) -> None:
    schedule = backoff.schedule_seconds()
    assert schedule == [backoff.delay_seconds(number) for number in range(1, len(schedule) + 1)]
    assert schedule[-1] == round(backoff.max_seconds) == backoff.delay_seconds(len(schedule) + 1)
    assert all(delay < schedule[-1] for delay in schedule[:-1]), "and it says the ceiling once"


@settings(max_examples=100, deadline=None)
@given(first=FIRST, ceiling=CEILINGS, number=st.integers(1, 10**18))
def test_a_factor_of_one_is_fixed(first: float, ceiling: float, number: int) -> None:
    assume(ceiling >= first)
    backoff = Backoff(first, 1.0, ceiling)
    assert backoff.delay_seconds(number) == round(first)
    assert backoff.schedule_seconds() == [round(first)]


@settings(max_examples=100, deadline=None)
@given(backoff=EXPONENTIAL, number=st.integers(10_000, 10**18))
def test_the_latest_of_rounds_still_has_a_delay(backoff: Backoff, number: int) -> None:
    assert backoff.delay_seconds(number) == round(backoff.max_seconds)


def test_a_delay_is_never_less_than_a_second() -> None:
    assert Backoff(0.1, 1.0, 0.2).delay_seconds(1) == 1
