"""Starting, killing and restarting emulators as processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import requests

from emulators.launch import DownstreamProcess, EmailServiceProcess, FunctionsHost
from emulators.odbc import odbc_driver
from emulators.process import Emulator, EmulatorError, start_process, start_together
from emulators.warm import Forked

ROOT = Path(__file__).resolve().parents[2]
CHANGE = {"table": "dbo.T", "operation": "upsert", "key": {"Id": 1}, "version": 5, "row": {"Id": 1}}


@pytest.fixture(autouse=True, params=[start_process, Forked], ids=["process", "fork"])
def starter(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever starts it, it lives and ends alike."""
    monkeypatch.setattr(Emulator, "starter", staticmethod(request.param))


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rsplit(")", 1)[1].split()[0] != "Z"


def test_killed_and_started_again_at_the_same_port_with_the_same_data(tmp_path: Path) -> None:
    with DownstreamProcess(tmp_path, "real") as api:
        requests.post(f"{api.url}/t", json=CHANGE, timeout=10).raise_for_status()
        port, pid = api.port, api.pid
        api.kill()
        assert not api.running and not is_alive(pid)
        with pytest.raises(requests.ConnectionError):
            requests.post(f"{api.url}/t", json=CHANGE, timeout=10)
        api.start()
        assert api.port == port and api.pid != pid
        assert [state["version"] for state in api.state("dbo.T")] == [5]
        api.restart()
        assert api.counters()["accepted"] == 1
        pid = api.pid
    assert not is_alive(pid)


def test_a_port_that_somebody_else_has_for_a_while_is_waited_for(tmp_path: Path) -> None:
    """A connection of any process may have been given the port of an emulator that was killed."""
    with DownstreamProcess(tmp_path, "real") as api:
        port = api.port
        api.kill()
        other = socket.socket()
        other.bind(("127.0.0.1", port))
        threading.Timer(0.3, other.close).start()
        api.start()
        assert api.port == port


def test_control_of_the_downstream_api(tmp_path: Path) -> None:
    with DownstreamProcess(tmp_path, "real") as api:
        api.set_mode("down", status=500)
        assert requests.post(f"{api.url}/t", json=CHANGE, timeout=10).status_code == 500
        api.set_mode()
        api.set_rules([{"match": {"table": "dbo.T"}, "status": 409, "times": 1}])
        assert requests.post(f"{api.url}/t", json=CHANGE, timeout=10).status_code == 409
        api.set_settings(accepted_status=200)
        assert requests.post(f"{api.url}/t", json=CHANGE, timeout=10).status_code == 200
        assert [attempt["status"] for attempt in api.attempts(since=1)] == [409, 200]
        with pytest.raises(requests.HTTPError, match="stauts"):
            api.set_mode("down", stauts=500)
        api.reset()
        assert api.state() == []


def test_control_of_the_email_service(tmp_path: Path) -> None:
    message = {
        "senderAddress": "a@example.com",
        "recipients": {"to": [{"address": "b@example.com"}]},
        "content": {"subject": "s", "plainText": "t"},
    }
    with EmailServiceProcess(tmp_path, "real") as service:
        service.set_faults([{"kind": "throttle", "times": 1, "retry_after": 1}])
        url, headers = f"{service.url}/emails:send?api-version=1", {"Authorization": "Bearer t"}
        answers = [requests.post(url, json=message, headers=headers, timeout=10).status_code for _ in range(2)]
        assert answers == [429, 202]
        assert [m["subject"] for m in service.messages("b@example.com")] == ["s"]
        assert [attempt["status"] for attempt in service.attempts()] == [429, 202]


def test_the_functions_host_sees_the_given_settings_only(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "host.json").write_text('{"version": "2.0"}')
    (app / "local.settings.json").write_text('{"Values": {"FROM_FILE": "a developer"}}')
    (app / "function_app.py").write_text(
        "import os\n"
        "import azure.functions as func\n"
        "app = func.FunctionApp()\n"
        "@app.route(route='hello', auth_level=func.AuthLevel.ANONYMOUS)\n"
        "def hello(req: func.HttpRequest) -> func.HttpResponse:\n"
        "    return func.HttpResponse(f\"{os.environ['GIVEN']} {os.environ.get('FROM_FILE')}\")\n"
    )
    with FunctionsHost(app, tmp_path / "state", "real", {"GIVEN": "a;b=c"}) as host:
        assert host.request("GET", "/api/hello").text == "a;b=c None"
        port = host.port
        host.kill()
        host.start()
        assert host.port == port
        assert host.request("GET", "/api/hello").text == "a;b=c None"


def test_one_that_ends_before_it_is_ready_shows_its_log(tmp_path: Path) -> None:
    broken = DownstreamProcess(tmp_path, "no such clock")
    with pytest.raises(EmulatorError, match=r"unknown clock 'no such clock'"):
        broken.start()
    assert not broken.running


def test_one_that_does_not_get_ready_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "silent.py").write_text("import time; time.sleep(60)")
    silent = Emulator("silent", "silent", tmp_path, [], {})
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(EmulatorError, match="not ready within"):
        silent.start(timeout_seconds=0.5)
    assert not silent.running


def test_if_one_of_several_fails_none_is_left(tmp_path: Path) -> None:
    good, bad = DownstreamProcess(tmp_path, "real"), EmailServiceProcess(tmp_path, "no such clock")
    with pytest.raises(EmulatorError):
        start_together(good, bad)
    assert not good.running
    start_together(good)
    good.stop()


def test_waiting_ends_when_the_process_does(tmp_path: Path) -> None:
    with DownstreamProcess(tmp_path, "real") as api:
        api.wait_until(lambda: True)
        with pytest.raises(TimeoutError, match="rain did not hold"):
            api.wait_until(lambda: False, timeout_seconds=0.05, what="rain")
        os.kill(api.pid, signal.SIGKILL)
        with pytest.raises(EmulatorError, match="ended while"):
            api.wait_until(lambda: False)


def test_none_outlives_a_killed_starter(tmp_path: Path) -> None:
    code = (
        "import sys, time; from pathlib import Path; from emulators.launch import DownstreamProcess\n"
        "api = DownstreamProcess(Path(sys.argv[1]), 'real').start(); print(api.pid, flush=True); time.sleep(60)"
    )
    starter = subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert starter.stdout is not None
    pid = int(starter.stdout.readline())
    assert is_alive(pid)
    starter.kill()
    starter.wait()
    deadline = time.monotonic() + 10
    while is_alive(pid):
        assert time.monotonic() < deadline, "the emulator outlived its starter"
        time.sleep(0.02)


def test_the_odbc_driver_is_found() -> None:
    assert "msodbcsql" in odbc_driver() or "ODBC Driver 18" in odbc_driver()
