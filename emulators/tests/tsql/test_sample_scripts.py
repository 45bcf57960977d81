"""Whole scripts, as people bring them, on the SQL Server emulator: which batches pass, and which are refused by name."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from emulators.tests.tsql.database import Server

SCRIPTS = Path(__file__).parent / "scripts"


@pytest.mark.parametrize(
    ("script", "batches", "refused", "last"),
    [
        (
            "music",
            16,
            {"DROP DATABASE": 40517, "CREATE DATABASE": 40517},
            [("Mótorhead", 1, Decimal("0.99")), ("Sade", 1, Decimal("1.99"))],
        ),
        ("trade", 21, {"create procedure": 40517}, [(Decimal("251.3000"), 3)]),
        (
            "books",
            14,
            {"CREATE TRIGGER": 40517, "CREATE CLUSTERED INDEX": 1902, "insert authors values('no'": 547, "CREATE PROCEDURE": 40517},
            [("Secrets", "20.0000", "Bennet")],
        ),
    ],
)
def test_a_script(tmp_path: Path, script: str, batches: int, refused: dict[str, int], last: list[tuple[Any, ...]]) -> None:
    server = Server(tmp_path)
    client = server.client()
    texts = re.split(r"(?im)^\s*GO\s*$", (SCRIPTS / f"{script}.sql").read_text(encoding="utf-8"))
    outcomes = [(text, client.run(text)) for text in texts if text.strip()]
    server.database.close()
    failed = {text: outcome.numbers for text, outcome in outcomes if outcome.numbers}
    assert len(outcomes) == batches
    assert list(failed.values()) == [[number] for number in refused.values()]
    assert all(part in text for part, text in zip(refused, failed, strict=True))
    assert outcomes[-1][1].results[-1].rows == last
