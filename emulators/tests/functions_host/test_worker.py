"""The language worker as a process: what functions receive and may return, and what becomes of a worker that ends."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from emulators.launch import FunctionsHost

APP = """
import asyncio, json, os, sys, threading, time
from datetime import timedelta
import azure.functions as func
import azure.durable_functions as df

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)
calls = 0

def note(line):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(line + "\\n")

@app.route()
def about(req: func.HttpRequest, context) -> str:
    retry = context.retry_context
    return json.dumps({
        "sdk": isinstance(context, func.Context), "directory": context.function_directory, "name": context.function_name,
        "retry": [retry.retry_count, retry.max_retry_count, retry.rpc_exception.message], "pid": os.getpid(),
        "headers": dict(req.headers), "query": dict(req.params), "length": len(req.get_body()), "argument": type(req).__name__,
    })

@app.route()
@app.durable_client_input(client_name="client")
async def decorated(req: func.HttpRequest, client, context) -> str:
    return context.function_directory

@app.route()
def text(req: str) -> str:
    return "never"

@app.route()
def value(req: func.HttpRequest):
    return {"none": None, "bytes": b"x", "dict": {"a": 1}, "int": 5, "half": "\\ud800", "text": "fine"}[req.params["of"]]

@app.route()
def count(req: func.HttpRequest) -> str:
    global calls
    calls += 1
    return str(calls)

@app.route()
def leave(req: func.HttpRequest) -> str:
    sys.exit(int(req.params["code"]))

@app.route()
async def aleave(req: func.HttpRequest) -> str:
    os._exit(7)

@app.route()
def hang(req: func.HttpRequest) -> str:
    note("hangs")
    time.sleep(float(req.params["for"]))
    note("has hung")
    return "late"

@app.orchestration_trigger(context_name="context")
def wakes_early(context):
    due = context.current_utc_datetime + timedelta(seconds=1.7)
    yield context.create_timer(due)
    first = context.current_utc_datetime
    while context.current_utc_datetime < due:
        yield context.create_timer(due)
    return [(due - first).total_seconds(), first < due]

@app.orchestration_trigger(context_name="context")
def asks_the_disabled(context):
    yield context.call_activity("disabled", "")

@app.activity_trigger(input_name="x")
def disabled(x):
    return "never"

@app.route()
def threads(req: func.HttpRequest) -> str:
    return threading.current_thread().name.rsplit("_", 1)[0]

@app.route(methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client) -> str:
    return await client.start_new(req.params["name"])

@app.route()
@app.durable_client_input(client_name="client")
async def status(req: func.HttpRequest, client) -> str:
    found = await client.get_status(req.params["id"])
    return json.dumps([found.runtime_status.name if found.runtime_status else None, found.output])

@app.orchestration_trigger(context_name="context")
def two_steps(context):
    try:
        yield context.call_activity("exits")
    except Exception as problem:
        return str(problem)

@app.activity_trigger(input_name="x")
def exits(x):
    os._exit(9)

@app.orchestration_trigger(context_name="context")
def dies_once(context):
    if not os.path.exists(os.environ["NOTES"] + ".died"):
        open(os.environ["NOTES"] + ".died", "w").close()
        os._exit(5)
    return (yield context.call_activity("thread_of", ""))

@app.activity_trigger(input_name="x")
def thread_of(x):
    return threading.current_thread().name.rsplit("_", 1)[0]
