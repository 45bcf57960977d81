"""Answers that would break a library, hold a thread or fill the memory: each is its row's affair, and soon over. At the wire."""

from __future__ import annotations

import gzip
import socket
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from rowpost.config.sections import Duration
from rowpost.rules.answer import Answer, Verdict
from rowpost.target.event import Event
from tests.harness.certificates import Trusted
from tests.harness.raw_server import OK, RawServer
from tests.harness.scripted_target import Script, ScriptedTarget, Then
from tests.harness.threads import left_behind
from tests.target.posting import SHORT, deliverer, events

ROOT = Path(__file__).resolve().parents[2]
LATE = Answer(Verdict.TRANSIENT, None, "no answer in time")


# --- what breaks a library ---

BOMB = gzip.compress(b"\0" * (100 << 20))
LOCATIONS = [
    b"//[", b"http://[::1", b"http://]/", b"\xff", b"http://\xff/", b"http://x:99999999999999999999/", b"http://x:port/", b"",
    b"http://\xe2\x80\xae/", b"http://" + b"a" * 300, b"/" + b"%" * 500, b"?", b"#\0", b"javascript:alert(1)", b"http://xn--a/",
]  # fmt: skip
HEADERS = {
    "an encoding that is not": b"Content-Encoding: gzip",
    "a deflated one": b"Content-Encoding: deflate",
    "several": b"Content-Encoding: " + b"gzip, " * 50 + b"br",
    "an encoding that is unknown": b"Content-Encoding: \xff",
    "cookies": b'Set-Cookie: a="; Expires=Wed, 99 Foo 99999999999 00:00:00; Max-Age=\xff\r\nSet-Cookie2: \xff=;;;=',
    "a type": b'Content-Type: text/html; charset="\xff"; =; ;',
    "parts": b"Content-Type: multipart/mixed; boundary=x",
    "dates": b"Date: \xff\r\nRetry-After: Wed, 99 Foo 99999999999999999999 99:99:99 +99999999",
    "a long wait": b"Retry-After: " + b"9" * 5000,
    "links": b"Link: <" + b"<" * 1000 + b">;;;=,,,",
}


@pytest.mark.parametrize("status", [200, 301, 302, 303, 307, 308, 429, 500])
@pytest.mark.parametrize("header", HEADERS.values(), ids=HEADERS)
def test_no_header_keeps_a_batch_from_its_answers(status: int, header: bytes) -> None:
    answer = b"HTTP/1.1 %d X\r\nLocation: /x\r\n%b\r\nContent-Length: 9\r\n\r\n\xff\x1f\x8b\x08\0\0\0\0\xff" % (status, header)
    waits = status == 429 and b"Retry-After: 9" in header  # the whole target does, and for longer than the batch lasts
    assert [found.status for found in answered(Script(answer))] == [status, None if waits else 222]


@pytest.mark.parametrize("location", LOCATIONS, ids=lambda location: repr(location[:30]))
def test_no_location_keeps_a_batch_from_its_answers(location: bytes) -> None:
    found, after = answered(Script(b"HTTP/1.1 302 X\r\nLocation: %b\r\nContent-Length: 0\r\n\r\n" % location))
    assert (found.verdict, found.status, after.status) == (Verdict.TRANSIENT, 302, 222)


@pytest.mark.parametrize("status", [200, 302, 400, 500])
@pytest.mark.parametrize("encoding", [b"gzip", b"deflate", b"br", b"gzip, gzip"])
def test_a_compressed_body_stays_as_it_is(status: int, encoding: bytes) -> None:
    head = b"HTTP/1.1 %d X\r\nLocation: /x\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n" % (status, encoding, len(BOMB))
    tracemalloc.start()
    try:
        assert [found.status for found in answered(Script(head + BOMB))] == [status, 222]
        assert tracemalloc.get_traced_memory()[1] < 20 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("wrong", "kind"),
    [
        ({"headers": {"X": "secret\nsecret"}}, "InvalidHeader"),
        ({"headers": {"X": "\U0001f600 secret"}}, "UnicodeEncodeError"),
        ({"body": 7}, "TypeError"),
    ],
)
def test_whatever_is_raised_is_the_failure_of_that_row(raw: RawServer, wrong: dict[str, Any], kind: str) -> None:
    before, event, after = events(3)
    event = replace(event, **wrong)
    failed = Answer(Verdict.TRANSIENT, None, f"request failed ({kind})")
    delivered = Answer(Verdict.DELIVERED, 200)
    assert deliverer(raw.url).deliver([before, event, after]) == [delivered, failed, delivered]


