"""Alerts and workbook: what they query, and that Microsoft's own parser of the query language accepts it where it is at hand."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

from devtools.npm_tools import installed
from rowpost.config.sections import TelemetryConfig
from rowpost.operations.status import PLACES
from rowpost.relay.batch import Outcome
from rowpost.relay.rows_line import rows_line
from rowpost.telemetry.journal import Doer, Journal
from tests.deploy.bicep import INFRA, ROOT, document

QUERIES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((INFRA / "app" / "queries").glob("*.kql"))}
WORKBOOK = json.loads((INFRA / "app" / "workbook.json").read_text(encoding="utf-8"))
CHECKER = Path(__file__).parent / "check_kusto.js"


def rules() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = document(INFRA / "app" / "alerts.bicep")["variables"]["rules"]["value"]
    return found


def all_queries() -> dict[str, str]:
    """Every query, as it is deployed."""
    workbook = {f"workbook: {item['name']}": item["content"]["query"] for item in WORKBOOK["items"] if "query" in item["content"]}
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    pages = {f"page {number}": text for number, text in enumerate(re.findall(r"(?ms)^```kusto\n(.*?)^```$", page))}
    return {**pages, **{name: text.replace("{lagMinutes}", "15") for name, text in QUERIES.items()}, **workbook}


def test_there_is_an_alert_for_each_query_and_for_each_case() -> None:
    assert {rule["name"] for rule in rules()} == set(QUERIES)
    assert {"dead-letters", "lag", "long-recovery", "host-errors"} <= set(QUERIES)


def test_each_alert_is_split_by_a_column_that_its_query_returns() -> None:
    for rule in rules():
        if rule["dimension"]:
            assert re.search(rf"\b{rule['dimension']}\b", QUERIES[rule["name"]]), rule["name"]
        assert rule["window"] in ("PT15M", "PT30M", "P1D")


def test_the_lag_of_the_parameter_reaches_the_query() -> None:
    assert QUERIES["lag"].count("LagMinutes >= {lagMinutes}") == 1
    assert (
        "replace(loadTextContent('queries/lag.kql'), '{lagMinutes}', string(lagMinutes))"
        in (INFRA / "app" / "alerts.bicep").read_text()
    )


def test_what_fails_in_a_function_and_is_tried_again_is_no_host_error() -> None:
    left_out, taken = re.findall(r'(!?)startswith "(Function\.\w*)"', QUERIES["host-errors"])
    assert left_out == ("!", "Function.") and taken == ("", "Function.watchdog")


def test_the_workbook_reads_the_lines_that_the_app_writes() -> None:
    text = json.dumps(WORKBOOK)
    journal = Journal(TelemetryConfig(), "dbo.Orders", None, Doer.RECOVERY, "")
    line = rows_line(journal, Outcome(delivered=3, failed=2, dead=1, expired=4), replayed=5)
    parts = re.split(r"[0-9a-f]{32}|\d+|recovery", line.removeprefix("dbo.Orders"))
    assert len(parts) == 13 and parts[9:] == [", requests ", ", milliseconds ", ", trace ", ""]
    for piece in parts[:-1]:
        assert text.count(f'\\"{piece}\\"') >= 2, piece
    assert set(PLACES) <= set(re.findall(r"State\.(\w+)", text))
    assert "[Rowpost] " in (ROOT / "rowpost" / "notices" / "message.py").read_text(encoding="utf-8") and '\\"[Rowpost] \\"' in text
    assert len({item["name"] for item in WORKBOOK["items"]}) == len(WORKBOOK["items"])


@pytest.mark.npm
def test_microsofts_parser_accepts_every_query() -> None:
    packages = installed()
    queries = {**all_queries(), "a mistake": "AppTraces | project Nope"}
    node = shutil.which("node")
    assert node
    done = subprocess.run([node, CHECKER, packages], input=json.dumps(queries), capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    problems = json.loads(done.stdout)
    assert problems.pop("a mistake"), "the parser finds nothing at all"
    assert problems == {name: [] for name in all_queries()}
