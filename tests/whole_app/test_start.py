"""``dev.py start``: everything up, a row inserted by hand arrives, and a restart goes on where it was."""

from __future__ import annotations

import os
import re
import signal
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pyodbc
import pytest
import requests

from devtools.stack import ROOT
from devtools.start import _INSERT
from emulators.clock import Clock
from emulators.downstream.api import Downstream
from tests.harness.running_relay import Relay


class Started:
    """A running ``start``; its output is read line by line."""

    def __init__(self, data: Path, *options: str) -> None:
        command = [sys.executable, "-m", "devtools.start", "--data", str(data), "--sql-port", "0", "--port", "0", *options]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.output = ""
        self._ready = threading.Event()
        self._printed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._printed:
                self.output += line
                self._printed.notify_all()
            if line.startswith("VALUES"):  # the last line of the hints
                self._ready.set()
        self._ready.set()

    def wait_ready(self) -> None:
        assert self._ready.wait(90)
        assert "app        http" in self.output, self.output

    def wait_printed(self, text: str) -> None:
        with self._printed:
            assert self._printed.wait_for(lambda: text in self.output, 60), self.output

    def find(self, pattern: str) -> str:
        match = re.search(pattern, self.output)
        assert match is not None, self.output
        return match[1]

    def row(self, key: str) -> requests.Response:
        page = self.find(r"page: (http://127\.0\.0\.1:\d+)/")
        states = requests.get(f"{page}/_control/state?table=dbo.Airports", timeout=10).json()
        return next((state for state in states if state["key"] == {"Faa": key}), None)

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)


@contextmanager
def started(data: Path, *options: str) -> Iterator[Started]:
    run = Started(data, *options)
    try:
        run.wait_ready()
        yield run
    finally:
        if run.process.poll() is None:
            assert run.stop() == 0, run.output


def wait_for(run: Started, key: str) -> None:
    """Poll the API's state; the deadline is there for a machine that is very busy."""
    pause = threading.Event()
    for _ in range(300):
        if run.row(key):
            return
        pause.wait(0.1)
    raise AssertionError(run.output)


def test_a_row_inserted_by_hand_arrives_and_a_restart_goes_on(tmp_path: Path) -> None:
    with started(tmp_path) as run:
        connection = pyodbc.connect(run.find(r"(Driver=.*)"), autocommit=True)
        connection.execute(_INSERT)  # as the hint says
        wait_for(run, "ZZZ")
        run.wait_printed("relay_dbo_Airports    dbo.Airports: delivered 1")
        assert "Functions host" in requests.get(run.find(r"console    (http://\S+/)"), timeout=30).text
        status = requests.get(run.find(r"(http://\S+/api/relays)"), timeout=30).json()
        assert [relay["table"] for relay in status["relays"]] == ["dbo.Airports", "dbo.Weather", "dbo.Flights"]
        connection.close()
    with started(tmp_path) as run:
        assert run.row("ZZZ")  # the API's state has outlived the restart
        connection = pyodbc.connect(run.find(r"(Driver=.*)"), autocommit=True)
        assert connection.execute("SELECT COUNT(*) FROM dbo.Airports").fetchone()[0] == 1
        connection.execute(_INSERT.replace("ZZZ", "YYY"))
        wait_for(run, "YYY")
        connection.close()


def test_start_with_a_fast_clock_and_an_api_of_the_users(tmp_path: Path) -> None:
    with Downstream(Clock()) as api, started(tmp_path, "--speed", "30", "--downstream", f"{api.url}/mine") as run:
        assert f"downstream {api.url}/mine" in run.output
        connection = pyodbc.connect(run.find(r"(Driver=.*)"), autocommit=True)
        before = connection.execute("SELECT SYSUTCDATETIME()").fetchone()[0]
        connection.execute(_INSERT)
        api.wait_for(lambda: api.find("dbo.Airports", {"Faa": "ZZZ"}) is not None, 60)
        assert connection.execute("SELECT SYSUTCDATETIME()").fetchone()[0] > before
        assert connection.execute("SELECT YEAR(SYSUTCDATETIME())").fetchone()[0] >= 2026
        connection.close()