def answered(script: Script) -> list[Answer]:
    key = events()[0].id
    own = Script(b"HTTP/1.1 222 Own\r\nContent-Length: 0\r\n\r\n")
    with ScriptedTarget(lambda asked: script if asked == key else own) as target:
        return deliverer(target.url).deliver(events(2))


# --- what has no end ---

ENDLESS = {
    "interim answers": (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "fields of an interim answer": (b"HTTP/1.1 103 Hints\r\n", b"X: y\r\n"),
    "a status line": (b"HTTP/1.1 200 ", b"x"),
    "fields": (b"HTTP/1.1 200 OK\r\n", b"X: y\r\n"),
    "a field": (b"HTTP/1.1 200 OK\r\nX: ", b"y"),
    "nothing that is HTTP": (b"", b"x"),
}
BODIES = {
    "a body": (b"Content-Length: 1000000000\r\n\r\n", b"x" * 1000),
    "a body without length": (b"\r\n", b"x"),
    "chunks": (b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\nx\r\n"),
    "a chunk": (b"Transfer-Encoding: chunked\r\n\r\nffffff\r\n", b"x"),
    "the length of a chunk": (b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "trailers": (b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n"),
    "compressed": (b"Content-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\n\x1f\x8b\r\n"),
}


class Pouring:
    """A target that begins its answer, and goes on for ever: as fast as it can, or each part a moment after the one before."""

    def __init__(self, begin: bytes, part: bytes, pause: float) -> None:
        self.ended = threading.Semaphore(0)
        self._begin, self._part, self._pause = begin, part if pause else part * (4096 // len(part) + 1), pause
        self.server = RawServer(self._pour)

    def _pour(self, connection: socket.socket, number: int) -> None:
        self.server.read_request(connection)
        try:
            connection.sendall(self._begin)
            while not self.server.over.wait(self._pause):
                connection.sendall(self._part)
        except OSError:
            self.ended.release()


@pytest.mark.parametrize("pause", [0, 0.05], ids=["fast", "slow"])
@pytest.mark.parametrize(("begin", "part"), ENDLESS.values(), ids=ENDLESS)
def test_a_head_without_end_is_over_when_its_time_is(begin: bytes, part: bytes, pause: float) -> None:
    before = set(threading.enumerate())
    pouring = Pouring(begin, part, pause)
    with pouring.server as server:
        answers = deliverer(server.url, timeout=SHORT, batch_budget=Duration(5)).deliver(events(2))
        for answer in answers:
            assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, None)
            assert answer.error in (LATE.error, "connection failed or was closed by the target")
        for _ in answers:
            assert pouring.ended.acquire(timeout=10), "the connection was closed"
    assert left_behind(before, 10) == []


@pytest.mark.parametrize("status", [200, 302])
@pytest.mark.parametrize("pause", [0, 0.05], ids=["fast", "slow"])
@pytest.mark.parametrize(("begin", "part"), BODIES.values(), ids=BODIES)
def test_a_body_without_end_changes_no_verdict_and_is_not_read(begin: bytes, part: bytes, pause: float, status: int) -> None:
    before = set(threading.enumerate())
    pouring = Pouring(b"HTTP/1.1 %d X\r\nLocation: /\r\n" % status + begin, part, pause)
    with pouring.server as server:
        answers = deliverer(server.url, timeout=SHORT, batch_budget=Duration(5)).deliver(events(2))
        assert [answer.status for answer in answers] == [status] * 2
        for _ in answers:
            assert pouring.ended.acquire(timeout=10), "the connection was closed"
    assert left_behind(before, 10) == []


def test_a_shower_of_posts_that_are_held_up_leaves_no_thread_behind(raw: RawServer) -> None:
    before = set(threading.enumerate())
    raw.handler = drip(raw)
    sender = deliverer(raw.url, concurrency=4, timeout=SHORT, batch_budget=Duration(5), breaker_failures=100)
    for number in range(1, 12, 4):
        assert sender.deliver(events(4, number)) == [LATE] * 4
    workers = {thread for thread in threading.enumerate() if thread.name.startswith("rowpost-post")} - before
    assert len(workers) == 4, "the same threads for all batches"
    raw.handler = raw.answering(OK)
    assert sender.deliver(events(4)) == [Answer(Verdict.DELIVERED, 200)] * 4
    raw.__exit__(None, None, None)
    del sender
    assert left_behind(before, 10) == []


def drip(server: RawServer) -> Callable[[socket.socket, int], None]:
    def handle(connection: socket.socket, number: int) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not server.over.wait(0.05):
            connection.sendall(b"x")

    return handle


def test_a_target_that_does_not_take_the_row_is_given_up(raw: RawServer) -> None:
    raw.handler = lambda connection, number: raw.over.wait(60) and None
    (event,) = events()
    long = Event(event.id, b"x" * (1 << 25), event.content_type, event.headers)
    (answer,) = deliverer(raw.url, timeout=SHORT).deliver([long])
    assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, None)


def test_a_target_that_takes_the_row_byte_by_byte_is_given_up(raw: RawServer) -> None:
    def sip(connection: socket.socket, number: int) -> None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1024)
        while not raw.over.wait(0.02) and connection.recv(512):
            pass

    raw.handler = sip
    (event,) = events()
    long = Event(event.id, b"x" * (1 << 25), event.content_type, event.headers)
    (answer,) = deliverer(raw.url, timeout=SHORT).deliver([long])
    assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, None)


@pytest.mark.parametrize("pause", [0.05, 60], ids=["slow", "silent"])
def test_a_handshake_without_end_is_over_when_its_time_is(pause: float) -> None:
    before = set(threading.enumerate())

    def shake(connection: socket.socket, number: int) -> None:
        connection.recv(65536)
        connection.sendall(b"\x16\x03\x03\x40\x00\x02\x00\x3f\xfc")  # a long message of the handshake
        while not server.over.wait(pause):
            connection.sendall(b"\0")

    with RawServer(shake) as server:
        url = server.url.replace("http:", "https:")
        (answer,) = deliverer(url, timeout=SHORT, batch_budget=Duration(5)).deliver(events())
        assert answer == LATE
    assert left_behind(before, 10) == []


def test_an_answer_over_tls_without_end_is_over_when_its_time_is(trusted: Trusted) -> None:
    before = set(threading.enumerate())
    with RawServer(tls=trusted.tls) as server:
        server.handler = drip(server)
        assert deliverer(server.url, ca=trusted.ca, timeout=SHORT, batch_budget=Duration(5)).deliver(events(2)) == [LATE] * 2
    assert left_behind(before, 10) == []


def test_a_name_of_many_addresses_is_given_up_in_the_time_of_one_post(raw: RawServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody answers at any of them: the listener's queue is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port = listener.getsockname()[1]
        waiting = [socket.socket() for _ in range(4)]
        for client in waiting:
            client.setblocking(False)
            client.connect_ex(("127.0.0.1", port))
        many = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))] * 1000
        monkeypatch.setattr("rowpost.http.connections.socket.getaddrinfo", lambda *_: many)
        sender = deliverer(f"http://127.0.0.1:{port}/", timeout=SHORT, batch_budget=Duration(5))
        assert sender.deliver(events()) == [Answer(Verdict.TRANSIENT, None, "connection timed out")]
        for client in waiting:
            client.close()


EXIT = """
import sys, threading
from rowpost.config.sections import Duration
from tests.target.posting import deliverer, events
sender = deliverer(sys.argv[1], timeout=Duration(0.5), batch_budget=Duration(60))
threading.Thread(target=lambda: sender.deliver(events(1)), daemon=True).start()
sys.stdin.readline()
"""


def test_a_post_that_is_held_up_does_not_keep_the_process_from_its_end(raw: RawServer) -> None:
    asked = threading.Event()
    dripping = drip(raw)

    def handle(connection: socket.socket, number: int) -> None:
        asked.set()
        dripping(connection, number)

    raw.handler = handle
    command = [sys.executable, "-c", EXIT, raw.url]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as process:
        assert asked.wait(30)
        process.communicate(b"\n", timeout=30)
        assert process.returncode == 0


def test_the_end_of_an_answer_may_come_with_a_reset() -> None:
    script = Script(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nabc", then=Then.CLOSE)
    assert [found.status for found in answered(script)] == [200, 222]
