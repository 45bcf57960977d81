"""What is fetched and kept: for its time, once for all threads, and the last one when there is no other."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable

import pytest

from rowpost.auth.failures import CredentialError
from rowpost.auth.kept import Held, Kept


def counted(seconds: float, *, fails: Callable[[int], bool] = lambda _: False) -> tuple[Callable[[], tuple[str, float]], list[int]]:
    """Something to fetch, with a number; and the fetches so far."""
    fetches: list[int] = []

    def fetch() -> tuple[str, float]:
        fetches.append(len(fetches) + 1)
        if fails(fetches[-1]):
            raise CredentialError("down")
        return f"thing {fetches[-1]}", seconds

    return fetch, fetches


def test_it_is_fetched_once_in_its_time() -> None:
    fetch, fetches = counted(3600)
    kept = Kept(fetch, "it", 5)
    assert [kept.get().value for _ in range(3)] == ["thing 1"] * 3 and fetches == [1]


@pytest.mark.parametrize(("seconds", "margin"), [(3600, 60), (600, 60), (300, 30), (10, 1), (0, 0)])
def test_its_margin_is_a_minute_or_a_tenth(seconds: float, margin: float) -> None:
    held = Kept(counted(seconds)[0], "it", 5).get()
    assert held.valid_until - held.fresh_until == pytest.approx(margin)


def test_without_time_it_is_fetched_each_time() -> None:
    kept = Kept(counted(0)[0], "it", 5)
    assert [kept.get().value for _ in range(3)] == ["thing 1", "thing 2", "thing 3"]


def test_in_its_margin_it_serves_while_there_is_no_other_and_is_not_asked_for_each_time() -> None:
    fetch, fetches = counted(3600, fails=lambda number: True)
    kept = Kept(fetch, "it", 5)
    kept._held = Held("the last", 0, 0.0, math.inf)  # its margin has begun
    assert [kept.get().value for _ in range(3)] == ["the last"] * 3 and fetches == [1]


def test_after_its_end_it_does_not_serve() -> None:
    kept = Kept(counted(3600, fails=lambda number: True)[0], "it", 5)
    kept._held = Held("the last", 0, 0.0, 0.0)
    with pytest.raises(CredentialError, match="down"):
        kept.get()


def test_what_outlives_its_time_serves_until_there_is_another() -> None:
    fetch, _ = counted(0, fails=lambda number: number == 2)
    kept = Kept(fetch, "it", 5, outlives=True)
    assert [kept.get().value for _ in range(2)] == ["thing 1", "thing 1"]


def test_a_refused_one_is_fetched_anew_once_for_all_who_were_refused() -> None:
    fetch, fetches = counted(3600)
    kept = Kept(fetch, "it", 5)
    first = kept.get()
    assert [kept.renew(first).value for _ in range(3)] == ["thing 2"] * 3 and fetches == [1, 2]
    assert kept.get().value == "thing 2"


def test_one_that_is_the_same_again_counts_as_another() -> None:
    fetches: list[int] = []

    def fetch() -> tuple[str, float]:
        fetches.append(1)
        return "the same", 3600

    kept = Kept(fetch, "it", 5)
    first = kept.get()
    assert [kept.renew(first).value, kept.renew(first).value] == ["the same"] * 2 and len(fetches) == 2


@pytest.mark.parametrize("fails", [False, True])
def test_all_threads_wait_for_the_same_one(fails: bool) -> None:
    begun, go, got = threading.Event(), threading.Event(), list[str]()

    def fetch() -> tuple[str, float]:
        begun.set()
        go.wait(10)
        if fails:
            raise ValueError("secret-text")
        return "thing", 3600

    kept = Kept(fetch, "it", 10)

    def get() -> None:
        try:
            got.append(kept.get().value)
        except CredentialError as error:
            got.append(str(error))

    threads = [threading.Thread(target=get) for _ in range(8)]
    threads[0].start()
    assert begun.wait(10)
    begun.clear()
    for thread in threads[1:]:
        thread.start()
    go.set()
    for thread in threads:
        thread.join(10)
    assert set(got) <= ({"it: request failed (ValueError)"} if fails else {"thing"}) and len(got) == 8
    assert fails or not begun.is_set(), "fetched once"


def test_a_thread_does_not_wait_for_ever_for_anothers_fetch() -> None:
    begun, go = threading.Event(), threading.Event()

    def fetch() -> tuple[str, float]:
        begun.set()
        go.wait(10)
        return "thing", 3600

    kept = Kept(fetch, "it", 0.05)
    first = threading.Thread(target=kept.get)
    first.start()
    assert begun.wait(10)
    with pytest.raises(CredentialError, match="it: no answer in time"):
        kept.get()
    go.set()
    first.join(10)
    assert kept.get().value == "thing"


def test_a_fetch_that_is_broken_off_leaves_nobody_waiting() -> None:
    broken = [True]

    def fetch() -> tuple[str, float]:
        if broken.pop():
            raise SystemExit
        raise AssertionError

    kept = Kept(fetch, "it", 5)
    with pytest.raises(SystemExit):
        kept.get()
    broken.append(False)
    with pytest.raises(CredentialError, match="AssertionError"):
        kept.get()
