"""The example at its own wire: what it answers to whom."""

from __future__ import annotations

import gzip
import json
import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
import standardwebhooks

from rowpost.target.event import build_event
from rowpost.target.shape import Shape
from tests.harness.example_consumer import RunningConsumer, Store, open_store
from tests.harness.rows import row

NOW = datetime(2026, 3, 2, 6, tzinfo=UTC)
EVENT, BATCH = "application/cloudevents+json", "application/cloudevents-batch+json"
SECRET, OTHER = "whsec_" + "c2VjcmV0" * 5, "whsec_" + "b3RoZXIh" * 5


@pytest.fixture
def consumer(tmp_path: Path) -> Iterator[RunningConsumer]:
    with RunningConsumer(open_store(str(tmp_path / "copy.db"))) as running:
        yield running


def event(number: int = 1, version: int = 7, form: Any = "cloudevents") -> tuple[bytes, dict[str, str]]:
    """Body and headers of an event, as the app makes them."""
    made = build_event(Shape("dbo.Orders", form=form), row(version, {"OrderId": number}, {"OrderId": number}), 0, None, NOW)
    return made.body, {**made.headers, "Content-Type": made.content_type}


def known(consumer: RunningConsumer) -> set[int]:
    return {json.loads(data)["OrderId"] for data in consumer.store.rows("dbo.Orders").values()}


@pytest.mark.parametrize("form", ["cloudevents", "cloudevents-binary", "plain"])
def test_each_form_of_an_event_is_taken(consumer: RunningConsumer, form: str) -> None:
    body, headers = event(form=form)
    assert requests.post(consumer.url, body, headers=headers, timeout=10).status_code == 200
    assert known(consumer) == {1}


def test_a_compressed_event_is_taken(consumer: RunningConsumer) -> None:
    body, headers = event()
    answer = requests.post(consumer.url, gzip.compress(body), headers={**headers, "Content-Encoding": "gzip"}, timeout=10)
    assert answer.status_code == 200 and known(consumer) == {1}


def test_a_batch_has_a_status_for_each_event(consumer: RunningConsumer) -> None:
    bodies = [json.loads(event(number)[0]) for number in (1, 2, 3)]
    del bodies[1]["data"]["operation"]
    answer = requests.post(consumer.url, json.dumps(bodies), headers={"Content-Type": BATCH}, timeout=10)
    assert answer.status_code == 207
    statuses = {result["id"]: result["status"] for result in answer.json()["results"]}
    assert statuses == {bodies[0]["id"]: 200, bodies[1]["id"]: 422, bodies[2]["id"]: 200}
    assert known(consumer) == {1, 3}


@pytest.mark.parametrize("lines", [False, True], ids=["array", "lines"])
def test_a_batch_of_events_without_ids_has_places(consumer: RunningConsumer, lines: bool) -> None:
    bodies = [event(number, form="plain")[0].decode() for number in (1, 2)]
    bodies.insert(1, '{"table": "dbo.Orders"}')
    body, kind = ("\n".join(bodies), "application/x-ndjson") if lines else (f"[{','.join(bodies)}]", "application/json")
    answer = requests.post(consumer.url, body, headers={"Content-Type": kind}, timeout=10)
    assert answer.status_code == 207 and known(consumer) == {1, 2}
    assert answer.json()["results"] == [{"index": 0, "status": 200}, {"index": 1, "status": 422}, {"index": 2, "status": 200}]


@pytest.mark.parametrize(
    ("body", "status"),
    [("{", 400), ("[" * 100_000, 400), ("1", 422), ('{"a": 1}', 422), ('{"table": 1, "operation": "upsert"}', 422)],
)
def test_what_can_never_be_taken_is_refused(consumer: RunningConsumer, body: str, status: int) -> None:
    assert requests.post(consumer.url, body, headers={"Content-Type": EVENT}, timeout=10).status_code == status


def test_a_new_kind_of_event_is_passed_over(consumer: RunningConsumer) -> None:
    body = {"table": "dbo.Orders", "operation": "something-new", "epoch": 0, "version": 1}
    assert requests.post(consumer.url, json.dumps(body), timeout=10).status_code == 200


def test_a_database_that_is_away_is_asked_again(tmp_path: Path) -> None:
    """The event is not refused: it comes again, and is taken by a new connection."""
    away = False

    def connect() -> sqlite3.Connection:
        if away:
            raise sqlite3.OperationalError("unable to open database file")
        return sqlite3.connect(tmp_path / "copy.db", isolation_level=None, check_same_thread=False)

    with RunningConsumer(Store(connect, "sqlite", ":")) as consumer:
        body, headers = event()
        away = True
        consumer.store.close()
        answer = requests.post(consumer.url, body, headers=headers, timeout=10)
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        away = False
        assert requests.post(consumer.url, body, headers=headers, timeout=10).status_code == 200
        assert known(consumer) == {1}


@pytest.mark.parametrize(
    ("secrets", "sender", "late", "changed", "status"),
    [
        ([SECRET], SECRET, 0, False, 200),
        ([OTHER, SECRET], SECRET, 0, False, 200),
        ([SECRET], OTHER, 0, False, 401),
        ([SECRET], SECRET, 3600, False, 401),
        ([SECRET], SECRET, 0, True, 401),
        ([SECRET], None, 0, False, 401),
    ],
)
def test_signatures(tmp_path: Path, secrets: list[str], sender: str | None, late: int, changed: bool, status: int) -> None:
    body, headers = event()
    if sender is not None:
        at = datetime.fromtimestamp(datetime.now(UTC).timestamp() - late, UTC)
        signature = standardwebhooks.Webhook(sender).sign("id", at, body.decode())
        headers |= {"webhook-id": "id", "webhook-timestamp": str(int(at.timestamp())), "webhook-signature": signature}
    with RunningConsumer(open_store(str(tmp_path / "copy.db")), secrets) as consumer:
        sent = body.replace(b"upsert", b"delete") if changed else body
        assert requests.post(consumer.url, sent, headers=headers, timeout=10).status_code == status
        assert known(consumer) == ({1} if status == 200 else set())
