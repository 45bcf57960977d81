"""The downstream emulator, asked over HTTP as the app and the tests of the app ask it."""

from __future__ import annotations

import gzip
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import requests

from emulators.clock import VirtualTime, clock_from_spec
from emulators.downstream.api import Downstream

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def api() -> Iterator[Downstream]:
    with Downstream(clock_from_spec("real")) as downstream:
        yield downstream


def change(number: int = 1, version: int = 10, operation: str = "upsert", **row: Any) -> dict[str, Any]:
    return {
        "table": "dbo.Orders",
        "operation": operation,
        "key": {"OrderId": number},
        "version": version,
        "row": None if operation == "delete" else {"OrderId": number, **row},
    }


def event(number: int = 1, version: int = 10, operation: str = "upsert", **row: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": f"{number}-{version}",
        "source": "/sql/rowpost",
        "type": f"rowpost.row.{operation}{'d' if operation.endswith('e') else 'ed'}",
        "subject": f"dbo.Orders/{number}",
        "rowpostversion": str(version),
        "data": change(number, version, operation, **row),
    }


def send(api: Downstream, body: Any, kind: str = "cloudevents", **options: Any) -> requests.Response:
    headers = {"Content-Type": f"application/{kind}+json" if kind != "json" else "application/json"}
    headers |= options.pop("headers", {})
    text = body if isinstance(body, str) else json.dumps(body)
    return requests.post(f"{api.url}/orders", data=text, headers=headers, timeout=10, **options)


def test_keeps_the_latest_state_of_each_row_and_every_attempt(api: Downstream) -> None:
    before = datetime.now(UTC)
    assert send(api, event(1, 10, Total=1)).status_code == 202
    assert send(api, event(1, 11, Total=2)).status_code == 202
    assert send(api, event(2, 12)).status_code == 202
    latest = api.find("dbo.Orders", {"OrderId": 1})
    assert latest is not None
    assert (latest.version, latest.row, latest.deliveries) == (11, {"OrderId": 1, "Total": 2}, 2)
    assert [(a.number, a.event_id, a.version, a.status, a.outcome) for a in api.attempts()] == [
        (1, "1-10", 10, 202, "accepted"),
        (2, "1-11", 11, 202, "accepted"),
        (3, "2-12", 12, 202, "accepted"),
    ]
    assert before <= datetime.fromisoformat(api.attempts()[0].at) <= datetime.now(UTC)
    assert api.attempts()[0].headers["Content-Type"] == "application/cloudevents+json"
    assert [a.number for a in api.attempts(since=1, limit=1)] == [2]


def test_drops_an_older_version_and_counts_repeats(api: Downstream) -> None:
    send(api, event(1, 11, Total=2))
    assert send(api, event(1, 10, Total=1)).status_code == 202
    send(api, event(1, 11, Total=2))
    latest = api.find("dbo.Orders", {"OrderId": 1})
    assert latest is not None and latest.row == {"OrderId": 1, "Total": 2} and latest.deliveries == 3
    assert [a.outcome for a in api.attempts()] == ["accepted", "stale", "repeated"]
    counters = api.counters()
    assert (counters["accepted"], counters["stale"], counters["repeated"], counters["conflicting"]) == (1, 1, 1, 0)


def test_a_greater_epoch_is_newer_whatever_the_version_is(api: Downstream) -> None:
    for epoch, version, total in ((0, 90, 1), (1_772_431_200, 3, 2), (0, 91, 3), (1_772_431_200, 2, 4), (1_772_431_201, 3, 5)):
        document = event(1, version, Total=total) | {"id": f"{epoch}-{version}"}
        send(api, document | {"data": document["data"] | {"epoch": epoch}})
    assert [a.outcome for a in api.attempts()] == ["accepted", "accepted", "stale", "stale", "accepted"]
    latest = api.find("dbo.Orders", {"OrderId": 1})
    assert latest is not None and (latest.epoch, latest.version, latest.row) == (1_772_431_201, 3, {"OrderId": 1, "Total": 5})
    assert api.counters()["conflicting"] == 0