"""
HOST_JSON: dict[str, Any] = {
    "version": "2.0",
    "functionTimeout": "00:00:04",
    "extensions": {"http": {"customHeaders": {"X-Frame-Options": "DENY", "Content-Type": "never/used"}}},
}


@pytest.fixture
def host(tmp_path: Path) -> Iterator[FunctionsHost]:
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(APP)
    (app / "host.json").write_text(json.dumps(HOST_JSON))
    settings = {
        "NOTES": str(tmp_path / "notes"),
        "PYTHON_THREADPOOL_THREAD_COUNT": "many",
        "FUNCTIONS_REQUEST_BODY_SIZE_LIMIT": "9",
    }
    settings["AzureWebJobs.disabled.Disabled"] = "1"
    with FunctionsHost(app, tmp_path, "real", settings) as made:
        yield made


def notes(host: FunctionsHost) -> list[str]:
    file = host.directory / "notes"
    return file.read_text().splitlines() if file.exists() else []


def _ask_until_it_is_gone(host: FunctionsHost) -> None:
    while True:
        host.request("GET", "/api/aleave")


def test_what_a_function_receives_and_may_return(host: FunctionsHost) -> None:
    headers = {"X-Test": "t", "Content-Type": "a/b"}
    answer = host.request("POST", "/api/about?x=1&X=2&empty=", data=b"123456789", headers=headers)
    found = answer.json()
    assert found["sdk"] is False
    assert found["directory"] == str(host.directory / "app")
    assert found["retry"] == [0, 0, ""]
    assert found["length"] == 9
    assert found["query"] == {"x": "1,2"}
    assert found["headers"]["x-test"] == "t" and "X-Test" not in found["headers"]
    assert answer.headers["X-Frame-Options"] == "DENY" and answer.headers["Content-Type"].startswith("text/plain")
    assert host.request("GET", "/nowhere").headers["X-Frame-Options"] == "DENY"
    # a body without a length is not passed on, one above the limit fails the call
    assert host.request("POST", "/api/about", data=iter([b"chunk"])).json()["length"] == 0
    assert host.request("POST", "/api/about", data=b"1234567890").status_code == 500
    assert "Request body too large. The max request body size is 9 bytes." in host.log_tail(5)
    assert "azure" in host.request("GET", "/api/decorated").text  # the decorator's folder, not the app's
    assert host.request("GET", "/api/text").status_code == 500
    assert """unexpected type of data received for the "generic" binding : 'http'""" in host.log_tail(20)
    assert host.request("GET", "/api/%00").status_code == 400


@pytest.mark.parametrize("kind", ["none", "bytes", "dict", "int"])
def test_a_value_that_is_no_response_fails_the_invocation(host: FunctionsHost, kind: str) -> None:
    assert host.request("GET", "/api/value?of=text").text == "fine"
    answer = host.request("GET", f"/api/value?of={kind}")
    assert (answer.status_code, answer.text) == (500, "")
    log = host.log_tail(30)
    assert "[value] Executed (Failed" in log
    assert "unable to encode outgoing TypedData: unsupported type" in log
    assert host.request("GET", "/api/value?of=half").status_code == 500
    assert "surrogates not allowed" in host.log_tail(20)


def test_a_worker_that_ends_is_started_again_and_the_third_time_the_host_ends(host: FunctionsHost) -> None:
    assert [host.request("GET", "/api/count").text for _ in range(2)] == ["1", "2"]
    assert host.request("GET", "/api/leave?code=3").status_code == 500
    assert host.request("GET", "/api/count").text == "1"  # another process
    assert "WorkerProcessExitException: python exited with code 3 (0x3)" in host.log_file.read_text()
    os.kill(int(host.request("GET", "/api/about").json()["pid"]), signal.SIGKILL)
    host.wait_until(lambda: "python exited with code 137 (0x89)" in host.log_file.read_text())
    assert host.request("GET", "/api/count").text == "1"
    with pytest.raises(requests.ConnectionError):
        _ask_until_it_is_gone(host)
    assert "Exceeded language worker restart retry count for runtime:python." in host.log_file.read_text()
    process = host._process
    assert process is not None and process.wait(20) == 0


def test_a_function_that_runs_too_long_takes_its_worker_with_it(host: FunctionsHost) -> None:
    before = host.request("GET", "/api/about").json()["pid"]
    with ThreadPoolExecutor() as pool:
        first = pool.submit(host.request, "GET", "/api/hang?for=60")
        host.wait_until(lambda: notes(host) == ["hangs"])
        assert first.result().status_code == 500
        log = host.log_file.read_text()
        assert "Timeout value of 0:00:04 exceeded by function 'Functions.hang'" in log
        beside = pool.submit(host.request, "GET", "/api/hang?for=3.5")  # it would end in time, were its worker not ended before
        host.wait_until(lambda: "Restart of language worker process(es) completed." in host.log_file.read_text())
        assert host.request("GET", "/api/about").json()["pid"] != before
        assert beside.result().status_code == 500
    assert "has hung" not in notes(host)
    assert host.log_file.read_text().count("Restarting worker process executing invocationId") == 1


def test_a_worker_that_leaves_with_code_0_is_missed_only_after_the_time_out(host: FunctionsHost) -> None:
    assert host.request("GET", "/api/leave?code=0").status_code == 500
    assert "Timeout value of 0:00:04 exceeded by function 'Functions.leave'" in host.log_file.read_text()
    assert "WorkerProcessExitException" not in host.log_file.read_text()
    host.wait_until(lambda: "Restart of language worker process(es) completed." in host.log_file.read_text())
    assert host.request("GET", "/api/count").text == "1"


def test_a_worker_outlives_a_killed_host_until_its_functions_have_ended(host: FunctionsHost) -> None:
    worker = int(host.request("GET", "/api/about").json()["pid"])

    def ask() -> None:
        with contextlib.suppress(requests.RequestException):
            host.request("GET", "/api/hang?for=2")

    threading.Thread(target=ask).start()
    host.wait_until(lambda: notes(host) == ["hangs"])
    os.kill(host.pid, signal.SIGKILL)
    assert host._process is not None
    host._process.wait(20)
    while notes(host) != ["hangs", "has hung"]:
        os.kill(worker, 0)
        threading.Event().wait(0.02)


def test_a_host_that_is_asked_to_stop_gives_its_functions_time(host: FunctionsHost) -> None:
    with ThreadPoolExecutor() as pool:
        pool.submit(host.request, "GET", "/api/hang?for=2")
        host.wait_until(lambda: notes(host) == ["hangs"])
        host.stop()
    assert notes(host) == ["hangs", "has hung"]


def test_only_so_many_requests_are_held(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(APP)
    limits = {"maxOutstandingRequests": 2, "maxConcurrentRequests": 1}
    (app / "host.json").write_text(json.dumps({"version": "2.0", "extensions": {"http": limits}}))
    with FunctionsHost(app, tmp_path, "real", {"NOTES": str(tmp_path / "notes")}) as host, ThreadPoolExecutor() as pool:
        held = [pool.submit(host.request, "GET", "/api/hang?for=1") for _ in range(2)]
        host.wait_until(lambda: notes(host) == ["hangs"])
        answer = host.request("GET", "/api/count")
        while answer.status_code != 429:  # the second may not have arrived yet
            answer = host.request("GET", "/api/count")
        assert answer.headers["X-FUNCTION-SCALEOUT"] == "1"
        assert [each.result().status_code for each in held] == [200, 200]
        assert notes(host) == ["hangs", "has hung"] * 2  # one after the other
        assert host.request("GET", "/api/count").status_code == 200


def test_orchestrations_and_a_worker_that_ends(host: FunctionsHost) -> None:
    def finished(name: str) -> list[Any]:
        instance = host.request("POST", f"/api/start?name={name}").text
        found: list[Any] = [None]

        def ended() -> bool:
            answer = host.request("GET", f"/api/status?id={instance}")
            if answer.status_code == 200:  # the worker that ends takes such a request with it
                found[:] = answer.json()
            return found[0] in ("Completed", "Failed")

        host.wait_until(ended)
        return found

    # an episode is run again; orchestrators and activities share the threads
    assert finished("dies_once") == ["Completed", host.request("GET", "/api/threads").text]
    early, is_early = finished("wakes_early")[1]  # the delay of the queue has whole seconds
    assert is_early and early < 1
    status, output = finished("asks_the_disabled")
    assert status == "Failed" and "The function 'disabled' doesn't exist, is disabled, or is not an activity function." in output
    status, output = finished("two_steps")  # an activity fails
    assert status == "Completed"
    assert "WorkerProcessExitException: python exited with code 9 (0x9)" in output
