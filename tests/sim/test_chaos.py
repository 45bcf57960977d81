"""Killing it for real, in a short form: ``python dev.py chaos`` does it two hundred times."""

from __future__ import annotations

from pathlib import Path

from devtools.chaos import Chaos


def test_the_books_balance_after_kills_of_hosts_database_and_api(tmp_path: Path) -> None:
    seed = 4
    outcome = Chaos(tmp_path, seed).run(6)
    assert outcome.balanced, str(outcome)
    assert sum(outcome.kills.values()) == 6
    assert outcome.rows > 10
    assert outcome.counters["conflicting"] == 0
