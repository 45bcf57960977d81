"""The formula of what Rowpost costs, and that each figure of docs/cost.md is what the command says."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from devtools.cost import Load, Prices, batches, main, monthly

PAGE = Path(__file__).resolve().parents[2] / "docs" / "cost.md"
_EXAMPLE = re.compile(r"```console\n\$ python3 dev\.py cost (.*)\n((?:.+\n)*)```")
_PRICES = re.compile(r"(?m)^\| (`--[^|]+`) \| ([0-9., ]+) \|")


@pytest.mark.parametrize("example", _EXAMPLE.findall(PAGE.read_text(encoding="utf-8")), ids=lambda example: example[0])
def test_an_example_shows_what_the_command_says(example: tuple[str, str], capsys: pytest.CaptureFixture[str]) -> None:
    arguments, shown = example
    assert main(shlex.split(arguments)) == 0
    assert capsys.readouterr().out == shown


def test_there_are_three_examples_and_the_prices_are_the_defaults() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert len(_EXAMPLE.findall(text)) == 3
    shown: dict[str, float] = {}
    for names, values in _PRICES.findall(text):
        shown |= zip(re.findall(r"--([\w-]+)", names), map(float, values.split(",")), strict=True)
    assert {name.replace("-", "_"): value for name, value in shown.items()} == vars(Prices())


def test_the_baseline_grows_with_relays_and_memory_and_not_with_rows() -> None:
    def baseline(load: Load) -> float:
        return next(value for name, value in monthly(load, Prices()).items() if "always-ready" in name)

    assert baseline(Load(1, 0)) == pytest.approx(2 * 0.5 * 730 * 3600 * 0.000004)
    assert baseline(Load(19, 0)) == pytest.approx(10 * baseline(Load(1, 1e6)))
    assert baseline(Load(1, 0, memory=2.0)) == pytest.approx(4 * baseline(Load(1, 0)))


def test_there_are_no_more_batches_than_rows_and_none_that_the_trigger_cannot_hand_out() -> None:
    assert batches(Load(1, 1000)) == 1000
    assert batches(Load(1, 1000, batch_rows=10)) == 100
    assert batches(Load(2, 1e9)) == pytest.approx(2 * 86400 / 1.3)


def test_what_is_left_out_costs_nothing() -> None:
    load = Load(3, 1000)
    assert monthly(replace(load, private=False), Prices())["private endpoint"] == 0
    assert monthly(load, Prices(database=0))["database"] == 0


@pytest.mark.parametrize("arguments", [["--relays", "0"], ["--rows", "-1"], ["--batch-rows", "0"]])
def test_senseless_numbers_are_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit):
        main(arguments)