def test_a_bad_configuration_ends_start_with_one_sentence(tmp_path: Path) -> None:
    config = tmp_path / "relay.toml"
    relay = '[[targets]]\nname = "api"\nurl = "http://127.0.0.1:1/"\n[[relays]]\ntable = "dbo.T"\n'
    config.write_text(relay + '[retry]\nwindow = "7 days"\n')
    run = Started(tmp_path / "data", "--config", str(config))
    assert run.process.wait(60) == 1
    assert "retry.window" in run.output
    assert "Traceback" not in run.output


def test_settings_of_the_users_own_reach_the_app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OF_THE_ENVIRONMENT", "first")
    (tmp_path / "mine.json").write_text('{"IsEncrypted": false, "Values": {"OF_THE_FILE": "second"}}')
    (tmp_path / "tables.sql").write_text("CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY)")
    names = {"A": "%OF_THE_ENVIRONMENT%", "B": "%OF_THE_FILE%", "C": "%OF_THE_COMMAND%"}
    headers = "".join(f'{name} = "{value}"\n' for name, value in names.items())
    target = f'[[targets]]\nname = "api"\nurl = "%MY_URL%"\n[targets.headers]\n{headers}'
    (tmp_path / "mine.toml").write_text(f'{target}[[relays]]\ntable = "dbo.T"\n')
    options = ["--from", str(tmp_path), "--config", "mine.toml", "--tables", "tables.sql", "--settings", "mine.json"]
    with Downstream(Clock()) as api:
        options += ["--setting", "OF_THE_COMMAND=third", "--setting", f"MY_URL={api.url}/mine"]
        run = Started(tmp_path / "data", *options)
        run.wait_printed("What the app does, in short")
        with closing(pyodbc.connect(run.find(r"(Driver=.*)"), autocommit=True)) as connection:
            connection.execute("INSERT INTO dbo.T VALUES (1)")
        api.wait_for(lambda: api.find("dbo.T", {"Id": 1}) is not None, 90)
        (attempt,) = api.attempts()
        assert [attempt.headers[name] for name in names] == ["first", "second", "third"]
        assert run.stop() == 0, run.output
    mode = (tmp_path / "data" / "functions_host.settings.json").stat().st_mode
    assert stat.S_IMODE(mode) == 0o600


@pytest.mark.parametrize("name", ["functions_host", "sql_server"])
def test_a_part_that_ends_by_itself_ends_start_and_is_named(tmp_path: Path, name: str) -> None:
    run = Started(tmp_path)
    run.wait_ready()
    module = f"emulators.{name}".encode()
    (pid,) = (
        int(path.parent.name)
        for path in Path("/proc").glob("[0-9]*/cmdline")
        if (text := read(path)) and module in text and str(tmp_path).encode() in text
    )
    os.kill(pid, signal.SIGKILL)
    assert run.process.wait(60) == 1
    assert "does not run any more: signal 9 ended it" in run.output
    assert f"{name}.log" in run.output and "Traceback" not in run.output


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:  # it has ended
        return b""


@pytest.mark.parametrize("option", ["--port", "--sql-port"])
def test_a_port_in_use_ends_start_with_one_sentence(tmp_path: Path, option: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        run = Started(tmp_path, option, str(other.getsockname()[1]))
        assert run.process.wait(60) == 1
    assert "another program listens there; choose another port" in run.output
    assert "Traceback" not in run.output


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("CREATE TABLE dbo.T (Id int NOT NULL PRIMARY KEY)\nGO\nSELECT 1 / 0", "8134"),
        ("SELEC 1", "102"),
        (":r other.sql", "line 1"),
    ],
)
def test_a_script_that_fails_ends_start_with_its_error(tmp_path: Path, script: str, told: str) -> None:
    (tmp_path / "tables.sql").write_text(script)
    run = Started(tmp_path / "data", "--tables", str(tmp_path / "tables.sql"))
    assert run.process.wait(60) == 1
    assert told in run.output and "Traceback" not in run.output


def test_data_that_cannot_be_kept_end_start_with_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    run = Started(tmp_path / "file")
    assert run.process.wait(60) == 1
    assert str(tmp_path / "file") in run.output and "Traceback" not in run.output


def test_rows_arrive_within_two_polling_intervals(relay: Relay) -> None:
    for order in range(1, 6):
        relay.insert(order)
        relay.advance(2)  # host.json polls every second
        assert relay.accepted(order)
