"""Paths that the pages name between backticks exist: a page that is behind the code leads a reader astray."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
_FENCE = re.compile(r"(?ms)^ *(`{3,}|~{3,}).*?^ *\1`*~* *$")
_CODE = re.compile(r"`([^`\n]+)`")
_PATH = re.compile(r"[\w.-]+(?:/[\w.-]+)*/?")


def listed(*patterns: str) -> list[str]:
    """The files that git knows or would take."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", *patterns]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout.splitlines()
    return sorted({name for name in names if (ROOT / name).is_file()})


FILES = listed()
FOLDERS = {name.partition("/")[0] for name in FILES if "/" in name}
NAMES = {name.rpartition("/")[2] for name in FILES}


def missing(page: str, *bases: Path) -> list[str]:
    """What a page names and the repository does not have: paths from its root, and bare names of Python and SQL files.

    Args:
        page: the text.
        bases: further folders that the page's paths may begin at, such as the project that it belongs to.
    """
    found = []
    for token in _CODE.findall(_FENCE.sub("", page)):
        if not _PATH.fullmatch(token):
            continue
        folder, slash, _ = token.partition("/")
        if slash and folder in FOLDERS:
            if not any((base / token).exists() or (base / f"{token}.py").exists() for base in (ROOT, *bases)):
                found.append(token)
        elif not slash and re.search(r"\w\.(?:py|sql)$", token) and token not in NAMES:
            found.append(token)
    return found


@pytest.mark.parametrize("name", listed("*.md"))
def test_every_path_exists(name: str) -> None:
    project = [ROOT / "emulators"] if name.startswith("emulators/") else []
    assert missing((ROOT / name).read_text(encoding="utf-8"), *project) == []


def test_a_path_that_does_not_exist_is_seen() -> None:
    page = "`infra/sql/20-rowpost.sql`, `infra/sql/99-none.sql`, `tests/nowhere/`, `20-rowpost.sql`, `none.sql`, `dev.py`, `no.py`"
    assert missing(page) == ["infra/sql/99-none.sql", "tests/nowhere/", "none.sql", "no.py"]


def test_what_is_no_path_of_the_repository_is_left_alone() -> None:
    page = "`application/json`, `GET /api/relays`, `orchestrators/instances`, `devtools/*.py`\n```\n`tests/no.py`\n```\n"
    assert missing(page) == []


def test_there_is_something_to_check() -> None:
    assert sum(len(_CODE.findall((ROOT / name).read_text(encoding="utf-8"))) for name in listed("*.md")) > 100
