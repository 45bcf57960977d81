"""Status and health answer within five seconds, whatever is away, and say what it is."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from tests.harness.running_relay import CONFIG, ORDERS, Relay

SECONDS = 5.0  # what the documents promise
OTHERS = 11
NAMES = ["dbo.Orders", *(f"dbo.T{n}" for n in range(1, OTHERS + 1))]


@pytest.fixture
def relay(make_relay: Callable[..., Relay]) -> Relay:
    tables = "".join(f"\nGO\nCREATE TABLE {name} (Id int NOT NULL PRIMARY KEY)" for name in NAMES[1:])
    relays = "".join(f'[[relays]]\ntable = "{name}"\n' for name in NAMES[1:])
    return make_relay(CONFIG + relays, ORDERS + tables)


@contextmanager
def dark(relay: Relay) -> Iterator[None]:
    """The database's machine is there and answers nothing, as behind a firewall that drops packets."""
    os.kill(relay.stack.sql.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(relay.stack.sql.pid, signal.SIGCONT)


def ask(relay: Relay, path: str) -> tuple[int, Any]:
    began = time.monotonic()
    answer = relay.stack.host.request("GET", path, timeout=60)  # type: ignore[union-attr]
    assert time.monotonic() - began < SECONDS, path
    return answer.status_code, answer.json()


def wrong(health: dict[str, Any]) -> set[str]:
    """The names of the checks that fail and count; each of them says what to do."""
    failed = [check for check in health["checks"] if check["counts"] and not check["healthy"]]
    assert all(check["detail"] and check["remedy"] for check in failed) and health["healthy"] == (not failed)
    return {check["name"] for check in failed}


def test_all_is_well(relay: Relay) -> None:
    status, health = ask(relay, "/api/health")
    assert status == 200 and wrong(health) == set()
    assert {check["relay"] for check in health["checks"] if check["name"] == "rights"} == set(NAMES)
    assert ask(relay, "/api/health?deep=false") == (200, {"healthy": True, "checks": []})
    status, document = ask(relay, "/api/relays")
    assert status == 200 and document["away"] == {}
    assert [entry["relay"] for entry in document["relays"]] == NAMES


@pytest.mark.parametrize("loaded", [True, False], ids=["tables known", "tables not known yet"])
def test_a_database_that_answers_nothing_is_told_in_time(relay: Relay, loaded: bool) -> None:
    if loaded:
        ask(relay, "/api/relays")
    else:
        relay.stack.host.restart()  # type: ignore[union-attr]
    with dark(relay), ThreadPoolExecutor(4) as people:
        for _ in range(2):  # who comes again takes no thread from the first
            asked = [people.submit(ask, relay, path) for path in ("/api/relays", "/api/health") * 2]
            for answer, path in zip([each.result() for each in asked], ("/api/relays", "/api/health") * 2, strict=True):
                status, document = answer
                if path == "/api/relays":
                    assert set(document["away"]) == {"database"}
                    assert [entry["relay"] for entry in document["relays"]] == NAMES
                    assert all("within" in entry["problem"] for entry in document["relays"])
                else:
                    assert status == 503 and {"connection"} <= wrong(document) <= {"connection", "relay", "rights"}
    assert relay.advance(120, until=lambda: ask(relay, "/api/health")[0] == 200)
    assert all("waiting" in entry for entry in ask(relay, "/api/relays")[1]["relays"])


def test_a_database_that_is_gone_is_told(relay: Relay) -> None:
    relay.stack.sql.kill()
    status, document = ask(relay, "/api/health")
    assert status == 503 and {"connection"} <= wrong(document) <= {"connection", "relay", "rights"}
    relay.stack.sql.start()
    assert relay.advance(120, until=lambda: ask(relay, "/api/health")[0] == 200)


@pytest.mark.parametrize(("fault", "said"), [("hang", "within"), ("error", "error"), ("drop_before", "error")])
def test_a_storage_that_does_not_answer_is_told(relay: Relay, fault: str, said: str) -> None:
    relay.stack.host.add_durable_fault(fault)  # type: ignore[union-attr]
    status, document = ask(relay, "/api/health")
    assert status == 503
    assert wrong(document) == {"storage"}
    (storage,) = (check for check in document["checks"] if check["name"] == "storage")
    assert said in storage["detail"]
    entries = ask(relay, "/api/relays")[1]["relays"]
    assert all("waiting" in entry and "problem" not in entry for entry in entries)


def test_both_away_are_told_in_time(relay: Relay) -> None:
    relay.stack.host.add_durable_fault("hang")  # type: ignore[union-attr]
    with dark(relay):
        assert {"connection", "storage"} <= wrong(ask(relay, "/api/health")[1])
        assert set(ask(relay, "/api/relays")[1]["away"]) == {"database", "storage"}


def test_a_relay_that_cannot_run_is_told(relay: Relay) -> None:
    relay.execute("ALTER TABLE dbo.T3 DISABLE CHANGE_TRACKING")
    relay.stack.host.restart()  # type: ignore[union-attr]
    status, document = ask(relay, "/api/health")
    assert status == 503 and wrong(document) == {"relay", "tracking"}
    failed = [check for check in document["checks"] if not check["healthy"]]
    assert {check["relay"] for check in failed} == {"dbo.T3"} and "change tracking" in failed[0]["detail"].lower()
