"""The task hub of the simulation: whoever takes over goes on with everything, also a worker that has led before, and nothing that a
deposed one was about to commit counts."""

from __future__ import annotations

import json
import logging
import random
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import ModuleType

import pytest

from devtools.sim.inside.clock import Pollers, SimClock
from devtools.sim.inside.host import Worker
from devtools.sim.inside.hub import Hub
from devtools.sim.inside.scheduler import MICROSECONDS, Scheduler
from emulators.functions_host.durable.rpc import WEBHOOK_PATH
from emulators.functions_host.settings import AppSettings

_STALL_SECONDS = 120.0  # longer than any take-over
_APP = """
import azure.durable_functions as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def gate(context):
    yield context.wait_for_external_event("open")
    return "through"
"""


@pytest.fixture
def app(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AppSettings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(sys.modules, "function_app", ModuleType("function_app"))  # put back afterwards
    (tmp_path / "function_app.py").write_text(_APP)
    return AppSettings(tmp_path, {}, {})


def test_a_worker_that_lost_the_lead_and_leads_again_goes_on_with_what_it_was_about_to_run(app: AppSettings) -> None:
    scheduler = Scheduler(random.Random(1), datetime(2026, 1, 1, tzinfo=UTC))
    clock = SimClock(scheduler, Pollers(scheduler))
    hub = Hub(scheduler, lambda: 0.0)

    def stall_once_started(worker: Worker, kind: str, may_freeze: bool, detail: str) -> None:
        if kind == "durable answer" and "/orchestrators/" in detail:
            worker.freeze(_STALL_SECONDS)  # the episode is committed to run, and has not begun

    def start(name: str) -> Worker:
        return Worker(name, scheduler, clock, hub, app, stall_once_started, lambda worker: None, logging.getLogger("test"))

    def wait(seconds: float) -> None:
        scheduler.run_until(scheduler.now_us + round(seconds * MICROSECONDS))

    def ask(worker: Worker, path: str) -> None:
        request = worker.durable_request("POST", f"http://hub{WEBHOOK_PATH}{path}", None)
        worker.loop.call_soon(lambda: worker.loop.create_task(request))

    def status() -> str | None:
        instance = hub.store.instance("one")
        return instance.status if instance else None

    first = start("w0")
    wait(1.0)
    second = start("w1")
    wait(1.0)
    assert hub.leader is first
    ask(first, "/orchestrators/gate/one")
    wait(_STALL_SECONDS - 1.0)
    assert first.frozen
    assert hub.leader is second
    assert status() == "Running"
    wait(2.0)
    assert not first.frozen
    second.kill()
    wait(60.0)
    assert hub.leader is first
    ask(first, "/instances/one/raiseEvent/open")
    wait(1.0)
    assert status() == "Completed"
    first.kill()
    hub.store.close()


def test_what_a_worker_was_about_to_commit_when_it_lost_the_lead_is_void(
    app: AppSettings, caplog: pytest.LogCaptureFixture
) -> None:
    scheduler = Scheduler(random.Random(1), datetime(2026, 1, 1, tzinfo=UTC))
    clock = SimClock(scheduler, Pollers(scheduler))
    hub = Hub(scheduler, lambda: 0.0)
    begun: list[str] = []
    committed: list[str] = []

    def stall_at_commit(worker: Worker, kind: str, may_freeze: bool, detail: str) -> None:
        if kind == "durable" and may_freeze:
            begun.append(worker.name)
            if len(begun) == 1:
                worker.freeze(_STALL_SECONDS)  # the episode has run, and is not committed
        if kind == "durable done" and not worker.asks:
            committed.append(worker.name)

    def start(name: str) -> Worker:
        worker = Worker(name, scheduler, clock, hub, app, stall_at_commit, lambda worker: None, logging.getLogger("test"))
        scheduler.run_until(scheduler.now_us + MICROSECONDS)
        return worker

    first, second = start("w0"), start("w1")
    request = first.durable_request("POST", f"http://hub{WEBHOOK_PATH}/orchestrators/gate/one", None)
    first.loop.call_soon(lambda: first.loop.create_task(request))
    scheduler.run_until(scheduler.now_us + round(2 * _STALL_SECONDS * MICROSECONDS))
    assert begun == ["w0", "w1"]
    assert committed == ["w1"]
    assert not first.frozen and hub.leader is second
    kinds = [json.loads(text)["EventType"] for text in hub.store.history("one")]
    assert len(kinds) == len(set(kinds)) == 3  # one episode
    assert "internal error" not in caplog.text  # the second commit of the same step would be refused
    second.kill()
    first.kill()
    hub.store.close()
