"""What people and editors expect of a repository: the files are there, and say what is so."""

from __future__ import annotations

import importlib.util
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]
FILES = [
    "LICENSE",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CHANGELOG.md",
    ".editorconfig",
    ".gitattributes",
    ".github/pull_request_template.md",
]
EDITOR = sorted([*(ROOT / ".vscode").glob("*.json"), ROOT / ".devcontainer" / "devcontainer.json"])


def load(path: str) -> Any:
    return json.loads((ROOT / path).read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", FILES)
def test_it_is_there(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8").strip()


def test_the_licence_is_mit() -> None:
    first, _, rest = (ROOT / "LICENSE").read_text().partition("\n")
    assert first == "MIT License" and "Rowpost contributors" in rest


@pytest.mark.parametrize("path", EDITOR, ids=lambda path: path.name)
def test_editors_can_read_their_files(path: Path) -> None:
    assert json.loads(path.read_text(encoding="utf-8"))


def test_every_task_that_runs_dev_py_is_a_subcommand_of_it() -> None:
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None and spec.loader is not None
    dev = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(dev)
    tasks = load(".vscode/tasks.json")["tasks"]
    used = {match[1] for task in tasks if (match := re.match(r"python3 dev\.py (\w+)", task["command"]))}
    assert {"demo", "start", "test", "check"} <= used <= set(dev.SUBCOMMANDS)


def test_debugging_starts_with_a_task_that_exists() -> None:
    labels = {task["label"] for task in load(".vscode/tasks.json")["tasks"]}
    needed = {entry["preLaunchTask"] for entry in load(".vscode/launch.json")["configurations"] if "preLaunchTask" in entry}
    for task in load(".vscode/tasks.json")["tasks"]:
        needed |= set(task.get("dependsOn", []))
    assert needed and needed <= labels


def test_the_editor_and_the_linter_agree_on_the_length_of_a_line() -> None:
    length = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["ruff"]["line-length"]
    assert f"max_line_length = {length}\n" in (ROOT / ".editorconfig").read_text()


def test_editor_settings_are_not_ignored() -> None:
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert not {".vscode", ".vscode/", ".devcontainer/", ".github/"} & set(ignored)


def test_templates_are_short() -> None:
    for path in (ROOT / ".github").rglob("*"):
        if path.is_file() and ("template" in path.name or path.parent.name == "ISSUE_TEMPLATE"):
            assert len(path.read_text().splitlines()) <= 30, path.name
