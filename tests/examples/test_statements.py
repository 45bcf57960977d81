"""The statements of the example: whatever comes twice, late or in another order, each database has the newest state in the end."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import simplejson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from emulators.launch import SqlServer
from tests.harness.example_consumer import Change, Store, open_store, read
from tests.harness.postgresql import postgresql

_numbers = itertools.count()


@pytest.fixture(scope="module", params=["sqlite", "postgresql", "sql_server"])
def store(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Store]:
    """The copy in each of the databases."""
    if request.param == "sqlite":
        found = open_store(str(tmp_path_factory.mktemp("copy") / "copy.db"))
        yield found
        found.close()
    elif request.param == "postgresql":
        with postgresql() as address:
            found = open_store(address)
            yield found
            found.close()
    else:
        with SqlServer(tmp_path_factory.mktemp("sql"), "real") as server:
            found = Store(server.connect, "sql_server", "?")
            yield found
            found.close()


def change(source: str, key: Any, epoch: int, version: int, *, deleted: bool = False) -> Change:
    row = None if deleted else {"Key": key, "State": f"{epoch}/{version}"}
    body = {"table": source, "operation": "delete" if deleted else "upsert", "key": {"Key": key}, "row": row}
    return read({**body, "epoch": epoch, "version": version})


def completed(source: str, epoch: int, version: int) -> Change:
    return read({"table": source, "operation": "resync-completed", "epoch": epoch, "version": version, "resync": "r"})


def table() -> str:
    """A table that no other example has used."""
    return f"dbo.T{next(_numbers)}"


def rows(store: Store, source: str) -> dict[Any, str]:
    """State by key."""
    return {simplejson.loads(key)["Key"]: simplejson.loads(data)["State"].strip() for key, data in store.rows(source).items()}


STATES = st.tuples(st.sampled_from(["a", "A", "ä", 'q"'])).flatmap(
    lambda key: st.tuples(st.just(key[0]), st.integers(0, 2), st.integers(1, 9), st.booleans())
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    states=st.lists(STATES, min_size=1, max_size=12, unique_by=lambda state: state[:3]),
    ends=st.lists(st.tuples(st.integers(0, 2), st.integers(1, 9)), max_size=2),
    order=st.randoms(use_true_random=False),
)
def test_the_order_does_not_matter(
    store: Store, states: list[tuple[str, int, int, bool]], ends: list[tuple[int, int]], order: random.Random
) -> None:
    source = table()
    changes = [change(source, key, epoch, version, deleted=deleted) for key, epoch, version, deleted in states]
    changes += [completed(source, *end) for end in ends]
    changes += order.choices(changes, k=len(changes) // 2)
    order.shuffle(changes)
    while changes:
        size = order.randint(1, 4)
        store.apply(changes[:size])
        del changes[:size]
    wanted = {}
    for key in {state[0] for state in states}:
        epoch, version, deleted = max(state[1:] for state in states if state[0] == key)
        if not deleted and (epoch, version) >= max(ends, default=(0, 0)):
            wanted[key] = f"{epoch}/{version}"
    assert rows(store, source) == wanted


def test_a_tombstone_keeps_an_older_state_away(store: Store) -> None:
    source = table()
    for state in (change(source, 1, 0, 5), change(source, 1, 0, 7, deleted=True), change(source, 1, 0, 6)):
        store.apply([state])
    assert rows(store, source) == {}


def test_a_resync_of_one_table_leaves_the_others_alone(store: Store) -> None:
    one, other = table(), table()
    store.apply([change(one, 1, 0, 1), change(other, 1, 0, 1)])
    store.apply([completed(one, 0, 5)])
    assert (rows(store, one), rows(store, other)) == ({}, {1: "0/1"})


def test_a_transaction_is_taken_as_a_whole(store: Store) -> None:
    source = table()
    broken = Change("x", source, "upsert", "1" * 20, "zzz", data=object())  # type: ignore[arg-type]  # no driver takes it
    with pytest.raises(Exception, match=r"."):
        store.apply([change(source, 1, 0, 1), broken])
    assert rows(store, source) == {}
    store.apply([change(source, 1, 0, 2)])
    assert rows(store, source) == {1: "0/2"}, "it works again afterwards"


def test_any_text_is_kept(store: Store) -> None:
    source, key = table(), "\0 ' \\ \u2028 😀 :name %s ?"
    store.apply([change(source, key, 0, 1)])
    assert rows(store, source) == {key: "0/1"}


def test_long_keys_and_values_are_kept(store: Store) -> None:
    source, key = table(), "ä" * 3000
    store.apply([change(source, key, 0, 1), change(source, key + "b", 0, 2)])
    assert rows(store, source) == {key: "0/1", key + "b": "0/2"}


@pytest.fixture(params=["postgresql", "sql_server"])
def connect(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Store]]:
    """Stores on one server that runs transactions at the same time."""
    if request.param == "postgresql":
        with postgresql() as address:
            yield lambda: open_store(address)
    else:
        with SqlServer(tmp_path, "real") as server:
            yield lambda: Store(server.connect, "sql_server", "?")


def test_a_resync_is_not_completed_between_the_look_and_what_is_put(connect: Callable[[], Store]) -> None:
    one, other, source = connect(), connect(), table()
    late = change(source, 1, 0, 1)
    one._run("begin")
    one._run("know_source", source=source)
    assert one._run("floor", source=source) == [("",)]
    one._run("commit")
    one._run("begin")
    assert one._run("floor", source=source) == [("",)]
    end = threading.Thread(target=other.apply, args=([completed(source, 0, 5)],))
    end.start()
    end.join(1)
    one._run("put", source=source, row_key=late.row_key, sequence=late.sequence, data=late.data)
    one._run("commit")
    end.join(60)
    assert rows(one, source) == {}, "it waits for who has looked before, and removes what that has put"
    one.close()
    other.close()


def test_two_writers_at_once(connect: Callable[[], Store]) -> None:
    """One puts old states, the other completes a resync and puts new ones."""
    one, other, source = connect(), connect(), table()
    old = [[change(source, key, 0, 1)] for key in range(50)]
    new = [[completed(source, 0, 2)], *([change(source, key, 0, 3)] for key in range(25))]

    def write(store: Store, work: Sequence[Sequence[Change]]) -> None:
        for changes in work:
            store.apply(changes)

    threads = [threading.Thread(target=write, args=args) for args in ((one, old), (other, new))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert rows(one, source) == dict.fromkeys(range(25), "0/3")
    one.close()
    other.close()
