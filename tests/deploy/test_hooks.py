"""The hooks: valid in their shells, the same on both systems, and safe to repeat."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

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


def test_only_the_hook_that_connects_looks_for_odbc() -> None:
    asks = {path.stem for path in SHELL if "hook.py --odbc" in path.read_text(encoding="utf-8")}
    assert asks == {"postprovision"}


# --- the hooks run, as azd runs them ---

AZD = """#!/bin/sh
case "$1 $2 $3" in
    "env set ROWPOST_APP") printf %s "$4" > "$AZD_STORE" ;;
    *) echo "unexpected: azd $*" >&2; exit 64 ;;
esac
"""


class Clone:
    """A repository with the files of this one, a program ``azd``, and this Python as the environment of the hooks."""

    def __init__(self, folder: Path) -> None:
        self.root, self.store, self.bin = folder / "clone", folder / "ROWPOST_APP", folder / "bin"
        self.environment = {"AZURE_ENV_NAME": "test", "DOWNSTREAM_URL": "https://api.example.com/rows"}
        listed = subprocess.run(
            ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, capture_output=True, text=True, check=True
        ).stdout.splitlines()
        for name in listed:
            if (ROOT / name).is_file():
                (self.root / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, self.root / name)
        self._git("init", "--quiet")
        self._git("add", "--all")
        self._git("-c", "user.name=x", "-c", "user.email=x@example.com", "commit", "--quiet", "--message", "all")
        self.bin.mkdir()
        self._program(self.bin / "azd", AZD)
        (self.bin / "python3").symlink_to(sys.executable)
        venv = self.root / ".local" / "hooks"
        (venv / "bin").mkdir(parents=True)
        lock = hashlib.sha256((ROOT / "requirements-hooks.lock").read_bytes()).hexdigest()
        (venv / "set-up").write_text(f"{sys.version_info[:2]} {lock}")  # nothing is to be installed
        self._program(venv / "bin" / "python", f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')

    def _program(self, path: Path, text: str) -> None:
        path.write_text(text)
        path.chmod(0o755)

    def _git(self, *arguments: str) -> str:
        return subprocess.run(["git", *arguments], cwd=self.root, capture_output=True, text=True, check=True).stdout

    def run(self, hook: str) -> subprocess.CompletedProcess[str]:
        """One hook, in the environment that azd would give it by now."""
        kept = {name: value for name, value in os.environ.items() if name in ("HOME", "LANG", "TMPDIR")}
        environment = {**kept, **self.environment, "AZD_STORE": str(self.store), "ODBC_DRIVER": "none"}
        environment["PATH"] = f"{self.bin}:{os.environ['PATH']}"
        if self.store.exists():
            environment["ROWPOST_APP"] = self.store.read_text()
        path = self.root / "infra" / "hooks" / f"{hook}.sh"
        return subprocess.run(["sh", path], cwd="/", env=environment, capture_output=True, text=True)

    @property
    def changed(self) -> str:
        """What git says of the work tree."""
        return self._git("status", "--porcelain")


@pytest.mark.skipif(sys.platform == "win32", reason="no sh")
def test_the_hooks_do_their_work_and_leave_no_tracked_file_changed(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    first = clone.run("preprovision")
    assert first.returncode == 1 and "make it with `python3 dev.py init`" in first.stderr
    relay = 'targets = [{name = "api", url = "%DOWNSTREAM_URL%"}]\nrelays = [{table = "dbo.Orders"}]\n'
    (clone.root / "relay.toml").write_text(relay)
    for hook in ("prepackage", "preprovision", "predeploy"):
        done = clone.run(hook)
        assert done.returncode == 0, done.stdout + done.stderr
    assert json.loads(clone.store.read_text()) == {
        "connection": "SqlConnectionString",
        "grants": [],
        "mail": {},
        "openTelemetry": False,
        "secrets": [],
        "settings": {"DOWNSTREAM_URL": "https://api.example.com/rows"},
        "triggerFunctions": ["relay_dbo_Orders"],
    }
    assert (clone.root / ".local" / "package" / "relay.toml").read_text() == relay
    last = clone.run("postprovision")
    assert last.returncode == 1 and "SQL_SERVER_ID is missing" in last.stderr
    assert clone.changed == ""
    (clone.root / "relay.toml").write_text(relay.replace("Orders", "Customers"))
    behind = clone.run("predeploy")
    assert behind.returncode == 1 and "not provisioned yet: relay_dbo_Customers; run `azd provision`" in behind.stderr
    assert clone.changed == ""
    (clone.root / "README.md").write_text("changed")
    assert clone.changed == " M README.md\n"
