"""SQLAlchemy's own suite for dialects, from its package, over pyodbc.

What must fail is listed by name, each with its reason. A listed test that passes or vanishes fails the run too.
"""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from emulators.launch import SqlServer

ROOT = Path(__file__).parents[3]
EXPECTED = Path(__file__).with_name("sqlalchemy_expected_failures.txt")
SETTINGS = """[tool:pytest]
python_files = test_*.py
[sqla_testing]
requirement_cls = emulators.tests.tsql.sqlalchemy_requirements:Requirements
profile_file = profiles.txt
"""
QUICK = (
    "InsertBehavior or FetchLimitOffset or CompoundSelect or LikeFunctions or RowCount or NumericTest or ReturningTest or TableDDL"
)


def expected_failures() -> dict[str, str]:
    """The reason of each listed test, by its name: class, test and parameters."""
    lines = [line for line in EXPECTED.read_text(encoding="utf-8").splitlines() if line and not line.startswith("#")]
    return {name: reason for name, _, reason in (line.partition("  ") for line in lines)}


def outcomes(directory: Path, chosen: str) -> dict[str, str]:
    """passed, failed or skipped, by the name of each test of the suite that ``chosen`` selects; all if it is empty."""
    (directory / "setup.cfg").write_text(SETTINGS, encoding="utf-8")
    (directory / "conftest.py").write_text("from sqlalchemy.testing.plugin.pytestplugin import *\n", encoding="utf-8")
    (directory / "test_suite.py").write_text("from sqlalchemy.testing.suite import *\n", encoding="utf-8")
    report = directory / "report.xml"
    with SqlServer(directory, "real") as server:
        with contextlib.closing(server.connect()) as connection:
            connection.execute("CREATE SCHEMA test_schema")
            connection.execute("ALTER DATABASE CURRENT SET ALLOW_SNAPSHOT_ISOLATION ON")
        uri = "mssql+pyodbc:///?odbc_connect=" + quote_plus(server.odbc_connection_string)
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--maxfail=100000", "--tb=line"]
        command += ["--dburi", uri, "--junitxml", str(report), *(["-k", chosen] if chosen else [])]
        ended = subprocess.run(
            command,
            cwd=directory,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
        )
    assert ended.returncode in (0, 1), ended.stdout[-3000:] + ended.stderr[-3000:]
    return {_name(case): _outcome(case) for case in ET.parse(report).iter("testcase")}


def _name(case: ET.Element) -> str:
    group = re.sub(r"_mssql\+pyodbc[\d_]*$", "", case.attrib["classname"].rpartition(".")[2])
    return f"{group}::{case.attrib['name']}"


def _outcome(case: ET.Element) -> str:
    kinds = {child.tag for child in case}
    return "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"


def _check(found: dict[str, str], least: int) -> None:
    listed = expected_failures()
    assert all(listed.values()), "a listed test without a reason"
    failed = {name for name, outcome in found.items() if outcome == "failed"}
    assert failed - listed.keys() == set()
    assert {name for name in listed if found.get(name, "failed") != "failed"} == set()  # it passes now: take it off the list
    assert sum(outcome == "passed" for outcome in found.values()) >= least


@pytest.mark.timeout(600)
def test_a_part_of_the_suite(tmp_path: Path) -> None:
    _check(outcomes(tmp_path, QUICK), 100)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_the_whole_suite(tmp_path: Path) -> None:
    found = outcomes(tmp_path, "")
    _check(found, 1100)
    assert expected_failures().keys() - found.keys() == set()  # a listed test that is gone
