"""The demo's scenario on real parts: what can be checked without them. A script in the place of ``func`` is put on the PATH."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
import time
import tomllib
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from devtools.data import DEMO_CONFIG
from devtools.real import (
    REAL_SECONDS_PER_HOUR,
    SPEED,
    RealHost,
    RealStack,
    RealTime,
    ScenarioClock,
    ShortenedEmail,
    require_parts,
    shortened,
)
from devtools.real_database import LOGIN, RealDatabase
from devtools.stack import ROOT
from rowpost.config.connection_string import translate
from rowpost.config.loading import load_config

START = datetime(2026, 1, 5, 8, tzinfo=UTC)
ADMINISTRATOR = "Server=localhost,1433;Initial Catalog=other;User ID=sa;Password=Secret!2026;TrustServerCertificate=true"
RELAY = DEMO_CONFIG.read_text(encoding="utf-8")

# Like Core Tools in what matters here: takes `start --port N`, runs the host in a child, needs a moment, answers the status.
FUNC = f"""\
#!{sys.executable}
import http.server, json, os, pathlib, subprocess, sys
record = pathlib.Path(os.environ["RECORD"])
if os.environ.get("BROKEN"):
    sys.exit("func: no job functions found")
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
seen = {{"argv": sys.argv[1:], "cwd": os.getcwd(), "child": child.pid, "environment": dict(os.environ)}}
record.write_text(json.dumps(seen))
states = iter(["Initializing"])
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = json.dumps({{"state": next(states, "Running"), "path": self.path}}).encode()
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)
http.server.HTTPServer(("127.0.0.1", int(sys.argv[sys.argv.index("--port") + 1])), Handler).serve_forever()
"""


@pytest.fixture
def record(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``func`` is on the PATH; the file is what it saw."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "func").write_text(textwrap.dedent(FUNC))
    (folder / "func").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("RECORD", str(tmp_path / "record.json"))
    return tmp_path / "record.json"


def settings_for(tmp_path: Path) -> dict[str, str]:
    values: dict[str, str] = json.loads((ROOT / "local.settings.json").read_text())["Values"]
    return values


def test_the_shortened_configuration_differs_in_durations_alone(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(shortened(RELAY), encoding="utf-8")
    config = load_config(tmp_path / "relay.toml", settings_for(tmp_path))
    retry = config.retry
    assert retry.window.seconds == 168 * REAL_SECONDS_PER_HOUR
    assert retry.max_delay.seconds == 6 * REAL_SECONDS_PER_HOUR
    assert (retry.attempts, retry.first_delay.seconds, config.notifications.after_rounds) == (2, 5, 5)
    before, after = tomllib.loads(RELAY), tomllib.loads(shortened(RELAY))
    assert {key for key in before if before[key] != after[key]} == {"notifications", "retry", "watchdog"}


def test_people_are_told_within_the_scenarios_outage(tmp_path: Path) -> None:
    """Five rounds and the trigger's minute between two attempts fit into 72 shortened hours, with as much again to spare."""
    (tmp_path / "relay.toml").write_text(shortened(RELAY), encoding="utf-8")
    config = load_config(tmp_path / "relay.toml", settings_for(tmp_path))
    retry = config.retry
    rounds = sum(retry.backoff.delay_seconds(number) for number in range(1, config.notifications.after_rounds + 1))
    assert 60 * (retry.attempts - 1) + rounds < 72 * REAL_SECONDS_PER_HOUR / 2


def test_a_key_that_is_gone_from_relay_toml_is_named() -> None:
    with pytest.raises(ValueError, match=r"one line retry\.window = …, found 0"):
        shortened(RELAY.replace("window = ", "windows = "))


def test_five_real_seconds_are_an_hour_of_the_scenario() -> None:
    scenario = RealTime(START)
    now = datetime.now(UTC)
    scenario.begin()
    hour = scenario.scenario(now + timedelta(seconds=REAL_SECONDS_PER_HOUR)) - scenario.scenario(now)
    assert hour == timedelta(hours=1)
    assert START <= ScenarioClock(scenario).now() < START + timedelta(hours=6)


def test_waiting_ends_when_the_condition_holds_or_the_instant_has_come() -> None:
    scenario = RealTime(START, settle_seconds=0, patience_seconds=0)
    answers = iter([False, True])
    assert scenario.advance_to(scenario.now() + timedelta(hours=5), until=lambda: next(answers))
    assert not scenario.advance_to(scenario.now() + timedelta(minutes=6), until=lambda: False)
    before = scenario.now()
    assert scenario.advance_to(before + timedelta(minutes=12))
    assert scenario.now() >= before + timedelta(minutes=12)


