"""requirements.txt as the remote build reads it: Linux, the Python of infra/app/functions.bicep, wheels only."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.deploy.bicep import ROOT, verified

REQUIREMENTS = ROOT / "requirements.txt"


def lines() -> list[str]:
    text = REQUIREMENTS.read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line.strip() and not line.startswith("#")]


def test_every_requirement_has_a_ceiling_and_none_is_the_platforms_own() -> None:
    for line in lines():
        assert re.fullmatch(r"[a-z0-9-]+>=[0-9.]+,<[0-9.]+(; python_version (<|>=) \"3\.13\")?", line), line
    assert not [line for line in lines() if line.startswith(("azure-functions-worker", "mssql-python", "pytest"))]


@pytest.mark.online  # asks the package index: dev.py test leaves it out without ROWPOST_ONLINE
def test_the_deployed_python_finds_a_wheel_of_every_package(tmp_path: Path) -> None:
    version = verified("avm/res/web/site")[1]["functionAppConfig"]["runtime"]["version"]
    report = tmp_path / "report.json"
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed", "--only-binary=:all:"]
    command += [
        "--implementation",
        "cp",
        "--python-version",
        version,
        "--target",
        str(tmp_path / "target"),
        "--report",
        str(report),
    ]
    for platform in ("manylinux_2_28_x86_64", "manylinux_2_17_x86_64", "manylinux2014_x86_64", "linux_x86_64"):
        command += ["--platform", platform]
    done = subprocess.run([*command, "-r", str(REQUIREMENTS)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = {item["metadata"]["name"].lower() for item in json.loads(report.read_text())["install"]}
    assert {re.split("[>=]", line)[0] for line in lines()} <= found
