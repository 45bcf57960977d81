"""How much a target takes in one request, as far as its refusals tell."""

from __future__ import annotations

from rowpost.target.capacity import Capacity


def known(capacity: Capacity) -> tuple[int, int]:
    return capacity.events, capacity.size


def test_if_it_is_not_known_what_was_too_much_both_count() -> None:
    capacity = Capacity(1000, 10**6)
    capacity.too_large((1000, 50_000), (500, 26_000))
    assert known(capacity) == (500, 26_000)


def test_what_was_accepted_before_was_not_too_much() -> None:
    capacity = Capacity(1000, 10**6)
    capacity.accepted(1000, 10_000)
    capacity.too_large((1000, 50_000), (500, 26_000))
    assert known(capacity) == (1000, 26_000), "so it was the bytes"
    capacity = Capacity(1000, 10**6)
    capacity.accepted(10, 60_000)
    capacity.too_large((1000, 50_000), (500, 26_000))
    assert known(capacity) == (500, 10**6), "so it was the events"


def test_if_both_were_accepted_before_the_target_has_changed() -> None:
    capacity = Capacity(1000, 10**6)
    capacity.accepted(1000, 60_000)
    capacity.too_large((1000, 50_000), (500, 26_000))
    assert known(capacity) == (500, 26_000)


def test_two_large_events_do_not_make_all_requests_small() -> None:
    capacity = Capacity(1000, 10**6)
    capacity.too_large((2, 900_000), (1, 450_000))
    assert known(capacity) == (1000, 450_000)


def test_it_never_grows() -> None:
    capacity = Capacity(100, 10**6)
    capacity.too_large((100, 50_000), (50, 26_000))
    capacity.too_large((400, 900_000), (200, 450_000))
    assert known(capacity) == (50, 26_000)
