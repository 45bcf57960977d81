"""The rule that the app's numbers are those of the world finds a place that is told wrongly, and a row that nobody has."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import rowpost.database.statements
from devtools.sim.runner import Runner
from devtools.sim.seeds import make_plan

SEED = 700001  # rows of it are in flight, retrying, detached and pending at some look


@pytest.fixture
def runner() -> Iterator[Runner]:
    with tempfile.TemporaryDirectory() as directory, Runner(Path(directory)) as runner:
        yield runner


def broken(runner: Runner) -> set[str]:
    return {violation.rule for violation in runner.run(make_plan(SEED))[1]}


def test_an_app_that_counts_right_breaks_nothing(runner: Runner) -> None:
    assert broken(runner) == set()


@pytest.mark.parametrize(
    ("name", "text"),
    [("fragments/place_of_lease", "'pending'"), ("status", "SELECT State, COUNT(*) FROM rowpost.Ledger GROUP BY State;")],
    ids=["a wrong place", "rows in no field"],
)
def test_numbers_that_are_wrong_are_found(runner: Runner, monkeypatch: pytest.MonkeyPatch, name: str, text: str) -> None:
    body = rowpost.database.statements.body
    monkeypatch.setattr(rowpost.database.statements, "body", lambda asked: text if asked == name else body(asked))
    assert "numbers" in broken(runner)
