"""What a seed's world has besides: it is drawn on its own, it really has an effect, and the invariants about it can see."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devtools.sim.checks import check
from devtools.sim.dimensions import DIMENSIONS
from devtools.sim.inside.arena import Arena
from devtools.sim.inside.world import InsideWorld
from devtools.sim.lane import MAIN
from devtools.sim.plan import Action, Plan
from devtools.sim.record import Look, Record, Trouble
from devtools.sim.runner import Runner, Tally
from devtools.sim.seeds import FEATURES, make_plan
from devtools.sim.trace import story
from emulators.downstream.attempt import Attempt
from tests.sim.test_checks import PLAN, SETTINGS, broken

PLAIN = FEATURES - set(DIMENSIONS)
ROW = '{"Id":1}'
EFFECTS = {  # a seed of each dimension, and what really happened in it
    1015: "SQL error 229 of rowpost",
    31: "SQL error 8134 of rowpost",
    6: "a relay taken out with rows waiting",
    54: "hang: timers of a recovery",
    20: "interim answer 102",
    62: "a stop of more than an hour",
    34: "a late start that rows waited for",
    1026: "an initial snapshot with rows",
    15: "rows of an order: discard",
}


@pytest.fixture(scope="module")
def healthy() -> Iterator[Record]:
    with Arena() as arena:
        yield InsideWorld(arena, PLAN).run()


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(Path()) as runner:
        yield runner


def test_a_seed_that_draws_none_is_as_it_was_without_them() -> None:
    plans = {seed: make_plan(seed) for seed in range(200)}
    alone = [seed for seed, plan in plans.items() if not plan.dimensions]
    assert len(alone) > 40
    assert all(plans[seed] == make_plan(seed, features=PLAIN) for seed in alone)


def test_each_is_drawn_but_for_those_that_are_switched_off() -> None:
    drawn = Counter(name for seed in range(300) for name in make_plan(seed).dimensions)
    assert set(drawn) == set(DIMENSIONS)
    assert min(drawn.values()) >= 10


@pytest.mark.parametrize("seed", sorted(EFFECTS))
def test_it_really_has_an_effect(runner: Runner, seed: int) -> None:
    record, violations = runner.run(make_plan(seed))
    assert not violations, story(record, violations)
    assert record.took[EFFECTS[seed]]


def test_two_apps_bring_each_row_to_their_own_target(runner: Runner) -> None:
    record, violations = runner.run(make_plan(48))
    assert not violations, story(record, violations)
    (other,) = record.others
    assert (record.lane, other.lane.app) == (MAIN, 1)
    assert set(record.wanted) == set(other.wanted) != set()
    assert record.attempts and other.attempts
    assert broken(record, others=[replace(other, state={})]) == {"delivered"}


def test_the_report_counts_them(runner: Runner) -> None:
    tally = Tally()
    record, _ = runner.run(make_plan(34))
    tally.add(record)
    assert "| starts: " in tally.table()
    assert "| a late start that rows waited for |" in tally.table()
    assert tally.to_json()["dimensions"] == {"starts": 1}


def test_a_row_that_was_posted_again_for_nothing_is_seen(healthy: Record) -> None:
    first = next(attempt for attempt in healthy.attempts if attempt.key == {"Id": 1})
    again = replace(first, number=900, outcome="repeated")
    assert broken(healthy, attempts=[first, again, *healthy.attempts[1:]]) == {"repeats", "sums"}  # the log knows of one event less


def test_a_row_that_is_due_for_an_hour_is_seen(healthy: Record) -> None:
    look = Look(2900.0, None, {'{"Id":3}': ("detached", 1, 5, 1, -2900, None)})
    assert "overdue" in broken(healthy, looks=[*healthy.looks, look])
    excused = [Trouble("denied", 0.0, 2900.0)]
    assert "overdue" not in broken(healthy, looks=[*healthy.looks, look], troubles=excused)


def test_a_right_that_is_gone_without_a_word_is_seen(healthy: Record) -> None:
    assert "told_of_trouble" in broken(healthy, troubles=[Trouble("denied", 600.0, 1800.0)])
    assert "told_of_trouble" not in broken(healthy, troubles=[Trouble("denied", 600.0, 900.0)])
    told = [*healthy.alerts, (900.0, {"id": "notice-unable", "kind": "unable", "relay": "dbo.Orders", "about": None})]
    assert "told_of_trouble" not in broken(healthy, troubles=[Trouble("denied", 600.0, 1800.0)], alerts=told)


def test_what_is_anothers_is_seen(healthy: Record) -> None:
    assert broken(healthy, strangers=["the ledger has records of dbo.Other, which is no relay"]) == {"strangers"}


def test_a_neighbour_of_an_unreadable_row_that_does_not_arrive_is_seen(healthy: Record) -> None:
    late = [(at, text, version + 100 * (text == ROW and at > 100), counts) for at, text, version, counts in healthy.changes]
    blocked = [Trouble("unreadable", 200.0, 3500.0)]
    assert "unreadable" in broken(healthy, changes=late, troubles=blocked)
    assert "unreadable" not in broken(healthy, changes=late, troubles=blocked, spoiled=[(200.0, ROW)])


def test_an_unreadable_rows_error_on_another_one_is_seen(healthy: Record) -> None:
    look = replace(healthy.looks[-1], errors={ROW: "the row cannot be read: SQL Server error 8134"})
    blocked = [Trouble("unreadable", 200.0, 300.0)]
    assert "unreadable" in broken(healthy, looks=[*healthy.looks, look], troubles=blocked)
    assert "unreadable" not in broken(healthy, looks=[*healthy.looks, look], troubles=blocked, spoiled=[(200.0, ROW)])


def test_a_mark_that_does_not_belong_to_its_event_is_seen(healthy: Record) -> None:
    first = next(attempt for attempt in healthy.attempts if attempt.key == {"Id": 1})

    def with_mark(mark: str, header: str) -> Attempt:
        body = {**first.body, "data": {**first.body["data"], "snapshot": mark}}
        return replace(first, number=901, outcome="repeated", body=body, headers={**first.headers, "Rowpost-Snapshot": header})

    for attempt in (with_mark("a", "a"), with_mark("a", "b")):
        assert "marked" in broken(healthy, attempts=[*healthy.attempts, attempt])


def test_a_row_from_before_that_does_not_arrive_is_seen(runner: Runner) -> None:
    record, violations = runner.run(make_plan(1056))
    assert record.took["an initial snapshot with rows"] and not violations, story(record, violations)
    number = next(row["Id"] for row in record.rows.values() if row["Id"] > 100)
    missing = [attempt for attempt in record.attempts if attempt.key != {"Id": number}]
    assert "same" in {violation.rule for violation in check(replace(record, attempts=missing))}


def restored(*changes: Action) -> Plan:
    """A backup, changes, and the backup restored."""
    insert = Action(1, "change", {"ops": [{"do": "insert", "id": 1, "stamp": 1}]})
    actions = (insert, Action(60, "backup"), *changes, Action(200, "restore"))
    return Plan(0, "rowpost", 0, 1, SETTINGS, actions, (), 300)


def test_after_a_restore_what_counts_is_what_a_consumer_has(runner: Runner) -> None:
    record, violations = runner.run(restored())
    assert record.restores == [200.0] and not violations, story(record, violations)
    update = Action(100, "change", {"ops": [{"do": "update", "id": 1, "stamp": 2}]})
    record, _ = runner.run(restored(update))
    assert record.rows[ROW]["Note"] == "note 1"
    before = record.attempts[:2]  # the insert and the update, which the restore takes back
    later = [replace(attempt, body={**attempt.body, "sequence": f"9999999999.{attempt.version:020d}"}) for attempt in before]
    assert {violation.rule for violation in check(replace(record, attempts=later[1:]))} == {"same"}
    assert check(replace(record, attempts=later[:1])) == []
