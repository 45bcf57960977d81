"""The OpenAPI document says what the API does: schemathesis sends what the document allows, and what it does not."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.running_relay import CONFIG, ORDERS, Relay

# 422: what is well formed does not fit the table, such as a column that it does not have. The document cannot know.
FITS_OR_NOT = """
[checks.positive_data_acceptance]
expected-statuses = ["2xx", 404, 409, 422, 503]
"""
# The answer to another method is the host's, and so is the one to a wrong key: this host asks for none.
OF_THE_HOST = "unsupported_method,ignored_auth"


@pytest.fixture(scope="module")
def relay(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Relay]:
    """A relay with a row that was delivered, and one that was given up."""
    running = Relay(tmp_path_factory.mktemp("relay"), CONFIG.replace("[retry]", '[retry]\nrejected = "dead_letter"'), ORDERS)
    running.start()
    running.advance(2)
    running.reject(1)
    running.insert(1, 2)
    running.advance(600)
    yield running
    running.stack.stop()
    running.time.close()


def narrowed(document: Any) -> Any:
    """The document with a relay that exists: for one that does not there is one answer only."""
    for methods in document["paths"].values():
        for operation in methods.values():
            for parameter in operation["parameters"]:
                if (parameter["name"], parameter["in"]) == ("relay", "path"):
                    parameter["schema"] = {"enum": ["dbo.Orders"]}
    times = document["components"]["schemas"]["Filter"]["properties"]
    times["from"] = times["to"] = {"enum": [None, "2026-03-01T08:15:00Z"]}  # Python has no leap seconds
    return document


@pytest.mark.timeout(900)
def test_each_answer_is_as_the_document_says(relay: Relay, tmp_path: Path) -> None:
    file, seed = tmp_path / "openapi.json", random.SystemRandom().randrange(2**32)
    file.write_text(json.dumps(narrowed(relay.get("/api/openapi"))), encoding="utf-8")
    (tmp_path / "schemathesis.toml").write_text(FITS_OR_NOT, encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", f"{relay.stack.host.url}/api"]  # type: ignore[union-attr]
    command += ["--exclude-checks", OF_THE_HOST, "--phases", "coverage,fuzzing", "--max-examples", "8", "--seed", str(seed)]
    command += ["--no-color", "--warnings", "off", "--generation-database", "none"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=850, check=False)
    assert done.returncode == 0, f"seed {seed}\n{done.stdout[-20000:]}{done.stderr[-2000:]}"


def test_an_unknown_relay_is_a_problem_with_the_names_of_the_known_ones(relay: Relay) -> None:
    answer = relay.stack.host.request("GET", "/api/relays/dbo.Nothing")  # type: ignore[union-attr]
    assert answer.status_code == 404 and answer.headers["Content-Type"].startswith("application/problem+json")
    problem = answer.json()
    assert problem["field"] == "relay" and "dbo.Orders" in problem["detail"] and problem["title"] == "Not Found"
