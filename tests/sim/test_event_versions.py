"""The version of an event is never newer than its data, whatever is written between the two round trips of a claim."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devtools.sim.plan import Action, Plan
from devtools.sim.runner import Runner
from tests.sim.test_mutants import SETTINGS, change, plan, rules, strike

AGAIN_AND_AGAIN = replace(SETTINGS, attempts=5)
SEEDS = range(6)  # which worker gets a row differs from seed to seed


def stalled_claim(seconds: float, *actions: Action) -> Plan:
    """A worker stands still between the two round trips of a claim; row 2 has a record, so that there is a second one."""
    return plan(
        2,
        600,
        rules(0.5, (2, 500, None)),
        change(1, r2="insert"),
        strike(15, "stall", 0, "claim", late=True, seconds=seconds),
        change(20, r1="insert"),
        *actions,
        pace=0.0,
        settings=AGAIN_AND_AGAIN,
    )


SCENARIOS = {
    # The lease lapses, another worker gets the newer state and fails with it once.
    "a failure of the newer state": stalled_claim(85, change(40, r1="update"), rules(40.1, (2, 500, None), (1, 500, 1))),
    # The lease is still this worker's: the answer of the database took ten seconds.
    "a resync": stalled_claim(10, change(23, r1="update"), Action(24, "command", {"do": "resync"})),
}


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with Runner(Path()) as runner:
        yield runner


@pytest.mark.parametrize("what", sorted(SCENARIOS))
def test_old_data_never_travels_under_a_newer_version(runner: Runner, what: str) -> None:
    for seed in SEEDS:
        _, violations = runner.run(replace(SCENARIOS[what], seed=seed))
        assert violations == []