def test_counts_two_contents_of_one_version_as_a_conflict(api: Downstream) -> None:
    send(api, event(1, 11, Total=2))
    send(api, event(1, 11, Total=3) | {"id": "another"})
    assert api.counters()["conflicting"] == 1


def test_a_deleted_row_still_hides_its_older_versions(api: Downstream) -> None:
    send(api, event(1, 10, Total=1))
    send(api, event(1, 12, "delete"))
    send(api, event(1, 11, Total=2))
    latest = api.find("dbo.Orders", {"OrderId": 1})
    assert latest is not None and (latest.operation, latest.version, latest.row) == ("delete", 12, None)


def resync(phase: str, version: int) -> dict[str, Any]:
    data = {"table": "dbo.Orders", "operation": f"resync-{phase}", "resync": "r", "version": version, "since": version}
    envelope = {"specversion": "1.0", "id": f"{phase}-{version}", "source": "rowpost", "type": f"rowpost.resync.{phase}"}
    return {**envelope, "subject": "dbo.Orders", "data": data}


def test_the_end_of_a_resync_removes_what_was_not_sent_and_what_comes_late(tmp_path: Path) -> None:
    with Downstream(clock_from_spec("real"), data=tmp_path / "kept.jsonl") as api:
        for number in (1, 2, 3):
            send(api, event(number, 10 + number, Total=number))
        send(api, resync("begun", 20))
        send(api, event(2, 20, Total=5))
        assert len([state for state in api.state() if state.operation != "delete"]) == 3
        send(api, resync("completed", 20))
        send(api, resync("completed", 20))  # once more does no harm
        send(api, event(3, 19, Total=9))
        send(api, event(4, 19, Total=9))  # of a row that it never had
        send(api, event(5, 21, Total=9))
        kept = {state.key["OrderId"]: state.row for state in api.state() if isinstance(state.key, dict)}  # type: ignore[index]
        assert kept == {1: None, 2: {"OrderId": 2, "Total": 5}, 3: None, 4: None, 5: {"OrderId": 5, "Total": 9}}
        assert (api.counters()["resynced"], api.counters()["stale"]) == (3, 2)
    with Downstream(clock_from_spec("real"), data=tmp_path / "kept.jsonl") as again:
        assert {state.key["OrderId"]: state.row for state in again.state() if isinstance(state.key, dict)} == kept
        send(again, event(4, 19, Total=9))
        latest = again.find("dbo.Orders", {"OrderId": 4})
        assert latest is not None and (latest.operation, latest.version, latest.row) == ("delete", 20, None)


def test_numbers_keep_every_digit(api: Downstream) -> None:
    digits = "12345678901234567890.1234567890"
    text = json.dumps(event(1, 10)).replace('"OrderId": 1}}', f'"OrderId": 1, "Total": {digits}}}}}')
    assert send(api, text).status_code == 202
    latest = api.find("dbo.Orders", {"OrderId": 1})
    assert latest is not None and latest.row is not None
    assert latest.row["Total"] == Decimal(digits)
    assert f'"Total": {digits}' in requests.get(f"{api.url}/_control/state", timeout=10).text


def test_plain_changes_take_their_idempotency_key_from_the_header(api: Downstream) -> None:
    for _ in range(2):
        assert send(api, change(1, 10), "json", headers={"Idempotency-Key": "k1"}).status_code == 202
    assert [a.outcome for a in api.attempts()] == ["accepted", "repeated"]


def test_a_document_that_is_no_row_change_is_noted(api: Downstream) -> None:
    assert send(api, {"text": "dbo.Orders: 3 rows wait"}, "json").status_code == 202
    assert api.attempts()[0].outcome == "noted"
    assert api.attempts()[0].body == {"text": "dbo.Orders: 3 rows wait"}
    assert api.state() == []


def test_down_and_up_again_over_http(api: Downstream) -> None:
    control = f"{api.url}/_control/mode"
    requests.post(control, json={"mode": "down", "status": 500, "retry_after": 7}, timeout=10).raise_for_status()
    refused = send(api, event())
    assert (refused.status_code, refused.headers["Retry-After"]) == (500, "7")
    requests.post(control, json={"mode": "up"}, timeout=10).raise_for_status()
    assert send(api, event()).status_code == 202
    assert [a.status for a in api.attempts()] == [500, 202]
    assert api.attempts()[0].event_id == "1-10"


