"""The simulation: fixed seeds, two fresh ones, and a policy that is known to lose rows, so that a clean run means something."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from devtools.sim.__main__ import main, run_plan
from devtools.sim.checks import Violation
from devtools.sim.fleet import Fleet
from devtools.sim.plan import make_plan
from devtools.sim.trace import story

FIXED = (3, 7, 11, 19, 23)
NAIVE_LOSES = 100


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    with Fleet(tmp_path_factory.mktemp("fleet")) as fleet:
        yield fleet


def fresh_seeds() -> list[int]:
    """Two seeds that change from run to run; those of a run come again with its ROWPOST_TEST_SEED."""
    given = os.environ.get("ROWPOST_TEST_SEED")
    rng = random.Random(given) if given else random.SystemRandom()
    return [rng.randrange(10**6, 10**9) for _ in range(2)]


@pytest.mark.parametrize("seed", FIXED)
def test_no_invariant_is_broken_under_a_fixed_seed(fleet: Fleet, seed: int) -> None:
    record, violations = run_plan(fleet, make_plan(seed))
    assert not violations, story(record, violations)
    assert record.attempts


def test_no_invariant_is_broken_under_fresh_seeds(fleet: Fleet) -> None:
    for seed in fresh_seeds():
        print(f"fresh seed {seed}: python dev.py sim --seed {seed}")
        record, violations = run_plan(fleet, make_plan(seed))
        assert not violations, story(record, violations)


def test_the_naive_policy_loses_rows_under_the_same_harness(fleet: Fleet) -> None:
    record, violations = run_plan(fleet, make_plan(NAIVE_LOSES, "naive"))
    assert {violation.rule for violation in violations} == {"delivered"}
    assert "posted version" in story(record, violations)


def test_a_seed_decides_the_whole_plan() -> None:
    assert make_plan(5) == make_plan(5)
    assert make_plan(5) != make_plan(6)
    assert make_plan(5).without({0}).actions == make_plan(5).actions[1:]


def test_a_run_that_breaks_down_is_a_failure(fleet: Fleet, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("devtools.sim.world.World.look", lambda self: 1 / 0)
    _, violations = run_plan(fleet, make_plan(1))
    assert [violation.rule for violation in violations] == ["runs"]


def test_the_command_line_replays_a_seed_and_tells_what_it_injected(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code = main(["--policy", "naive", "--seed", str(NAIVE_LOSES), "--seeds", "1", "--shrink", "0", "--directory", str(tmp_path)])
    told = capsys.readouterr().out
    assert code == 1
    assert f"FAILED seed {NAIVE_LOSES}" in told
    assert f"--policy naive --seed {NAIVE_LOSES}" in told
    assert "hosts killed" in told
    assert str(Violation("delivered", "")).strip() in told
