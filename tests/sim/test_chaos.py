"""Killing it for real, in a short form: ``python dev.py chaos`` does it two hundred times."""

from __future__ import annotations

from pathlib import Path

from devtools.chaos import Chaos


def test_database_and_api_are_reconciled_after_kills_of_hosts_database_and_api(tmp_path: Path) -> None:
    seed = 41  # it decides who is killed and in which order, whatever the instants: here everybody
    outcome = Chaos(tmp_path, seed).run(6)
    assert outcome.reconciled, str(outcome)
    assert outcome.kills == {"host0": 2, "host1": 2, "sql_server": 1, "downstream": 1}
    assert outcome.rows > 10
    assert outcome.counters["conflicting"] == 0
