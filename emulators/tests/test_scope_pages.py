"""The pages on the emulators say what the code says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from emulators.tools import scope
from emulators.tools.scope_sections import SECTIONS, scenarios

PAGES = sorted(scope.PAGES.glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_page_is_up_to_date(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    assert text == scope.updated(text), "run `python -m emulators.tools.scope`"


def test_each_section_is_on_one_page() -> None:
    found = [name for page in PAGES for name in sorted(scope.named(page.read_text(encoding="utf-8")))]
    assert sorted(found) == sorted(SECTIONS)


def test_stale_section_is_noticed() -> None:
    page = "before\n<!-- generated: views -->\nstale\n<!-- end -->\nafter\n"
    assert "`sys.tables`" in scope.updated(page) and "stale" not in scope.updated(page)


def test_all_54_scenarios_have_a_test() -> None:
    numbers = {int(number) for number in re.findall(r"(?m)^\| (\d+) \|", scenarios())}
    assert numbers == set(range(1, 55))
