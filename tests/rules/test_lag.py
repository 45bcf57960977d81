"""How long the oldest change has been waiting, by when its version was first seen."""

from __future__ import annotations

from datetime import datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.lag import Versions

START = datetime(2026, 3, 1)


def test_a_change_is_as_old_as_the_first_look_that_saw_its_version() -> None:
    versions = Versions()
    looks = [(0, 5, None, 0), (300, 8, 7, 0), (600, 9, 7, 300), (900, 9, 9, 300), (1200, 12, None, 0), (1500, 12, 11, 300)]
    for seconds, newest, oldest, lag in looks:
        assert versions.look(START + timedelta(seconds=seconds), newest, oldest) == lag


def test_versions_of_another_life_of_the_database_say_nothing() -> None:
    versions = Versions()
    versions.look(START, 100, None)
    assert versions.look(START + timedelta(seconds=300), 3, 2) == 0


@given(st.lists(st.tuples(st.integers(0, 900), st.integers(0, 5)), min_size=1, max_size=20), st.data())
def test_it_is_never_more_than_the_truth_nor_less_by_a_look(steps: list[tuple[int, int]], data: st.DataObject) -> None:
    """Changes happen between looks; the lag that is told is at most one pause too low."""
    versions, now, newest, born, longest = Versions(), 0, 0, dict[int, int](), 0
    for pause, changes in steps:
        for number in range(changes):
            born[newest + number + 1] = now + data.draw(st.integers(0, pause))
        now, newest, longest = now + pause, newest + changes, max(longest, pause)
        oldest = data.draw(st.none() | st.integers(1, newest)) if newest else None
        told = versions.look(START + timedelta(seconds=now), newest, oldest)
        truth = 0 if oldest is None else now - born[oldest]
        assert truth - longest <= told <= truth
