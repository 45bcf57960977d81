"""Posting a batch: order, circuit breaker, time budget and concurrency; and what each post carries. At the wire."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from emulators.downstream.api import Downstream
from rowpost.config.sections import Duration
from rowpost.rules.answer import Answer, Verdict
from rowpost.target.time_budget import TimeBudget
from tests.harness.raw_server import OK, RawServer
from tests.target.posting import SECRET_VALUE, SHORT, deliverer, events, post

# --- the batch ---


def test_answers_come_in_the_order_of_the_events(api: Downstream) -> None:
    api.set_rules([{"match": {"key": {"Id": n}}, "status": status} for n, status in ((2, 422), (5, 500), (9, 404))])
    answers = deliverer(api.url, concurrency=4).deliver(events(12))
    statuses = {2: 422, 5: 500, 9: 404}
    assert [answer.status for answer in answers] == [statuses.get(number, 202) for number in range(1, 13)]
    assert api.counters()["requests"] == 12, "each once"
    assert {row.key["Id"] for row in api.state() if isinstance(row.key, dict)} == set(range(1, 13)) - set(statuses)


def test_an_empty_batch_has_no_answers(api: Downstream) -> None:
    assert deliverer(api.url).deliver([]) == []
    assert api.counters()["requests"] == 0


def test_the_breaker_opens_after_so_many_failures_in_a_row(api: Downstream) -> None:
    api.set_mode("down")
    answers = deliverer(api.url, breaker_failures=3).deliver(events(8))
    assert [answer.status for answer in answers] == [503] * 3 + [None] * 5
    for answer in answers[3:]:
        assert answer == Answer(Verdict.UNTRIED)
    assert api.counters()["requests"] == 3


@pytest.mark.parametrize("status", [202, 422], ids=["delivered", "rejected"])
def test_an_answer_about_the_row_shows_that_the_target_works(api: Downstream, status: int) -> None:
    failing = (1, 2, 4, 5, 6, 7)
    rules: list[dict[str, Any]] = [{"match": {"key": {"Id": n}}, "status": 503} for n in failing]
    api.set_rules([*rules, {"match": {"key": {"Id": 3}}, "status": status, "accept": status == 202}])
    answers = deliverer(api.url, breaker_failures=3).deliver(events(9))
    assert [answer.status for answer in answers] == [503, 503, status, 503, 503, 503, None, None, None]
    assert api.counters()["requests"] == 6


def test_rejected_rows_never_open_the_breaker(api: Downstream) -> None:
    api.add_rule(status=422)
    answers = deliverer(api.url, breaker_failures=1).deliver(events(6))
    assert [answer.status for answer in answers] == [422] * 6


@pytest.mark.parametrize("mode", ["refuse", "down"])
def test_with_posts_at_the_same_time_the_breaker_lets_those_end_that_are_under_way(api: Downstream, mode: str) -> None:
    api.set_mode(mode)
    answers = deliverer(api.url, concurrency=4, breaker_failures=5).deliver(events(60))
    assert {answer.verdict for answer in answers} == {Verdict.TRANSIENT, Verdict.UNTRIED}
    assert sum(answer.verdict is Verdict.TRANSIENT for answer in answers) <= 5 + 3
    assert 5 <= api.counters()["requests"] <= 5 + 3


def test_each_batch_has_a_breaker_of_its_own(api: Downstream) -> None:
    sender = deliverer(api.url, breaker_failures=2)
    api.set_mode("down")
    assert [answer.status for answer in sender.deliver(events(4))] == [503, 503, None, None]
    api.set_mode()
    assert [answer.status for answer in sender.deliver(events(4))] == [202] * 4


def test_rows_that_the_budget_does_not_reach_are_untried(raw: RawServer) -> None:
    release = threading.Event()
    seen = threading.Event()

    def slow(connection: socket.socket, number: int) -> None:
        while raw.read_request(connection) is not None:
            seen.set()
            release.wait(10)
            connection.sendall(OK)

    raw.handler = slow
    sender = deliverer(raw.url, batch_budget=Duration(0.4))
    threading.Timer(0.8, release.set).start()  # after the budget, and before the timeout
    answers = sender.deliver(events(4))
    assert seen.is_set()
    assert answers == [Answer(Verdict.DELIVERED, 200), *[Answer(Verdict.UNTRIED)] * 3], "what was begun may still end"
    assert len(raw.requests) == 1
    assert sender.deliver(events(4, first=5)) == [Answer(Verdict.DELIVERED, 200)] * 4, "and the next batch has its own budget"
    assert sender.deliver(events(4, first=9), TimeBudget(0))[-1] == Answer(Verdict.UNTRIED), "or one that it is given"


def test_a_post_that_outlasts_budget_and_timeouts_does_not_hold_the_batch_up(raw: RawServer) -> None:
    def drip(connection: socket.socket, number: int) -> None:
        raw.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not raw.over.wait(0.1):  # a head without end: each byte in time
            connection.sendall(b"x")

    raw.handler = drip
    answers = deliverer(raw.url, batch_budget=Duration(0.2), timeout=SHORT).deliver(events(3))
    assert answers == [
        Answer(Verdict.TRANSIENT, None, "no answer in time"),
        Answer(Verdict.UNTRIED),
        Answer(Verdict.UNTRIED),
    ]


@pytest.mark.parametrize("concurrency", [1, 3, 8])
def test_the_bound_of_concurrency_is_reached_and_never_exceeded(raw: RawServer, concurrency: int) -> None:
    together = threading.Barrier(concurrency)
    lock = threading.Lock()
    in_flight, most = 0, 0

    def count(connection: socket.socket, number: int) -> None:
        nonlocal in_flight, most
        while raw.read_request(connection) is not None:
            with lock:
                in_flight += 1
                most = max(most, in_flight)
            together.wait(20)  # answers leave only when so many posts are under way
            with lock:
                in_flight -= 1
            connection.sendall(OK)

    raw.handler = count
    answers = deliverer(raw.url, concurrency=concurrency, timeout=Duration(30)).deliver(events(concurrency * 3))
    assert [answer.verdict for answer in answers] == [Verdict.DELIVERED] * (concurrency * 3)
    assert most == concurrency
    assert raw.connections == concurrency, "one connection each, kept"


def test_batches_at_the_same_time_share_the_bound_and_get_their_own_answers(api: Downstream) -> None:
    api.set_rules([{"match": {"key": {"Id": n}}, "status": 422} for n in range(100, 110)])
    sender = deliverer(api.url, concurrency=4)
    found: dict[int, list[Answer]] = {}
    threads = [
        threading.Thread(target=lambda first=first: found.update({first: sender.deliver(events(10, first))})) for first in (1, 100)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert [answer.status for answer in found[1]] == [202] * 10
    assert [answer.status for answer in found[100]] == [422] * 10


# --- what is sent ---


def test_each_post_carries_its_event_the_idempotency_key_and_the_configured_headers(api: Downstream) -> None:
    api.set_settings(auth={"header": "X-Api-Key", "value": "key-1"})
    assert post(api.url, headers={"X-Api-Key": "wrong"}).status == 401
    (event,) = events()
    assert post(f"{api.url}/orders?code=a%20b", headers={"X-Api-Key": "key-1"}).status == 202
    attempt = api.attempts()[-1]
    assert (attempt.method, attempt.path, attempt.event_id) == ("POST", "/orders", event.id)
    sent = {name.lower(): value for name, value in attempt.headers.items()}
    assert sent["idempotency-key"] == event.id and sent["rowpost-version"] == "101"
    assert sent["content-type"] == "application/cloudevents+json" and sent["x-api-key"] == "key-1"
    assert attempt.body["data"]["row"] == {"Id": 1, "Name": SECRET_VALUE}


def test_the_query_of_the_url_is_sent_as_it_stands(raw: RawServer) -> None:
    post(f"{raw.url}?code=a%20b%2B&x=1")
    assert raw.requests[0].startswith(b"POST /rows?code=a%20b%2B&x=1 HTTP/1.1\r\n")


def test_header_values_may_hold_latin_1(raw: RawServer) -> None:
    assert post(raw.url, headers={"X-Name": "café"}).verdict is Verdict.DELIVERED
    assert "X-Name: café\r\n".encode("latin-1") in raw.requests[0]


def test_every_retry_carries_the_same_idempotency_key(api: Downstream) -> None:
    sender = deliverer(api.url)
    api.set_mode("down")
    for _ in range(2):
        sender.deliver(events())
    api.set_mode()
    sender.deliver(events())
    keys = {attempt.headers["Idempotency-Key"] for attempt in api.attempts()}
    assert len(api.attempts()) == 3 and keys == {events()[0].id}


def test_neither_a_netrc_nor_a_proxy_of_the_machine_is_used(
    raw: RawServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer() as proxy:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        assert post(raw.url).verdict is Verdict.DELIVERED
        assert proxy.connections == 0
    assert b"authorization" not in raw.requests[0].lower()


def test_no_cookie_is_kept_between_posts(raw: RawServer) -> None:
    raw.handler = raw.answering(b"HTTP/1.1 200 OK\r\nSet-Cookie: session=1\r\nContent-Length: 0\r\n\r\n")
    deliverer(raw.url).deliver(events(2))
    assert len(raw.requests) == 2 and b"cookie" not in raw.requests[1].lower()
