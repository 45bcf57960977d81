"""``dev.py demo`` as a person runs it: its books balance, and its report says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devtools.stack import ROOT


@pytest.mark.timeout(300)
def test_the_books_of_the_demo_balance(tmp_path: Path) -> None:
    report_file = tmp_path / "report.json"
    command = [sys.executable, "-m", "devtools.demo", "--json", str(report_file)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280)
    assert run.returncode == 0, run.stdout[-4000:] + run.stderr[-2000:]
    report = json.loads(report_file.read_text())
    assert (report["lost"], report["dead_lettered"], report["problems"]) == (0, 1, [])
    assert report["delivered"] == report["rows_changed"] - 1
    assert report["older_after_newer"] == 0
    assert len(report["tables"]) == 3 and report["rows_changed"] > 900
    told = {entry["what"].split(":")[0] for entry in report["notifications"]}
    assert told == {"mail to dba@example.com", "mail to oncall@example.com", "mail to owner@example.com", "webhook"}
    lines = run.stdout.strip().splitlines()[-4:]
    assert [line.split()[:-1] for line in lines] == [["rows", "changed"], ["delivered"], ["lost"], ["dead-lettered"]]
    assert [int(line.split()[-1]) for line in lines] == [report[k] for k in ("rows_changed", "delivered", "lost", "dead_lettered")]
    assert "emulators" in run.stdout
    assert "demo --real" in run.stdout
