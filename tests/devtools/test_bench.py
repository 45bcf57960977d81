"""The benchmark, in a short form: it runs, and what it counts does not grow with the rows where it must not."""

from __future__ import annotations

from math import ceil
from pathlib import Path

import pytest

from devtools.bench import scripts
from devtools.bench_operate import PATHS, TARGET_MS, Answered, measure_operate, operate_grid
from devtools.bench_outage import measure_outage, outage_grid
from devtools.bench_recovery import Cost, measure_recovery, recovery_grid, statement_count
from devtools.bench_throughput import Setting, measure_parts, measure_throughput, parts_grid, throughput_grid
from rowpost.database.ledger import CHUNK_ROWS

FEW, MANY = 300, 2_600
PLANNED_ROWS = 500  # of one statement that plans
CHUNKED = {"dead letters: tell": 4, "replay": 3}  # round trips besides those for each chunk


@pytest.fixture(scope="module")
def costs(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, int], Cost]:
    directory = tmp_path_factory.mktemp("bench")
    config, tables = scripts(directory / "scripts", 'watch = ["Total"]\n')
    found = measure_recovery(directory / "world", config, tables, (FEW, MANY), lambda text: None)
    assert recovery_grid(found).row_count == len(found)
    return {(cost.name, cost.held): cost for cost in found}


def planning(costs: dict[tuple[str, int], Cost]) -> list[str]:
    return [name for name, held in costs if held == FEW and "plan " in f"{name} " and name != "survey, nothing to plan"]


def test_planning_takes_a_round_trip_a_chunk_however_many_rows_are_held(costs: dict[tuple[str, int], Cost]) -> None:
    assert len(planning(costs)) == 4
    for name in planning(costs):
        for held in (FEW, MANY):
            cost = costs[name, held]
            assert cost.round_trips <= ceil(held / PLANNED_ROWS) + 2, cost
            assert cost.statements <= 30 * cost.round_trips, cost


def test_what_changes_many_rows_at_once_does_it_in_chunks(costs: dict[tuple[str, int], Cost]) -> None:
    for name, besides in CHUNKED.items():
        assert costs[name, FEW].round_trips + 1 == costs[name, MANY].round_trips <= ceil(MANY / CHUNK_ROWS) + besides, name


def test_all_else_takes_as_many_statements_for_many_rows_as_for_few(costs: dict[tuple[str, int], Cost]) -> None:
    others = {name for name, _ in costs} - {*planning(costs), *CHUNKED}
    assert len(others) >= 12
    for name in others:
        few, many = costs[name, FEW], costs[name, MANY]
        assert (few.round_trips, few.statements) == (many.round_trips, many.statements), name
        assert many.round_trips <= 4, many


def test_the_wait_for_the_lock_of_the_trigger_is_seen(costs: dict[tuple[str, int], Cost]) -> None:
    planned = costs["hold: plan exhausted rows", MANY]
    assert 0 < planned.lock_seconds < planned.seconds


def test_statements_are_counted_with_their_branches() -> None:
    assert statement_count("DECLARE @a int = ?; SELECT @a; IF @a = 1 BEGIN UPDATE t SET a = 1; DELETE t; END ELSE SELECT 2;") == 5


def test_an_outage_is_told_hour_by_hour(tmp_path: Path) -> None:
    config, tables = scripts(tmp_path / "scripts")
    periods = measure_outage(tmp_path / "world", config, tables, 120, 3, lambda text: None)
    first, *others = [period for period in periods if period.name.startswith("hour ")]
    assert first.batches >= 10  # two batches, five built-in attempts
    assert first.posts > max(hour.posts for hour in others)  # the circuit breaker is open since: only probes
    assert not any(hour.batches for hour in others)
    assert sum(period.posts for period in periods[3:]) >= 120
    assert all(hour.steps > 0 and hour.app_trips > 0 for hour in (first, *others))
    shown = outage_grid(periods, 120)
    assert shown.row_count == 2 + 2


def test_the_throughput_of_a_relay_stands_beside_the_law_of_its_loop(tmp_path: Path) -> None:
    config, tables = scripts(tmp_path / "scripts")
    found = measure_throughput(tmp_path / "run", config, tables, Setting(1, 50, 100), 4)
    assert found.busy_seconds > 0
    assert found.law == 50 / (0.1 + found.busy_seconds)
    assert 0.2 * found.law < found.rate < 2 * found.law
    assert throughput_grid([found]).row_count == 1


def test_the_cpu_time_of_a_row_does_not_grow_with_its_batch(tmp_path: Path) -> None:
    config, tables = scripts(tmp_path / "scripts")
    few, many = (measure_parts(tmp_path / str(rows), config, tables, 1, rows, 4) for rows in (50, 500))
    assert many.claim < 2 * few.claim and many.encode < 2 * few.encode
    assert min(few.claim, few.encode, few.rest) > 0
    assert parts_grid([few, many]).row_count == 2


def test_each_answer_of_the_api_is_timed_while_rows_wait(tmp_path: Path) -> None:
    config, tables = scripts(tmp_path / "scripts")
    found = measure_operate(tmp_path / "world", config, tables, 200, lambda text: None)
    assert len(found) == len(PATHS) and all(each.median > 0 for each in found)
    slow = [Answered("/api/slow", 1, TARGET_MS + 1), Answered("/api/quick", 1, 1)]
    assert list(operate_grid(slow, 200).columns[3].cells) == ["too long", ""]
