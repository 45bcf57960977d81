"""Deliberate defects of the app are found: each by a scenario that meets it, which the app as it is survives."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from devtools.sim.dimensions import DIMENSIONS
from devtools.sim.mutants import MUTANTS
from devtools.sim.plan import Action, Plan, Settings
from devtools.sim.runner import Runner
from devtools.sim.seeds import FEATURES, make_plan

SETTINGS = Settings(attempts=1, strategy="fixed", first_delay=30, detach_after_rounds=1, breaker_failures=100, concurrency=1)
SEEDS = range(40)  # which worker gets a row differs from seed to seed


def plan(hosts: int, length: float, *actions: Action, pace: float = 0.01, settings: Settings = SETTINGS) -> Plan:
    return Plan(0, "rowpost", 0, hosts, settings, actions, (), length, pace)


def change(at: float, **rows: str) -> Action:
    """One transaction: ``r1="insert"``."""
    ops = [{"do": do, "id": int(name[1:]), "stamp": int(at * 10) + 1} for name, do in rows.items()]
    return Action(at, "change", {"ops": ops})


def rules(at: float, *wanted: tuple[int, int, int | None]) -> Action:
    """Answers by row: number, status, how often."""
    found = [{"match": {"path": "/rows", "key": {"Id": key}}, "status": status, "times": times} for key, status, times in wanted]
    return Action(at, "rules", {"rules": found})


def strike(at: float, kind: str, host: int, how: str, *, late: bool, **values: Any) -> Action:
    return Action(at, kind, {"host": host, "how": how, "skip": 0, "late": 0.02 if late else 0, **values})


SCENARIOS = {
    # Five hand-outs end without an outcome between two rounds of the watchdog; then another row is delivered and moves the cursor.
    "no-guard": plan(
        1,
        900,
        change(310, r1="insert"),
        *(strike(310.1, "kill", 0, "claim", late=False, down=1) for _ in range(5)),
        change(575, r2="insert"),
    ),
    # A worker stands still with an answer to version 1 in its hands; version 2 fails meanwhile, and is in the ledger alone.
    "clear-any-version": plan(
        2,
        1200,
        rules(0.5, (1, 500, 1)),
        change(1, r1="insert", r2="insert"),
        strike(20, "stall", 0, "post", late=True, seconds=300),
        change(95, r1="update"),
        rules(95.1, (1, 500, 12)),
        change(240, r2="update"),
        change(250, r2="update"),
    ),
    # A worker stands still between hand-out and claim; another one delivers the row, which changes as the first one wakes.
    "post-for-others": plan(
        2,
        300,
        rules(0.5, (2, 500, None)),  # it is held: the cursor stays before it, and no lease is swept away
        change(1, r2="insert"),
        strike(15, "stall", 0, "claim", late=False, seconds=100.5),
        change(20, r1="insert"),
        *(change(110 + number * 0.35, r1="update") for number in range(40)),
        pace=0.0,
        settings=replace(SETTINGS, first_delay=600, detach_after_rounds=100),
    ),
}


def command(at: float, do: str, **values: Any) -> Action:
    return Action(at, "command", {"do": do, **values})


OF_ORDERS = {  # and the rule that they break
    "deaf-to-the-pause": (plan(1, 600, command(20, "pause"), change(150, r1="insert"), command(300, "resume")), "paused"),
    "resume-unheard": (plan(1, 600, command(20, "pause"), change(40, r1="insert"), command(60, "resume")), "resumed"),
    "pause-gives-up": (
        plan(
            1,
            2600,
            command(20, "pause"),
            change(40, r1="insert"),
            command(2400, "resume"),
            settings=replace(SETTINGS, window=1800),
        ),
        "deaths",
    ),
    # A worker has the newer change of a row in its hands when the former one is given up, and dies.
    "discard-unguarded": (
        plan(
            2,
            900,
            rules(0.5, (1, 500, 2)),  # it is detached then: the newer change is handed out at once
            change(1, r1="insert"),
            *(strike(38, "stall", host, "post", late=False, seconds=40) for host in (0, 1)),
            change(40, r1="update"),
            command(45, "discard", body={"all": True}),
            *(strike(46, "kill", host, "now", late=False, down=1) for host in (0, 1)),
        ),
        "delivered",
    ),
}
SURVIVES = {"settle-any-version"}  # a lease that a stale settlement overwrites gets an older version: the row is handed out again
BY_SEED = {
    "no-hold": 5000,
    "late-delays": 5005,
    "redeliver-without-lease": 7013,
    "trust-the-trigger": 301872,
    "post-behind-the-breaker": 8021,
    "count-all-failures": 8000,
    "settle-stale": 8005,
    "dead-at-once": 8002,
    "rounds-stand-still": 8000,
    "deaf-to-retry-after": 8008,
    "no-mails": 8011,
    "first-alarm-only": 8000,
    "no-dead-letter-notice": 8008,
    "no-recovered-notice": 8002,
    "new-id-each-time": 8000,
    "decimals-as-numbers": 8000,
}
BY_DIMENSION = {  # seeds that have the dimension in which the defect shows; restores alone shows that of epochs
    "breaker-by-relay": 20001,
    "ledger-by-table": 20002,
    "delete-what-is-missing": 20011,
    "no-bisection": 20169,
    "wake-what-hangs": 20031,
    "one-id-for-all-tries": 20026,
    "exceptions-take-the-batch": 20099,
    "interim-is-final": 20015,
    "unable-untold": 20024,
    "rest-untold": 20122,
    "epoch-ignored": 20051,
    "rest-is-not-sent": 20228,
    "no-search": 20228,
    "deaf-to-pauses": 20285,
}
WITH_BATCHES = {"rest-is-not-sent", "no-search", "deaf-to-pauses"}
OF_BATCHES = {  # a scenario, and the rule that finds the defect
    "missing-is-delivered": (
        plan(
            1,
            200,
            Action(0.5, "rules", {"rules": [{"match": {"path": "/rows", "key": {"Id": 1}}, "status": 422, "omit": True}]}),
            change(1, r1="insert", r2="insert"),
            rules(100),
            settings=replace(SETTINGS, batch=10, answers_each=207),
        ),
        "delivered",
    ),
    "refused-by-inference": (
        plan(
            1,
            200,
            rules(0.5, (4, 422, None)),
            change(1, r1="insert", r2="insert", r3="insert", r4="insert"),
            settings=replace(SETTINGS, batch=10, rejected="dead_letter"),
        ),
        "deaths",
    ),
}
OF_FILTERS = {"leaves-unsaid": 62, "echo-unproved": 26, "base-unproved": 26}
OF_SNAPSHOTS = {"position-first": 1018, "page-of-the-future": 1056, "mark-by-record": 1018, "snapshot-each-time": 1056}
OF_NUMBERS = {"wrong-place": 700001, "records-only": 700001}  # rows are in flight, retrying, detached and pending at some look
PLAIN = FEATURES - set(DIMENSIONS)


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(Path()) as runner:
        yield runner


def broken(runner: Runner, mutant: str | None, scenario: Plan, seeds: range) -> set[str]:
    """The rules that the first failing seed breaks."""
    runner.mutant = mutant
    for seed in seeds:
        _, violations = runner.run(replace(scenario, seed=seed))
        if violations:
            return {violation.rule for violation in violations}
    return set()


@pytest.mark.parametrize("mutant", sorted(SCENARIOS))
def test_a_scenario_finds_the_defect_and_nothing_else(runner: Runner, mutant: str) -> None:
    assert broken(runner, None, SCENARIOS[mutant], range(3)) == set()
    assert broken(runner, mutant, SCENARIOS[mutant], SEEDS) & {"delivered", "cursor", "order"}


@pytest.mark.parametrize("mutant", sorted(OF_BATCHES))
def test_a_scenario_with_batches_finds_the_defect(runner: Runner, mutant: str) -> None:
    scenario, rule = OF_BATCHES[mutant]
    assert broken(runner, None, scenario, range(3)) == set()
    assert rule in broken(runner, mutant, scenario, SEEDS)


@pytest.mark.parametrize("mutant", sorted(OF_ORDERS))
def test_a_scenario_with_orders_finds_the_defect(runner: Runner, mutant: str) -> None:
    scenario, rule = OF_ORDERS[mutant]
    assert broken(runner, None, scenario, range(3)) == set()
    assert rule in broken(runner, mutant, scenario, SEEDS)


@pytest.mark.parametrize("mutant", sorted(BY_SEED))
def test_a_seed_finds_the_defect(runner: Runner, mutant: str) -> None:
    runner.mutant = mutant
    assert runner.run(make_plan(BY_SEED[mutant], features=PLAIN))[1]


@pytest.mark.parametrize("mutant", sorted(BY_DIMENSION | OF_SNAPSHOTS))
def test_a_dimension_finds_the_defect_and_nothing_else(runner: Runner, mutant: str) -> None:
    own = {"epoch-ignored": "restores", **dict.fromkeys(OF_SNAPSHOTS, "snapshots")}.get(mutant)
    left_out = {"restores", "filters", "snapshots", "orders"} - {own}
    left_out |= {"batches"} if mutant not in WITH_BATCHES else set()
    plan = make_plan((BY_DIMENSION | OF_SNAPSHOTS)[mutant], features=FEATURES - left_out)
    runner.mutant = None
    assert runner.run(plan)[1] == []
    runner.mutant = mutant
    assert runner.run(plan)[1]


@pytest.mark.parametrize("mutant", sorted(OF_FILTERS))
def test_a_filter_shows_the_defect_and_nothing_else(runner: Runner, mutant: str) -> None:
    plan = make_plan(OF_FILTERS[mutant], features=PLAIN | {"filters"})
    runner.mutant = None
    assert runner.run(plan)[1] == []
    runner.mutant = mutant
    assert {violation.rule for violation in runner.run(plan)[1]} == {"same"}


@pytest.mark.parametrize("mutant", sorted(OF_NUMBERS))
def test_numbers_that_are_wrong_are_found(runner: Runner, mutant: str) -> None:
    plan = make_plan(OF_NUMBERS[mutant], features=FEATURES - {"snapshots", "orders"})
    runner.mutant = None
    assert runner.run(plan)[1] == []
    runner.mutant = mutant
    assert "numbers" in {violation.rule for violation in runner.run(plan)[1]}


def test_each_defect_is_looked_for() -> None:
    known = (SCENARIOS, OF_BATCHES, BY_SEED, BY_DIMENSION, OF_FILTERS, OF_SNAPSHOTS, OF_NUMBERS, OF_ORDERS, SURVIVES)
    assert set(MUTANTS) == {name for names in known for name in names}
