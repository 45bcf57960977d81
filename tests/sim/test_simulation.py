"""The simulation: fixed seeds, fresh ones, a policy and defects that are known to fail, so that a clean run means something."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from devtools.sim.__main__ import main
from devtools.sim.judging import Violation
from devtools.sim.plan import Action
from devtools.sim.runner import Runner, fingerprint
from devtools.sim.seeds import make_plan
from devtools.sim.trace import folded, story

FIXED = (0, 1, 3, 4, 5, 7, 9)
OVER_THE_WIRE = (3,)
FRESH = 4
TWICE = (4, 45)  # several workers, with crashes and stalls
NAIVE_LOSES = range(120, 136)
FOUND_BY = 5000, "holds"  # the seed that finds the defect no-hold, and by which invariant


@pytest.fixture(scope="module")
def runner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("inside")) as runner:
        yield runner


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runner]:
    with Runner(tmp_path_factory.mktemp("wire"), wire=True) as runner:
        yield runner


def fresh_seeds() -> list[int]:
    """Seeds that change from run to run; those of a run come again with its ROWPOST_TEST_SEED."""
    given = os.environ.get("ROWPOST_TEST_SEED")
    rng = random.Random(given) if given else random.SystemRandom()
    return [rng.randrange(10**6, 10**9) for _ in range(FRESH)]


@pytest.mark.parametrize("seed", FIXED)
def test_no_invariant_is_broken_under_a_fixed_seed(runner: Runner, seed: int) -> None:
    record, violations = runner.run(make_plan(seed))
    assert not violations, story(record, violations)
    assert record.attempts


def test_no_invariant_is_broken_under_fresh_seeds(runner: Runner) -> None:
    for seed in fresh_seeds():
        print(f"fresh seed {seed}: python dev.py sim --seed {seed}")
        record, violations = runner.run(make_plan(seed))
        assert not violations, story(record, violations)


@pytest.mark.parametrize("seed", OVER_THE_WIRE)
def test_no_invariant_is_broken_over_the_wire(wire: Runner, seed: int) -> None:
    record, violations = wire.run(make_plan(seed))
    assert not violations, story(record, violations)
    assert record.attempts


@pytest.mark.parametrize("seed", TWICE)
def test_a_seed_replays_exactly(runner: Runner, seed: int) -> None:
    first, _ = runner.run(make_plan(seed))
    with Runner(Path()) as another:
        second, _ = another.run(make_plan(seed))
    assert first.effects == second.effects
    assert fingerprint(first) == fingerprint(second)
    assert len(first.effects) > 100


def test_the_naive_policy_loses_rows_under_the_same_harness(runner: Runner) -> None:
    rules = set()
    for seed in NAIVE_LOSES:
        record, violations = runner.run(make_plan(seed, "naive"))
        rules |= {violation.rule for violation in violations}
        if violations:
            assert "posted version" in story(record, violations)
            break
    assert rules == {"delivered"}


@pytest.mark.parametrize(("seed", "fault"), [(155, "kill renew"), (111, "stall")])
def test_a_lease_renewal_can_be_met(runner: Runner, seed: int, fault: str) -> None:
    plan = make_plan(seed)
    record, violations = runner.run(plan)
    assert not violations, story(record, violations)
    struck = [action.kind for action in plan.actions if action.values.get("how") == "renew"]
    assert struck and record.faults[fault]


def test_clock_jumps_meet_live_leases() -> None:
    near = []
    for seed in range(300):
        actions = make_plan(seed).actions
        changes = [action.at for action in actions if action.kind == "change"]
        near += [any(0 <= action.at - at <= 3.1 for at in changes) for action in actions if action.kind == "clock"]
    assert sum(near) >= 4  # by chance alone none in 27


def test_lines_that_differ_in_numbers_only_are_folded() -> None:
    rounds = [(60.0 * n + late, f"{what} {n}") for n in range(9) for late, what in ((0, "posted version"), (1, "ledger: round"))]
    lines = folded([(0.0, "changed"), *rounds, (999.0, "the end")])
    twice = ["posted version 0", "ledger: round 0", "posted version 1", "ledger: round 1"]
    assert [line[11:] for line in lines[:5]] == ["changed", *twice]
    assert lines[5:] == ["... 14 more like these until 0:08:01.0", "0:16:39.0  the end"]


def test_a_seed_decides_the_whole_plan() -> None:
    assert make_plan(5) == make_plan(5)
    assert make_plan(5) != make_plan(6)


def test_a_smaller_plan_changes_only_rows_that_are_there() -> None:
    plan = make_plan(5)
    inserts = {index for index, action in enumerate(plan.actions) if "insert" in json.dumps(action.values.get("ops", ""))}
    assert inserts
    assert not [action for action in plan.without(inserts).actions if action.kind == "change"]


def test_a_run_that_breaks_down_is_a_failure(runner: Runner) -> None:
    _, (violation,) = runner.run(replace(make_plan(1), actions=(Action(1.0, "nobody knows this", {}),)))
    assert violation.rule == "runs" and "no such action" in violation.text


def test_the_command_line_tells_the_first_failing_seed_and_how_to_replay_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    report = tmp_path / "report.json"
    seed, rule = FOUND_BY
    code = main(["--mutant", "no-hold", "--seed", str(seed), "--seeds", "3", "--shrink", "1", "--report", str(report)])
    told = capsys.readouterr().out
    assert code == 1
    assert f"FAILED seed {seed}" in told
    assert f"--seed {seed} --mutant no-hold" in told
    assert f"[{rule}]" in told and str(Violation(rule, "")).strip() in told
    tally = json.loads(report.read_text())
    assert tally["failed"][0] == seed
    assert tally["posts"] > 0 and tally["effects"] > tally["posts"]
