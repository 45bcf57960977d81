"""The status page of the Functions host while the app runs: an outage is seen, and whoever looks disturbs nothing."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from emulators.functions_host.console import CONSOLE_PATH
from emulators.functions_host.sql_trigger.inspection import APPLICATION_NAME
from emulators.launch import FunctionsHost
from emulators.tests.functions_host.browser import Browser
from tests.harness.running_relay import CONFIG, ORDERS, Relay


@contextlib.contextmanager
def watched(host: FunctionsHost) -> Iterator[None]:
    """Somebody asks for all data of the page, again and again, from a thread."""
    ended = threading.Event()

    def run() -> None:
        with requests.Session() as session:
            while not ended.is_set():
                state = session.get(f"{host.url}{CONSOLE_PATH}/state", timeout=30).json()
                instances = [f"instance?id={item['id']}" for item in state["durable"]["instances"]]
                for path in ("triggers", *instances):
                    session.get(f"{host.url}{CONSOLE_PATH}/{path}", timeout=30)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def outage(directory: Path, *, with_watcher: bool) -> dict[str, Any]:
    """An hour without the API; what happened when, and what the app asked of its services."""
    directory.mkdir()
    relay = Relay(directory, CONFIG, ORDERS)
    try:
        relay.stack.start()
        host = relay.stack.host
        assert host is not None
        with watched(host) if with_watcher else contextlib.nullcontext():
            relay.advance(2)
            begun = relay.stack.sql.stats()["applications"]  # who is first at the start, the trigger or the watchdog, is open
            relay.insert(1)
            relay.advance(5)
            relay.stack.downstream.set_mode("down")
            relay.insert(2, 3)
            relay.advance(hours=1)
            relay.accept_all()
            relay.advance(hours=2)
        instances = host.request("GET", f"{CONSOLE_PATH}/state").json()["durable"]["instances"]
        applications = relay.stack.sql.stats()["applications"]
        assert (applications.get(APPLICATION_NAME, {}).get("requests", 0) > 10) == with_watcher
        return {
            "posts": sorted((attempt.at, json.dumps(attempt.key), attempt.version, attempt.status) for attempt in relay.posts()),
            "instances": sorted((item["name"], item["status"], item["created"], item["updated"]) for item in instances),
            "the app's round trips": applications["rowpost"]["requests"] - begun["rowpost"]["requests"],
            "the triggers' round trips": applications["functions-host"]["requests"] - begun["functions-host"]["requests"],
            "calls of the durable client": host.request("GET", "/admin/host/status").json()["durableCalls"],
        }
    finally:
        relay.stack.stop()
        relay.time.close()


def test_looking_changes_nothing(tmp_path: Path) -> None:
    seen = outage(tmp_path / "seen", with_watcher=True)
    assert len(seen["posts"]) > 5
    assert seen == outage(tmp_path / "unseen", with_watcher=False)


def has(selector: str, text: str) -> str:
    return f"[...document.querySelectorAll({json.dumps(selector)})].some(e => e.textContent.includes({json.dumps(text)}))"


@pytest.mark.browser
def test_an_outage_is_seen_as_it_happens(tmp_path: Path, relay: Relay) -> None:
    with Browser(tmp_path / "profile") as browser:
        assert relay.stack.host is not None
        url = f"{relay.stack.host.url}{CONSOLE_PATH}/"
        browser.open(url)
        browser.wait_for(has("#functions-table td", "relay_dbo_Orders"))
        browser.wait_for(has(".trigger .facts", "Leases0"))
        assert "No orchestration has been started." in browser.text("#instances-table")
        relay.stack.downstream.set_mode("down")
        relay.insert(7)
        relay.advance(1200)
        browser.wait_for(has(".trigger td", "OrderId=7"))
        browser.wait_for(has(".trigger td", "held by the app until"))
        browser.wait_for(has("#instances-table button", "recovery-dbo_Orders"))
        browser.wait_for(has("#queue-timers li", "recovery-dbo_Orders"))
        browser.wait_for(has("#lines .line.error", "BatchFailed"))
        browser.wait_for(has("#functions-table td", "BatchFailed"))
        assert "customer 7" not in browser.text("body")
        browser.click("[data-instance^='recovery-dbo_Orders-']")
        browser.wait_for(has("#history-table td", "survey_relay"))
        browser.wait_for(has("#history-table td", "TimerCreated"))
        assert "Running" in browser.text("#instance-about")
        relay.accept_all()
        relay.advance(hours=3)
        browser.wait_for(has("#instances-table td", "Completed"))
        browser.wait_for(has("#history-table td", "ExecutionCompleted"))
        assert browser.complaints == []
        assert {address.split("?")[0] for address in browser.requested if not address.startswith("data:")} == {
            url + name for name in ("", "console.css", "console.js", "state", "triggers", "instance")
        }