def test_a_mode_and_the_credentials_may_be_for_some_paths_only(api: Downstream) -> None:
    api.set_mode("down", path="/orders")
    api.set_settings(auth={"header": "X-Api-Key", "value": "s3cret", "path": "/orders"})
    assert send(api, event()).status_code == 503
    assert requests.post(f"{api.url}/alerts", json={"text": "down"}, timeout=10).status_code == 202
    api.set_mode()
    assert send(api, event()).status_code == 401


def test_an_unknown_control_is_refused_by_name(api: Downstream) -> None:
    answer = requests.post(f"{api.url}/_control/mode", json={"mode": "down", "stauts": 500}, timeout=10)
    assert answer.status_code == 400 and "stauts" in answer.json()["error"]
    assert requests.post(f"{api.url}/_control/nothing", timeout=10).status_code == 404


def test_refuse_resets_the_connection_but_control_still_answers(api: Downstream) -> None:
    api.set_mode("refuse")
    with pytest.raises(requests.ConnectionError):
        send(api, event())
    assert api.attempts()[0].status is None
    requests.post(f"{api.url}/_control/mode", json={"mode": "up"}, timeout=10).raise_for_status()
    assert send(api, event()).status_code == 202


def test_a_stopped_server_refuses_even_connections_that_were_kept_alive(api: Downstream) -> None:
    with requests.Session() as session:
        session.post(f"{api.url}/orders", json=change(), timeout=10).raise_for_status()
        api.stop()
        with pytest.raises(requests.ConnectionError):
            session.post(f"{api.url}/orders", json=change(), timeout=10)
        port = api.start()
        assert f":{port}" in api.url
        session.post(f"{api.url}/orders", json=change(), timeout=10).raise_for_status()


def test_reset_after_accept_loses_the_answer_not_the_row(api: Downstream) -> None:
    api.set_mode(answer="reset_after_accept")
    with pytest.raises(requests.ConnectionError):
        send(api, event())
    assert api.find("dbo.Orders", {"OrderId": 1}) is not None
    assert [(a.status, a.outcome) for a in api.attempts()] == [(None, "accepted")]


def test_slow_accepts_at_once_and_answers_late(api: Downstream) -> None:
    api.set_mode("slow", seconds=0.5)
    with pytest.raises(requests.ReadTimeout):
        requests.post(f"{api.url}/orders", json=change(), timeout=0.1)
    assert api.find("dbo.Orders", {"OrderId": 1}) is not None


def test_fractions_of_a_control_are_numbers(api: Downstream) -> None:
    control = f"{api.url}/_control/mode"
    for mode in ({"mode": "slow", "seconds": 0.001}, {"mode": "slow", "seconds": 0}, {"mode": "flaky", "rate": 0.0}):
        requests.post(control, json=mode, timeout=10).raise_for_status()
        assert send(api, event()).status_code == 202


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        ({"mode": "odd"}, "mode: 'odd' is not up or down or refuse or slow or flaky"),
        ({"mode": "slow", "seconds": "1"}, "seconds: '1' is not float"),
        ({"mode": "down", "status": 500.5}, "status: Decimal('500.5') is not int"),
        ({"mode": "down", "status": True}, "status: True is not int"),
        ({"mode": "down", "retry_after": []}, "retry_after: [] is not int or str or null"),
        ({"mode": "down", "answer": "later"}, "answer: 'later' is not normal or reset_after_accept"),
    ],
)
def test_a_control_of_a_wrong_type_is_refused(api: Downstream, mode: dict[str, Any], message: str) -> None:
    answer = requests.post(f"{api.url}/_control/mode", json=mode, timeout=10)
    assert (answer.status_code, answer.json()["error"]) == (400, message)


def test_flaky_is_the_same_for_the_same_seed(api: Downstream) -> None:
    runs = []
    for _ in range(2):
        api.set_mode("flaky", rate=0.5, seed=7)
        runs.append([send(api, event(1, version)).status_code for version in range(20)])
    assert runs[0] == runs[1]
    assert set(runs[0]) == {202, 503}


