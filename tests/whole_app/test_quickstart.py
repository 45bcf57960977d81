"""The quick start, as a new user follows it: the files and the commands of the page, in their order."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import requests

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
PART = PAGE.partition("## On your machine, with emulators\n")[2].partition("\n## ")[0]
MODULES = {"check-config": "devtools.check_config", "sql": "devtools.sql", "start": "devtools.start"}


def blocks(language: str) -> list[str]:
    """The code blocks of the first part in that language."""
    return re.findall(rf"(?ms)^```{language}\n(.*?)^```$", PART)


def dev(line: str) -> list[str]:
    """What ``dev.py`` would run for a line of the page."""
    name, *rest = line.partition("dev.py ")[2].split()
    return [sys.executable, "-m", MODULES[name], *rest]


def waited(ready: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 60
    while not ready() and time.monotonic() < deadline:
        time.sleep(0.2)
    return ready()


@pytest.mark.timeout(300)
def test_the_commands_of_the_page_do_what_it_says(tmp_path: Path) -> None:
    (tmp_path / "orders.sql").write_text(blocks("sql")[0], encoding="utf-8")
    (tmp_path / "my.toml").write_text(blocks("toml")[0], encoding="utf-8")
    check, start, insert, break_it, mend_it = (block.strip() for block in blocks("sh"))
    environment = {"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}

    shown = subprocess.run(dev(check), cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert shown.stdout.splitlines()[-1].endswith("my.toml: no mistakes, 1 warning"), shown.stdout + shown.stderr
    command = [*dev(start), "--sql-port", "0", "--port", "0"]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            told = _until_running(process)
            threading.Thread(target=process.stdout.read if process.stdout else None, daemon=True).start()
            app, api, database = (
                re.findall(pattern, told)[0] for pattern in (r"app +(http://[^/]*)/", r"page: (http://[^/]*)/", r"Server=tcp.*")
            )
            runner = [*dev("python3 dev.py sql"), "--connection", database]

            def sql(line: str) -> None:
                batch = re.findall(r'echo "(.*)" \|', line)[0]
                done = subprocess.run(runner, cwd=tmp_path, env=environment, input=batch, capture_output=True, text=True)
                assert done.returncode == 0, done.stderr

            def curl(line: str) -> requests.Response:
                address = re.findall(r'(?:\$API|http://127\.0\.0\.1:7071)[^" ]*', line)[0]
                address = address.replace("$API", api).replace("http://127.0.0.1:7071", app)
                data = re.findall(r"-d '(.*)'", line)
                return requests.request("POST" if "-X POST" in line else "GET", address, data=data[0] if data else None, timeout=30)

            sql(insert)
            _, down, update, look = break_it.splitlines()
            up, retry, state = mend_it.splitlines()
            assert waited(lambda: '"Total": "12.50"' in json.dumps(curl(state).json()))
            assert curl(down).ok
            sql(update)
            assert waited(lambda: curl(look).json()["last_status"] == 503)
            assert curl(look).json()["waiting"] == 1 and curl(look).json()["next_attempt"]
            assert curl(up).ok and curl(retry).ok
            assert waited(lambda: '"Total": "20.00"' in json.dumps(curl(state).json()))
        finally:
            process.terminate()


def _until_running(process: subprocess.Popen[str]) -> str:
    told = ""
    assert process.stdout is not None
    for line in process.stdout:
        told += line
        if line.startswith("  logs "):
            return told
    raise AssertionError(told)
