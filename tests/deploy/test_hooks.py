"""The hooks: valid in their shells, the same on both systems, and safe to repeat."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from devtools.data import DEMO_CONFIG
from tests.deploy.bicep import ROOT, nodes

HOOKS = ROOT / "infra" / "hooks"
SHELL = sorted(HOOKS.glob("*.sh"))
POWERSHELL = sorted(HOOKS.glob("*.ps1"))
_PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


def by_name(path: Path) -> str:
    return path.name


def tool(name: str) -> str:
    """A program of this Python's environment."""
    found = shutil.which(name, path=str(Path(sys.executable).parent)) or shutil.which(name)
    assert found, f"{name} is missing: pip install -r requirements-dev.txt"
    return found


@pytest.mark.skipif(sys.platform == "win32", reason="no sh")
@pytest.mark.parametrize("path", SHELL, ids=by_name)
def test_a_posix_shell_reads_the_script(path: Path) -> None:
    subprocess.run(["sh", "-n", path], check=True)
    assert path.read_text(encoding="utf-8").startswith("#!/bin/sh\n")


@pytest.mark.parametrize("path", SHELL, ids=by_name)
def test_shellcheck_finds_nothing(path: Path) -> None:
    done = subprocess.run([tool("shellcheck"), "--shell=sh", "--severity=style", path], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def errors(source: bytes) -> list[int]:
    root = _PARSER.parse(source).root_node
    return [node.start_point.row + 1 for node in nodes(root) if node.type == "ERROR" or node.is_missing]


@pytest.mark.parametrize("path", POWERSHELL, ids=by_name)
def test_a_powershell_grammar_reads_the_script(path: Path) -> None:
    assert errors(path.read_bytes()) == []
    assert errors(path.read_bytes() + b"\nif ($x { 'a' }\n")


@pytest.mark.parametrize("path", POWERSHELL, ids=by_name)
def test_a_failure_ends_the_powershell_script(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert "$ErrorActionPreference = 'Stop'" in text
    calls = text.count("\n& ")
    assert calls and text.count("exit $LASTEXITCODE") == calls  # the preference does not hold for programs


@pytest.mark.parametrize("path", SHELL, ids=by_name)
def test_a_failure_ends_the_shell_script(path: Path) -> None:
    assert "\nset -eu\n" in path.read_text(encoding="utf-8")


def test_both_systems_do_the_same() -> None:
    assert [path.stem for path in SHELL] == [path.stem for path in POWERSHELL]
    for one, other in zip(SHELL, POWERSHELL, strict=True):
        found = [re.findall(r"((?:dev|infra/\w+)\.py.*)$", path.read_text(encoding="utf-8"), re.MULTILINE) for path in (one, other)]
        assert found[0] == found[1]
        for command in found[0]:
            assert (ROOT / command.split()[0]).is_file()
        assert "dev.py" not in one.read_text(encoding="utf-8"), "a hook installs no tool of developers"


@pytest.mark.skipif(sys.platform == "win32", reason="no sh")
def test_the_first_hook_runs_and_changes_nothing_the_second_time(tmp_path: Path) -> None:
    """In a copy whose environment for hooks is this Python: its stamp says that nothing is to be installed."""
    for name in ("infra", "rowpost"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(DEMO_CONFIG, tmp_path / "relay.toml")
    shutil.copy(ROOT / "local.settings.json", tmp_path)
    for name in ("dev.py", "requirements-hooks.lock"):
        shutil.copy(ROOT / name, tmp_path)
    venv = tmp_path / ".local" / "hooks"
    (venv / "bin").mkdir(parents=True)
    lock = hashlib.sha256((ROOT / "requirements-hooks.lock").read_bytes()).hexdigest()
    (venv / "set-up").write_text(f"{sys.version_info[:2]} {lock}")
    launcher = venv / "bin" / "python"
    launcher.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    launcher.chmod(0o755)
    (tmp_path / "infra" / "app.json").unlink()
    hook = tmp_path / "infra" / "hooks" / "preprovision.sh"
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(sys.executable)
    environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", "ODBC_DRIVER": "none"}
    first = subprocess.run(["sh", hook], cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert "up to date again" in first.stdout
    names = [relay["table"] for relay in tomllib.loads(DEMO_CONFIG.read_text(encoding="utf-8"))["relays"]]
    expected = {"triggerFunctions": [f"relay_{name.replace('.', '_')}" for name in names]}
    assert json.loads((tmp_path / "infra" / "app.json").read_text()) == expected
    second = subprocess.run(["sh", hook], cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert second.stdout == ""
    (tmp_path / "relay.toml").unlink()
    third = subprocess.run(["sh", hook], cwd="/", env=environment, capture_output=True, text=True)
    assert third.returncode == 1 and "make it with `python3 dev.py init`" in third.stderr