def test_a_mode_ends_at_its_instant(tmp_path: Path) -> None:
    start = datetime(2026, 1, 1, tzinfo=UTC)
    time = VirtualTime(tmp_path, start)
    with Downstream(clock_from_spec(time.spec)) as api:
        api.set_mode("down", until=(start + timedelta(hours=1)).isoformat())
        assert send(api, event()).status_code == 503
        time.advance(3600)
        answer = send(api, event())
        assert answer.status_code == 202
        assert answer.headers["Date"] == "Thu, 01 Jan 2026 01:00:00 GMT"
    time.close()


def test_rules_pick_rows_and_wear_out(api: Downstream) -> None:
    rule = {"match": {"table": "dbo.Orders", "key": {"OrderId": 1}}, "status": 422, "times": 2, "body": "bad row"}
    requests.post(f"{api.url}/_control/rules", json=[rule], timeout=10).raise_for_status()
    answers = [send(api, event(1, version)) for version in (1, 2, 3)]
    assert [a.status_code for a in answers] == [422, 422, 202]
    assert answers[0].text == "bad row"
    assert send(api, event(2)).status_code == 202
    assert requests.get(f"{api.url}/_control/rules", timeout=10).json()[0]["times"] == 0


def test_a_rule_may_accept_and_still_answer_an_error(api: Downstream) -> None:
    api.add_rule(status=500, accept=True, retry_after=3)
    answer = send(api, event())
    assert (answer.status_code, answer.headers["Retry-After"]) == (500, "3")
    assert api.find("dbo.Orders", {"OrderId": 1}) is not None


def test_a_batch_is_refused_whole_because_of_one_event(api: Downstream) -> None:
    api.add_rule(match={"key": {"OrderId": 2}})
    batch = [event(number) for number in (1, 2, 3)]
    assert send(api, batch, "cloudevents-batch").status_code == 422
    assert api.state() == []
    assert [a.outcome for a in api.attempts()] == ["spoiled", "refused", "spoiled"]
    assert send(api, [batch[0], batch[2]], "cloudevents-batch").status_code == 202
    assert {a.request for a in api.attempts()} == {1, 2}


def test_a_batch_may_be_answered_per_event(api: Downstream) -> None:
    api.set_settings(batch="per_event")
    api.add_rule(match={"key": {"OrderId": 2}})
    answer = send(api, [event(number) for number in (1, 2, 3)], "cloudevents-batch")
    assert answer.status_code == 207
    assert [(r["id"], r["status"]) for r in answer.json()["results"]] == [("1-10", 202), ("2-10", 422), ("3-10", 202)]
    assert [state.key for state in api.state("dbo.Orders")] == [{"OrderId": 1}, {"OrderId": 3}]


def test_malformed_bodies_are_answered_400(api: Downstream) -> None:
    assert send(api, "{").status_code == 400
    without_id = {name: value for name, value in event().items() if name != "id"}
    answer = send(api, without_id)
    assert answer.status_code == 400 and "id" in answer.json()["error"]
    assert [a.outcome for a in api.attempts()] == ["malformed"] * 2


def test_the_header_that_is_asked_for(api: Downstream) -> None:
    api.set_settings(auth={"header": "X-Api-Key", "value": "s3cret"})
    assert send(api, event()).status_code == 401
    assert send(api, event(), headers={"x-api-key": "wrong"}).status_code == 401
    assert send(api, event(), headers={"x-api-key": "s3cret"}).status_code == 202


