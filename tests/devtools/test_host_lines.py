"""What a person sees of the host's log in the terminal of ``dev.py start``."""

from __future__ import annotations

from pathlib import Path

import pytest

from devtools.host_lines import Follower, parse

LOG = """\
2026-11-22T16:52:14.750Z info     [relay] Executing (SQL changes, Id=e5648b2f-7a48-4f31-83c7-26ef14db0ecc)
2026-11-22T16:52:14.765Z info     [relay] dbo.T: delivered 1
2026-11-22T16:52:14.766Z info     [relay] Executed (Succeeded, Id=e5648b2f-7a48-4f31-83c7-26ef14db0ecc, Duration=15ms)
{"port": 1, "functions": ["relay"]}
2026-11-22T16:52:15.100Z info     [watchdog] relay_state {"relay": "dbo.T", "pending": 0}
2026-11-22T16:52:16.100Z info     [host] orchestration recovery 'recovery-T' continues as new
"""
FAILURE = """\
2026-11-22T16:5%d:17.803Z error    [relay] Executed (Failed, Id=2dc286ed-b6eb-45b3-8c54, Duration=1%dms): BatchFailed: no
    Traceback (most recent call last):
      File "app.py", line 1, in relay
"""


@pytest.fixture
def log(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLUMNS", "80")
    file = tmp_path / "host.log"
    file.write_text("2026-11-22T16:00:00.000Z info     [host] from an earlier start\n")
    return file


def add(log: Path, text: str) -> None:
    with log.open("a") as file:
        file.write(text)


def test_only_events_are_told_each_on_one_line(log: Path) -> None:
    follower = Follower(log)
    add(log, LOG)
    assert list(follower.lines()) == ["16:52:14  relay                 dbo.T: delivered 1"]
    assert list(follower.lines()) == []


def test_a_line_that_is_half_written_is_told_when_it_is_whole(log: Path) -> None:
    follower = Follower(log)
    add(log, "2026-11-22T16:52:14.765Z info     [relay] dbo.Größe: de")
    assert list(follower.lines()) == []
    add(log, "livered 1\n")
    assert list(follower.lines()) == ["16:52:14  relay                 dbo.Größe: delivered 1"]


def test_an_error_is_told_once_until_a_run_succeeds(log: Path) -> None:
    follower = Follower(log)
    add(log, FAILURE % (1, 1) + FAILURE % (2, 2))
    failed = "relay                 error: failed: BatchFailed: no"
    assert list(follower.lines()) == [f"16:51:17  {failed}"]
    add(log, LOG + FAILURE % (3, 3))
    assert list(follower.lines())[1:] == [f"16:53:17  {failed}"]
    add(log, FAILURE.replace("no", "another reason") % (4, 4))
    assert list(follower.lines()) == ["16:54:17  relay                 error: failed: BatchFailed: another reason"]


def test_what_is_long_is_cut_and_an_error_is_told_to_its_end() -> None:
    words = " ".join(["word"] * 30)
    calm, loud = parse(f"2026-11-22T16:52:14.765Z info     [f] {words}"), parse(f"2026-11-22T16:52:14.765Z warning  [f] {words}")
    assert calm is not None and loud is not None
    assert len(calm.shown(80)) == 80 and calm.shown(80).endswith("…")
    lines = loud.shown(80).splitlines()
    assert lines[0].startswith("16:52:14  f                     warning: word")
    assert all(len(line) <= 80 and line.startswith(" " * 32) for line in lines[1:])
    assert " ".join(loud.shown(80).split()[3:]) == words
