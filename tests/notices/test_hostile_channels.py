"""Webhooks and mail services that answer what nobody expects: a try that failed, soon over, and nothing of it is told."""

from __future__ import annotations

import gzip
import logging
import socket
import threading
import tracemalloc

import pytest
from msgspec import structs

from rowpost.config.notifications import EmailConfig, NotificationsConfig, WebhookConfig
from rowpost.config.units import Duration
from rowpost.notices.channel import SENT, Recipient
from rowpost.notices.channels import recipients, send
from rowpost.notices.message import Notice
from tests.harness.raw_server import RawServer
from tests.harness.threads import everything_logged, left_behind

SAID = "said-by-the-channel"
NOTICE: Notice = {
    "id": "notice-1",
    "kind": "alarm",
    "relay": "dbo.Orders",
    "rows": 1,
    "round": 1,
    "since": None,
    "at": "2026-03-02T06:00:00",
    "last_error": None,
}
BOMB = gzip.compress(b"\0" * (100 << 20))
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


@pytest.fixture(params=["webhook", "email"])
def channel(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def people(server: RawServer, channel: str) -> tuple[NotificationsConfig, Recipient]:
    webhooks = [WebhookConfig(url=f"{server.url}?code=secret-code", headers={"X-Key": "secret-key"})]
    connection = f"endpoint=http://127.0.0.1:{server.port}/;accesskey=c2VjcmV0LWtleQ=="
    email = EmailConfig(sender="a@example.com", recipients=["b@example.com"], connection=connection)
    config = NotificationsConfig(email=email, webhooks=webhooks)
    return config, next(person for person in recipients(config) if person["channel"] == channel)


def test_an_interim_answer_of_a_webhook_is_not_the_answer() -> None:
    with RawServer() as server:
        config, person = people(server, "webhook")
        server.handler = server.answering(b"HTTP/1.1 102 Processing\r\n\r\n" * 3 + OK)
        assert send(config, NOTICE, person) == SENT
        server.handler = server.answering(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
        assert send(config, NOTICE, person)["error"] == "HTTP 503"
        server.handler = server.answering(b"HTTP/1.1 101 X\r\n\r\n" + OK)
        assert send(config, NOTICE, person)["error"] == "HTTP 101"


def test_an_interim_answer_of_a_mail_service_is_not_the_answer() -> None:
    with RawServer() as server:
        config, person = people(server, "email")
        server.handler = server.answering(b"HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n")
        assert send(config, NOTICE, person)["error"] == "HTTP 400"


@pytest.mark.parametrize("location", [b"//[", b"\xff", b"http://x:99999999999999999999/", b"http://" + b"a" * 300])
@pytest.mark.parametrize("body", [b"", b"\xff\xff", BOMB], ids=["nothing", "odd", "bomb"])
def test_a_redirect_is_a_failure_whatever_it_holds(channel: str, location: bytes, body: bytes) -> None:
    head = b"HTTP/1.1 302 X\r\nLocation: %b\r\nContent-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % (location, len(body))
    with RawServer() as server:
        config, person = people(server, channel)
        server.handler = server.answering(head + body)
        tracemalloc.start()
        try:
            found = send(config, NOTICE, person)
            assert tracemalloc.get_traced_memory()[1] < 40 << 20
        finally:
            tracemalloc.stop()
    assert not found["sent"] and not found["final"]
    if channel == "webhook" or not body.startswith(BOMB[:3]):
        assert found["error"] == "HTTP 302"


@pytest.mark.parametrize("status", [b"200 OK", b"202 Accepted", b"302 X", b"400 X"])
def test_a_body_without_end_is_not_read(channel: str, status: bytes) -> None:
    ended = threading.Semaphore(0)

    def pour(connection: socket.socket, number: int) -> None:
        server.read_request(connection)
        try:
            connection.sendall(b"HTTP/1.1 " + status + b"\r\nContent-Type: application/json\r\n\r\n")
            while not server.over.is_set():
                connection.sendall(b"x" * 65536)
        except OSError:
            ended.release()

    with RawServer(pour) as server:
        config, person = people(server, channel)
        found = send(config, NOTICE, person)
        assert found["sent"] == (channel == "webhook" and status.startswith(b"2"))
        assert ended.acquire(timeout=10), "the connection was closed"


@pytest.mark.parametrize("module", ["webhook", "email"])
def test_a_try_that_is_held_up_is_over_when_its_time_is_and_leaves_no_thread(module: str) -> None:
    before = set(threading.enumerate())

    def drip(connection: socket.socket, number: int) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not server.over.wait(0.05):
            connection.sendall(b"x")

    with RawServer(drip) as server:
        config, person = people(server, module)
        found = send(structs.replace(config, timeout=Duration(0.3)), NOTICE, person)
        assert not found["sent"] and not found["final"]
        assert found["error"] in ("no answer in time", "ServiceResponseTimeoutError")
    assert left_behind(before, 10) == []


@pytest.mark.parametrize(
    "answer",
    [
        f"HTTP/1.1 400 {SAID}\r\nContent-Type: {SAID}\r\nServer: {SAID}\r\nContent-Length: 0\r\n\r\n",
        f"HTTP/1.1 200 OK\r\n{SAID}\r\nContent-Length: 19\r\n\r\n{SAID}",
        f"HTTP/1.1 302 OK\r\nLocation: //[{SAID}\r\nContent-Length: 0\r\n\r\n",
        f"HTTP/1.1 429 OK\r\nRetry-After: {SAID}\r\nSet-Cookie: {SAID}\r\nContent-Length: 0\r\n\r\n",
        SAID,
    ],
)
def test_nothing_of_an_answer_and_no_secret_comes_into_the_log(channel: str, answer: str) -> None:
    with RawServer() as server, everything_logged() as lines:
        server.handler = server.once(answer.encode())
        config, person = people(server, channel)
        found = send(config, NOTICE, person)
        server.__exit__(None, None, None)
        refused = send(config, NOTICE, person)
    told = "\n".join([*lines, str(found), str(refused)])
    assert [text for text in (SAID, "secret-code", "secret-key", "c2VjcmV0LWtleQ==") if text in told] == []
    assert logging.getLogger("urllib3.connectionpool").getEffectiveLevel() > logging.CRITICAL


@pytest.mark.parametrize(
    "rest",
    [
        b'Content-Length: 99\r\n\r\n{"id": "x", "status": "Succeeded"}',
        b'Transfer-Encoding: chunked\r\n\r\n22\r\n{"id": "x", "status": "Succeeded"}\r\n',
        b"Content-Length: 9\r\nContent-Encoding: gzip\r\n\r\n" + BOMB[:9],
    ],
    ids=["length", "chunks", "compressed"],
)
def test_a_mail_whose_acceptance_is_not_whole_is_tried_again(rest: bytes) -> None:
    with RawServer() as server:
        config, person = people(server, "email")
        server.handler = server.once(b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\n" + rest)
        found = send(config, NOTICE, person)
        assert not found["sent"] and not found["final"]
