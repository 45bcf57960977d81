"""The page of the emulated downstream API, in a real browser: what a person who runs ``dev.py start`` looks at."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import requests

from emulators.clock import Clock
from emulators.downstream.api import Downstream

pytestmark = pytest.mark.browser
# Without the flags on background networking a browser looks for its maker's servers at every start.
FLAGS = (
    "--headless --no-sandbox --disable-gpu --no-first-run --disable-quic --disable-sync --disable-component-update "
    "--disable-background-networking"
)


def seen(url: str, profile: Path) -> str:
    """The text of a page after the browser has laid it out."""
    command = ["chromium", *FLAGS.split(), f"--user-data-dir={profile}", "--dump-dom", url]
    dom = subprocess.run(command, capture_output=True, text=True, timeout=90, check=True).stdout
    body = dom[dom.index("<body") :]
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", body)).replace("&lt;", "<").replace("&gt;", ">")


def test_the_page_shows_rows_and_attempts_and_runs_nothing_that_a_row_holds(tmp_path: Path) -> None:
    with Downstream(Clock()) as api:
        api.add_rule(match={"key": {"OrderId": 2}}, status=422)
        for order, name in ((1, "<script>document.body.innerHTML = 'owned'</script>"), (2, "refused")):
            change = {"table": "dbo.Orders", "operation": "upsert", "key": {"OrderId": order}, "version": order}
            change["row"] = {"OrderId": order, "Name": name}
            requests.post(f"{api.url}/rows", json=change, headers={"Idempotency-Key": str(order)}, timeout=10)
        text = seen(api.url, tmp_path)
    assert "Downstream API" in text
    assert "dbo.Orders: 1 rows" in text or "dbo.Orders: 1 row" in text
    assert "<script>document.body.innerHTML" in text
    assert "422 refused" in text
    assert not text.strip().endswith("owned")
