"""Reminders come later and later."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.reminders import seconds_to_reminder

DAY = 86400


def test_the_pauses_are_one_day_two_days_four_days() -> None:
    assert [seconds_to_reminder(DAY, number, 0) for number in range(4)] == [DAY, 2 * DAY, 4 * DAY, 8 * DAY]
    assert seconds_to_reminder(DAY, 1, 2 * DAY - 1) == 1 and seconds_to_reminder(DAY, 1, 2 * DAY) == 0


@given(st.floats(60, 3650 * DAY), st.integers(0, 10**6), st.integers(0, 10**9))
def test_whatever_is_stored_gives_a_time(first: float, number: int, told: int) -> None:
    assert -told < seconds_to_reminder(first, number, told) <= round(first) << 20
