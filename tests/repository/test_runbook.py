"""The runbook has a section for each notice and each class of errors, and each says what it means, what to look at, what to do."""

from __future__ import annotations

import re
from typing import get_args

import pytest

from rowpost.notices.message import Kind
from rowpost.rules.error_class import ERROR_CLASSES
from tests.repository.test_links import ROOT, anchors

PAGE = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
NOTICES, ERRORS = sorted(get_args(Kind)), sorted(ERROR_CLASSES)
_SECTION = re.compile(r"(?m)^## (Notice|Error): (\w+)\n(.*?)(?=^## |\Z)", re.DOTALL)
SECTIONS = {f"{kind.lower()}-{name}": text for kind, name, text in _SECTION.findall(PAGE)}
WANTED = [*(f"notice-{kind}" for kind in NOTICES), *(f"error-{name}" for name in ERRORS)]


@pytest.mark.parametrize("anchor", WANTED)
def test_each_notice_and_error_has_a_section_that_helps(anchor: str) -> None:
    assert anchor in anchors(PAGE)
    parts = re.findall(r"(?m)^\*\*(It means|Look at|Do)\*\* (.+)$", SECTIONS[anchor])
    assert [name for name, _ in parts] == ["It means", "Look at", "Do"]


def test_no_section_is_of_a_notice_or_an_error_that_there_is_not() -> None:
    assert sorted(SECTIONS) == sorted(WANTED)


def test_it_begins_with_what_to_do_first() -> None:
    assert re.findall(r"(?m)^## (.+)$", PAGE)[0] == "What to do first"
    assert len(PAGE.partition("## The calls that you need")[0].splitlines()) < 60
