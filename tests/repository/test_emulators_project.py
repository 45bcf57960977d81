"""emulators/pyproject.toml asks for the same versions as the requirements of the repository."""

from __future__ import annotations

import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_the_emulators_ask_for_the_same_versions() -> None:
    project = tomllib.loads((ROOT / "emulators" / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["tests"]]
    files = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
    known = {line.replace('"', "'") for file in files for line in file.read_text(encoding="utf-8").splitlines()}
    assert [line for line in asked if line not in known] == []
