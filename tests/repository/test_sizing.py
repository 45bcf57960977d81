"""The tables of docs/sizing.md are what their formulas say."""

from __future__ import annotations

import re

from devtools.cost import Prices
from tests.repository.test_links import ROOT

PAGE = (ROOT / "docs" / "sizing.md").read_text(encoding="utf-8")
LOCK_MS = 40  # docs/deploy.md: each poll holds the lock for so long


def test_the_lock_is_in_use_as_the_formula_says() -> None:
    rows = re.findall(r"(?m)^\| (\d+) \| (\d+) % \| (\d+) % \|$", PAGE)
    assert len(rows) == 4
    for relays, *shares in rows:
        assert [int(share) for share in shares] == [round(int(relays) * LOCK_MS / (pause + LOCK_MS) * 100) for pause in (1000, 300)]


def test_the_rates_are_those_of_the_law() -> None:
    rows = re.findall(r"(?m)^\| ([\d,]+) \| (.+) \| ([\d,]+) \|$", PAGE)
    assert len(rows) == 4
    batch, pause = 100, 1000
    for wanted, setting, law in rows:
        for name, value in re.findall(r"\b([BP]) = ([\d,]+)", setting):
            number = int(value.replace(",", ""))
            batch, pause = (number, pause) if name == "B" else (batch, number)
        if "P" not in setting:
            pause = 1000
        assert int(law.replace(",", "")) == int(batch / (pause / 1000 + 0.3)) >= int(wanted.replace(",", ""))
        batch = 100


def test_a_million_operations_cost_some_cents() -> None:
    assert 0.01 < Prices().ten_thousand_operations * 100 < 0.10
