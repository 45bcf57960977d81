"""Tables of one's own: the files and commands of docs/local.md, as a person follows them."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
from pathlib import Path

import requests

ROOT = Path(__file__).resolve().parents[2]
SECTION = (ROOT / "docs" / "local.md").read_text(encoding="utf-8").partition("### Your own tables\n")[2].partition("\n## ")[0]


def block(language: str) -> str:
    """The only code block of the section in that language."""
    (found,) = re.findall(rf"(?ms)^```{language}\n(.*?)^```$", SECTION)
    return found


def test_a_row_of_a_table_of_ones_own_arrives(tmp_path: Path) -> None:
    (tmp_path / "mine.sql").write_text(block("sql"), encoding="utf-8")
    (tmp_path / "mine.toml").write_text(block("toml"), encoding="utf-8")
    start, insert = (line for line in block("sh").splitlines() if line)
    assert "dev.py start --config mine.toml --tables mine.sql" in start and "| python3 dev.py sql" in insert
    options = ["--config", str(tmp_path / "mine.toml"), "--tables", str(tmp_path / "mine.sql"), "--data", str(tmp_path / "data")]
    command = [sys.executable, "-m", "devtools.start", *options, "--sql-port", "0", "--port", "0"]
    for attempt in range(2):  # the script runs at every start
        with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
            try:
                told = _until(process, "  logs ")
                connection = re.search(r"Server=tcp.*", told)
                page = re.search(r"page: (http://[^/]*)/", told)
                assert connection and page, told
                drain = threading.Thread(target=process.stdout.read if process.stdout else None, daemon=True)
                drain.start()
                if attempt == 0:
                    batch = re.search(r'echo "(.*)" \|', insert)
                    assert batch is not None
                    runner = [sys.executable, "-m", "devtools.sql", "--connection", connection[0]]
                    done = subprocess.run(runner, cwd=ROOT, input=batch[1], capture_output=True, text=True, timeout=60)
                    assert (done.returncode, done.stdout) == (0, "(1 rows affected)\n\n"), done.stderr
                assert _arrived(f"{page[1]}/_control/state?table=dbo.Orders") == {"OrderId": 1, "Customer": "Ada", "Total": "12.50"}
            finally:
                process.terminate()
        assert process.returncode == 0


def _until(process: subprocess.Popen[str], last: str) -> str:
    told = ""
    assert process.stdout is not None
    for line in process.stdout:
        told += line
        if line.startswith(last):
            return told
    raise AssertionError(told)


def _arrived(url: str) -> dict[str, object]:
    """The first row's last state; asked again until there is one."""
    pause = threading.Event()
    for _ in range(300):
        states = requests.get(url, timeout=10).json()
        if states:
            return dict(states[0]["row"])
        pause.wait(0.1)
    raise AssertionError(url)