def test_a_throttled_mailbox_asks_for_real_seconds(tmp_path: Path) -> None:
    email = ShortenedEmail(ScenarioClock(RealTime(START)))
    assert email.add_fault(kind="throttle", retry_after=300).retry_after == 1
    assert email.add_fault(kind="throttle", retry_after=2 * SPEED).retry_after == 2
    assert email.add_fault(kind="throttle").retry_after is None


def test_the_app_connects_to_the_runs_own_database_with_few_rights() -> None:
    database = RealDatabase(ADMINISTRATOR, "rowpost_demo_1")
    app = translate(database.ado_net_connection_string, "SqlConnectionString", "driver")
    assert app.database == "rowpost_demo_1" and f"UID={LOGIN};" in app.text and "Secret" not in app.text
    administrator = database.odbc("master")
    assert administrator.database == "master" and "UID=sa;" in administrator.text


def test_missing_parts_are_named_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        require_parts()
    assert "func (Azure Functions Core Tools 4" in str(ended.value) and "npm and node" in str(ended.value)


def test_the_demo_names_what_it_needs(tmp_path: Path) -> None:
    environment = {**os.environ, "PATH": str(tmp_path), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "devtools.demo", "--real"]
    result = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
    assert result.returncode == 1 and "demo --real needs func" in result.stderr


@pytest.mark.npm
def test_without_a_server_the_remedy_is_told(record: Path, tmp_path: Path) -> None:
    nobody = "Server=127.0.0.1,1;Database=x;User ID=sa;Password=Secret!2026;Connect Timeout=2"
    with pytest.raises(SystemExit) as ended, RealStack(tmp_path / "data", RealTime(START), nobody, ready_seconds=0):
        pass
    assert "docker compose up --detach sql" in str(ended.value) and "Secret" not in str(ended.value)


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_the_host_is_waited_for_killed_with_its_children_and_started_again(record: Path, tmp_path: Path) -> None:
    host = RealHost({"DOWNSTREAM_URL": "http://127.0.0.1:1/rows", "RECORD": str(record)}, tmp_path / "func.log").start(30)
    try:
        seen = json.loads(record.read_text())
        assert seen["argv"] == ["start", "--port", str(host.port)] and seen["cwd"] == str(ROOT)
        assert seen["environment"]["DOWNSTREAM_URL"] == "http://127.0.0.1:1/rows"
        polling = "AzureFunctionsJobHost__extensions__durableTask__storageProvider__maxQueuePollingInterval"
        assert seen["environment"][polling] == "00:00:01"
        assert host.request("GET", "/api/relays").json()["path"] == "/api/relays"
        host.kill()
        assert not host.running and _ends(seen["child"])
        host.start(30)
        assert host.running and json.loads(record.read_text())["child"] != seen["child"]
    finally:
        host.stop()
    assert _ends(json.loads(record.read_text())["child"])


@pytest.mark.skipif(os.name != "posix", reason="process groups")
def test_a_host_that_ends_by_itself_shows_its_log(record: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BROKEN", "1")
    with pytest.raises(RuntimeError, match="no job functions found"):
        RealHost({}, tmp_path / "func.log").start(30)


@pytest.mark.npm
def test_the_stack_writes_its_configuration_and_gives_every_setting(record: Path, tmp_path: Path) -> None:
    scenario = RealTime(START)
    stack = RealStack(tmp_path / "data", scenario, ADMINISTRATOR)
    with stack.downstream, stack.email:
        assert set(stack.settings) >= set(settings_for(tmp_path)) - {"AzureWebJobsStorage"}  # that is known once Azurite runs
        assert stack.config.retry.window.seconds == 168 * REAL_SECONDS_PER_HOUR
        assert f"Database={stack.database.name};User ID={LOGIN}" in stack.settings["SqlConnectionString"]
        written = datetime.now(UTC).replace(tzinfo=None)
        assert abs(stack.instant(written) - scenario.now()) < timedelta(minutes=30)


def _ends(pid: int, timeout_seconds: float = 10.0) -> bool:
    """Whether a process ends in time; one that has ended and waits to be collected has."""
    deadline = time.monotonic() + timeout_seconds
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
            if Path("/proc").exists() and "zombie" in Path(f"/proc/{pid}/status").read_text():
                return True
        except (FileNotFoundError, ProcessLookupError):
            return True
        time.sleep(0.02)
    return False