def test_oauth_client_credentials_with_tokens_that_expire(tmp_path: Path) -> None:
    time = VirtualTime(tmp_path, datetime(2026, 1, 1, tzinfo=UTC))
    with Downstream(clock_from_spec(time.spec)) as api:
        api.set_settings(oauth={"client_id": "me", "client_secret": "s", "lifetime_seconds": 60})
        form = {"grant_type": "client_credentials", "client_id": "me", "client_secret": "s"}
        wrong = requests.post(f"{api.url}/oauth2/token", data=form | {"client_secret": "x"}, timeout=10)
        assert (wrong.status_code, wrong.json()["error"]) == (401, "invalid_client")
        token = requests.post(f"{api.url}/oauth2/token", data=form, timeout=10).json()
        assert token["expires_in"] == 60
        headers = {"Authorization": f"Bearer {token['access_token']}"}
        assert send(api, event()).status_code == 401
        assert send(api, event(), headers=headers).status_code == 202
        time.advance(61)
        assert send(api, event(), headers=headers).status_code == 401
    time.close()


def test_wait_for_sees_a_delivery_of_another_thread(api: Downstream) -> None:
    thread = threading.Timer(0.05, send, (api, event()))
    thread.start()
    api.wait_for(lambda: api.counters()["accepted"] == 1, timeout_seconds=10)
    thread.join()
    with pytest.raises(TimeoutError):
        api.wait_for(lambda: False, timeout_seconds=0.01)


def test_the_page_shows_rows_and_escapes_them(api: Downstream) -> None:
    send(api, event(1, 10, Name="<script>alert(1)</script>"))
    page = requests.get(f"{api.url}/", timeout=10)
    assert page.headers["Content-Type"].startswith("text/html")
    assert "dbo.Orders: 1 rows" in page.text and "<script>" not in page.text and "&lt;script&gt;" in page.text


def test_requests_in_chunks_are_read(api: Downstream) -> None:
    body = json.dumps(change()).encode()
    answer = requests.post(f"{api.url}/orders", data=iter([body[:10], body[10:]]), timeout=10)
    assert answer.status_code == 202
    assert api.find("dbo.Orders", {"OrderId": 1}) is not None


def test_a_killed_process_keeps_what_it_accepted(tmp_path: Path) -> None:
    data = tmp_path / "accepted.jsonl"

    def start() -> tuple[subprocess.Popen[str], str]:
        command = [sys.executable, "-m", "emulators.downstream", "--clock", "real", "--port", "0", "--data", str(data)]
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        assert process.stdout is not None
        return process, f"http://127.0.0.1:{json.loads(process.stdout.readline())['port']}"

    process, url = start()
    requests.post(f"{url}/orders", json=change(1, 10, Total=1), timeout=10).raise_for_status()
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    with data.open("a") as handle:
        handle.write('{"at": "torn')  # as a kill in the middle of a write leaves it
    process, url = start()
    assert requests.post(f"{url}/orders", json=change(1, 9, Total=0), timeout=10).status_code == 202
    (state,) = requests.get(f"{url}/_control/state?table=dbo.Orders", timeout=10).json()
    assert (state["version"], state["row"]) == (10, {"OrderId": 1, "Total": 1})
    process.terminate()
    assert process.wait(timeout=10) == 0


def test_binary_mode_gzip_and_a_delete_without_a_body_are_read_too(api: Downstream) -> None:
    attributes = {"specversion": "1.0", "id": "1-10", "source": "/gr%C3%B6%C3%9Fe", "type": "rowpost.row.upserted"}
    headers = {f"ce-{name}": value for name, value in attributes.items()} | {"Content-Encoding": "gzip"}
    body = gzip.compress(json.dumps(change(1, 10, Total=3)).encode())
    headers["Content-Type"] = "application/json"
    assert requests.put(f"{api.url}/orders/1", data=body, headers=headers, timeout=10).status_code == 202
    (attempt,) = api.attempts()
    assert (attempt.method, attempt.path, attempt.event_id, attempt.outcome) == ("PUT", "/orders/1", "1-10", "accepted")
    assert attempt.body["source"] == "/größe"
    found = api.find("dbo.Orders", {"OrderId": 1})
    assert found is not None and found.row == {"OrderId": 1, "Total": 3}
    broken = requests.post(f"{api.url}/orders", data=b"{}", headers={"Content-Encoding": "gzip"}, timeout=10)
    assert broken.status_code == 400
    assert requests.delete(f"{api.url}/orders/1", timeout=10).status_code == 202
    assert (api.attempts()[-1].method, api.attempts()[-1].outcome) == ("DELETE", "noted")
