"""The search for bad rows: it finds them all, infers nothing that is not so, and costs no more than it promises."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Container, Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.rules.bisection import Bisection, Said, requests_at_most

PROMISED = 32  # 3·log2(1000) + 3


class Target:
    """Refuses a request with a bad row in it, or with more rows than it takes.

    Attributes:
        requests: all that it was sent.
        accepted: the rows that it has.
    """

    def __init__(self, bad: Iterable[int], most: int | None = None) -> None:
        self.bad, self.most = frozenset(bad), most
        self.requests: list[list[int]] = []
        self.accepted: set[int] = set()

    def said(self, rows: list[int]) -> Said:
        self.requests.append(rows)
        if self.most is not None and len(rows) > self.most:
            return Said.TOO_LARGE
        if self.bad.isdisjoint(rows):
            assert self.accepted.isdisjoint(rows), "no row is sent again once it was accepted"
            self.accepted.update(rows)
            return Said.ACCEPTED
        return Said.REFUSED

    def search(self, count: int, certain: Container[int] = ()) -> Bisection:
        """Search, and hold what was found against what is so."""
        rows = list(range(count))
        first = self.said(rows)
        search = Bisection(rows, first, certain)
        while some := search.next():
            search.tell(self.said(some))
        assert not search.left and sorted(each.row for each in search.bad) == sorted(self.bad)
        assert self.accepted == set(rows) - self.bad
        for each in search.bad:
            request = self.requests[each.request]
            assert each.row in request and not self.bad.isdisjoint(request), (
                "its answer is that of a request that was refused for it"
            )
            assert each.alone == (len(request) == 1)
        return search


def cost(count: int, bad: Iterable[int], certain: Container[int] = ()) -> int:
    """How many requests follow the one that was refused."""
    target = Target(bad)
    target.search(count, certain)
    return len(target.requests) - 1


def test_three_bad_rows_of_a_thousand_cost_32_requests_at_most() -> None:
    rng = random.Random(14)
    anywhere = (rng.sample(range(1000), 3) for _ in range(2500))
    adjacent = ((first, first + 1, first + 2) for first in range(998))
    ends = [0, 1, 2, 3, 124, 125, 249, 250, 251, 374, 499, 500, 501, 624, 749, 750, 751, 874, 997, 998, 999]
    at_ends = itertools.combinations(ends, 3)
    assert max(cost(1000, bad) for bad in itertools.chain(anywhere, adjacent, at_ends)) <= PROMISED
    assert math.floor(3 * math.log2(1000) + 3) == PROMISED


def test_one_bad_row_costs_the_logarithm_and_the_rest() -> None:
    assert max(cost(1000, [bad]) for bad in range(1000)) <= math.ceil(math.log2(1000)) + 2
    assert max(cost(1000, bad) for bad in itertools.combinations(range(0, 1000, 31), 2)) <= 23


@pytest.mark.parametrize("count", [2, 3, 4, 10, 33, 100, 1000])
@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 1.0])
def test_many_bad_rows_cost_hardly_more_than_single_posts(count: int, share: float) -> None:
    rng = random.Random(count)
    for _ in range(5):
        bad = rng.sample(range(count), max(1, round(count * share)))
        assert cost(count, bad) <= requests_at_most(count) <= count + min(count // 4, PROMISED)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))))
def test_all_bad_rows_are_found_and_all_others_delivered(given: tuple[int, set[int]]) -> None:
    count, bad = given
    search = Target(bad).search(count)
    assert [each.alone for each in search.bad].count(False) <= len(bad)


@given(st.integers(2, 40).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1), min_size=1))))
def test_a_row_whose_refusal_is_final_was_sent_alone(given: tuple[int, set[int]]) -> None:
    count, bad = given
    assert all(each.alone for each in Target(bad).search(count, certain=range(count)).bad)


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)), st.integers(1, n))))
def test_a_request_that_is_too_large_says_nothing_of_its_rows(given: tuple[int, set[int], int]) -> None:
    count, bad, most = given
    target = Target(bad, most)
    if target.said(list(range(count))) is not Said.ACCEPTED:
        Target(bad, most).search(count)


def test_of_a_request_that_is_too_large_both_halves_are_sent() -> None:
    target = Target([], most=4)
    target.search(8)
    assert target.requests == [list(range(8)), [0, 1, 2, 3], [4, 5, 6, 7]]


def test_a_row_that_is_too_large_alone_is_bad() -> None:
    search = Bisection([7], Said.TOO_LARGE)
    assert search.next() == [] and [(each.row, each.request, each.alone) for each in search.bad] == [(7, 0, True)]


def test_a_row_that_was_wrongly_suspected_is_not_bad() -> None:
    """The two rows are refused only if they are sent together."""
    search = Bisection([1, 2], Said.REFUSED, certain=[2])
    assert search.next() == [1]
    search.tell(Said.ACCEPTED)
    assert search.next() == [2]
    search.tell(Said.ACCEPTED)
    assert search.next() == [] and search.bad == [] and not search.left


def test_what_is_left_when_the_search_is_broken_off_is_known() -> None:
    search = Bisection(range(8), Said.REFUSED)
    assert search.next() == [0, 1, 2, 3]
    search.tell(Said.ACCEPTED)
    assert search.left == {4, 5, 6, 7} and search.next() == [4, 5]
