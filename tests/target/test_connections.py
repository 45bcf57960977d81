"""When a connection is used again: only if it is certain where the answer ended, and nothing came after it. At the wire."""

from __future__ import annotations

import http.client
import socket

import pytest
import urllib3.connection
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, PoolManager

from rowpost.http.answers import WholeAnswer
from rowpost.http.connections import Adapter, _Connection
from rowpost.http.exchange import Body
from rowpost.rules.answer import Answer, Verdict
from tests.harness.certificates import Trusted
from tests.harness.raw_server import OK, RawServer
from tests.harness.scripted_target import Script, ScriptedTarget
from tests.target.posting import SHORT, deliverer, events

STRAY = b"HTTP/1.1 200 Stray\r\nContent-Length: 0\r\n\r\n"
HEAD = b"HTTP/1.1 299 OK\r\n"
DOUBTFUL = {
    "another answer": HEAD + b"Content-Length: 0\r\n\r\n" + STRAY,
    "part of another answer": HEAD + b"Content-Length: 0\r\n\r\nHTTP/1.1 2",
    "an interim answer": HEAD + b"Content-Length: 0\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n",
    "one byte": HEAD + b"Content-Length: 0\r\n\r\n\n",
    "length too short": HEAD + b"Content-Length: 3\r\n\r\nlong",
    "no length": HEAD + b"\r\n" + STRAY,
    "length of zero and body": HEAD + b"Content-Length: 0\r\n\r\nbody",
    "empty length": HEAD + b"Content-Length: \r\n\r\n",
    "negative length": HEAD + b"Content-Length: -1\r\n\r\n",
    "length with a sign": HEAD + b"Content-Length: +2\r\n\r\nok",
    "length with a gap": HEAD + b"Content-Length: 1 0\r\n\r\n",
    "length of another base": HEAD + b"Content-Length: 0x2\r\n\r\nok",
    "length that Python would take": HEAD + b"Content-Length: 0_2\r\n\r\nok",
    "length beyond counting": HEAD + b"Content-Length: 99999999999999999999999999\r\n\r\nok",
    "two lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 0\r\n\r\nok",
    "two equal lengths": HEAD + b"Content-Length: 2\r\nContent-Length: 2\r\n\r\nok",
    "two lengths in a field": HEAD + b"Content-Length: 2, 0\r\n\r\nok",
    "length and chunks": HEAD + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunks and length": HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    "two codings": HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "two fields of codings": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a coding that is none": HEAD + b"Transfer-Encoding: xchunked\r\nContent-Length: 0\r\n\r\n",
    "identity": HEAD + b"Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n",
    "chunk without number": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n0\r\n\r\n",
    "chunk with a minus": HEAD + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n0\r\n\r\n",
    "chunk that Python would take": HEAD + b"Transfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n",
    "chunk longer than said": HEAD + b"Transfer-Encoding: chunked\r\n\r\n1\r\nok\r\n0\r\n\r\n",
    "chunk beyond counting": HEAD + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffffffff\r\nok\r\n0\r\n\r\n",
    "chunks and more": HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n" + STRAY,
    "a line without a colon": HEAD + b"nonsense\r\nContent-Length: 0\r\n\r\n",
    "a line that goes on": HEAD + b"X: a\r\n Content-Length: 5\r\nContent-Length: 0\r\n\r\n",
    "a name with a space": HEAD + b"Content-Length : 5\r\nContent-Length: 0\r\n\r\n",
    "a hidden line": HEAD + b"X: a\rContent-Length: 5\r\nContent-Length: 0\r\n\r\n",
    "a zero byte": HEAD + b"X: \0\r\nContent-Length: 0\r\n\r\n",
    "lines of another kind": HEAD + b"X: a\nContent-Length: 0\r\n\r\n",
    "204 with a body": b"HTTP/1.1 204 No\r\nContent-Length: 2\r\n\r\nok",
    "204 in chunks": b"HTTP/1.1 204 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "304 and more": b"HTTP/1.1 304 No\r\n\r\n" + STRAY,
    "an odd interim answer": b"HTTP/1.1 102 X\r\nnonsense\r\n\r\n" + HEAD + b"Content-Length: 0\r\n\r\n",
    "a wish to close": HEAD + b"Content-Length: 0\r\nConnection: x, Close\r\n\r\n",
    "HTTP/1.0": b"HTTP/1.0 299 OK\r\nContent-Length: 0\r\n\r\n",
    "HTTP/1.0 that would stay": b"HTTP/1.0 299 OK\r\nConnection: keep-alive\r\nContent-Length: 0\r\n\r\n",
    "a long body": HEAD + b"Content-Length: 1000000\r\n\r\n" + b"x" * 1000000,
}
OWN = Script(b"HTTP/1.1 222 Own\r\nContent-Length: 0\r\n\r\n")


def two(first: Script) -> ScriptedTarget:
    key = events()[0].id
    return ScriptedTarget(lambda asked: first if asked == key else OWN)


@pytest.mark.parametrize("answer", DOUBTFUL.values(), ids=DOUBTFUL)
def test_a_connection_in_doubt_is_not_used_again(answer: bytes) -> None:
    with two(Script(answer)) as target:
        first, second = deliverer(target.url, timeout=SHORT).deliver(events(2))
        assert first.status in (204, 299, 304) and (first.verdict is Verdict.DELIVERED) == (first.status != 304)
        assert second == Answer(Verdict.DELIVERED, 222), "its own answer"
        assert [number for _, number in target.asked] == [1, 2]


@pytest.mark.parametrize(
    "answer", [HEAD + b"Content-Length: 9\r\n\r\nok", HEAD + b"Transfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n"]
)
def test_a_body_that_is_not_whole_is_waited_for_and_given_up(answer: bytes) -> None:
    with two(Script(answer)) as target:
        assert [found.status for found in deliverer(target.url, timeout=SHORT).deliver(events(2))] == [299, 222]
        assert [number for _, number in target.asked] == [1, 2]


CERTAIN = {
    "length": HEAD + b"Content-Length: 2\r\n\r\nok",
    "chunks": HEAD + b"transfer-encoding: CHUNKED\r\n\r\n2;a=b\r\nok\r\n00\r\nTrailer: x\r\n\r\n",
    "long chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1000\r\n" + b"\r\n" * 2048 + b"\r\n0\r\n\r\n",
    "204": b"HTTP/1.1 204 No\r\n\r\n",
    "204 with a length": b"HTTP/1.1 204 No\r\nContent-Length: 0\r\n\r\n",
    "422": b"HTTP/1.1 422 No\r\nContent-Length: 2\r\n\r\nno",
    "302": b"HTTP/1.1 302 No\r\nLocation: http://[\r\nContent-Length: 2\r\n\r\nno",
    "500": b"HTTP/1.1 500 No\r\nContent-Length: 2\r\n\r\nno",
}


@pytest.mark.parametrize("answer", CERTAIN.values(), ids=CERTAIN)
def test_a_connection_without_doubt_is_used_again(answer: bytes) -> None:
    with two(Script(answer)) as target:
        assert deliverer(target.url).deliver(events(2))[1] == Answer(Verdict.DELIVERED, 222)
        assert [number for _, number in target.asked] == [1, 1]


def late(raw: RawServer) -> tuple[bytes, list[int]]:
    """Let a server say something after its answer that nobody asked for, before the next request."""
    asked: list[int] = []

    def handle(connection: socket.socket, number: int) -> None:
        while raw.read_request(connection) is not None:
            asked.append(number)
            connection.sendall(OK)
            if number == 1 and len(asked) == 1:
                raw.over.wait(0.1)  # the answer is read by now; were it not, the doubt would only be seen sooner
                connection.sendall(STRAY)
                raw.ended.release()

    raw.handler = handle
    return STRAY, asked


def test_what_comes_between_two_requests_answers_neither(raw: RawServer) -> None:
    _, asked = late(raw)
    sender = deliverer(raw.url)
    assert sender.deliver(events()) == [Answer(Verdict.DELIVERED, 200)]
    assert raw.ended.acquire(timeout=10)
    assert sender.deliver(events(first=2)) == [Answer(Verdict.DELIVERED, 200)]
    assert asked == [1, 2]


# --- TLS ---


def test_a_connection_with_tls_is_used_again(trusted: Trusted) -> None:
    with RawServer(tls=trusted.tls) as raw:
        sender = deliverer(raw.url, ca=trusted.ca)
        assert sender.deliver(events(3)) == [Answer(Verdict.DELIVERED, 200)] * 3
        assert sender.deliver(events(3)) == [Answer(Verdict.DELIVERED, 200)] * 3
        assert raw.connections == 1


def test_what_comes_between_two_requests_with_tls_answers_neither(trusted: Trusted) -> None:
    with RawServer(tls=trusted.tls) as raw:
        _, asked = late(raw)
        sender = deliverer(raw.url, ca=trusted.ca)
        assert sender.deliver(events()) == [Answer(Verdict.DELIVERED, 200)]
        assert raw.ended.acquire(timeout=10)
        assert sender.deliver(events(first=2)) == [Answer(Verdict.DELIVERED, 200)]
        assert asked == [1, 2]


def test_what_tls_holds_after_an_answer_is_seen(trusted: Trusted) -> None:
    """Of a record of TLS that is longer than what is read at once, the rest waits where no look at the socket finds it."""
    body = b"x" * 8192
    long = HEAD + b"Content-Length: 8192\r\n\r\n" + body
    for padding in (0, 8192 - len(long) % 8192):
        field = b"X: " + b"x" * padding + b"\r\n"
        answer = HEAD + field + b"Content-Length: 8192\r\n\r\n" + body
        with RawServer(tls=trusted.tls) as raw:
            raw.handler = raw.answering(answer + STRAY)
            assert [found.status for found in deliverer(raw.url, ca=trusted.ca).deliver(events(3))] == [299] * 3
            assert raw.connections == 3


# --- what is private elsewhere ---


def test_the_names_of_libraries_are_there_that_are_replaced_or_relied_upon() -> None:
    """Without one of them, the app would silently work as the library does."""
    assert issubclass(urllib3.connection.HTTPSConnection, urllib3.connection.HTTPConnection)
    assert urllib3.connection.HTTPConnection._new_conn is not None  # called by connect() of both kinds
    assert urllib3.connection.HTTPConnection("host.")._dns_host == "host."
    assert isinstance(urllib3.connection.HTTPConnection.is_connected, property)
    assert "response_class" in vars(http.client.HTTPConnection)
    assert HTTPConnectionPool.ConnectionCls is urllib3.connection.HTTPConnection
    assert set(PoolManager().pool_classes_by_scheme) == {"http", "https"}
    assert callable(HTTPAdapter.init_poolmanager)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_the_connections_of_an_adapter_are_those_of_the_app(scheme: str) -> None:
    pool = Adapter(1, Body.SKIPPED).poolmanager.connection_from_host("host", scheme=scheme)
    connection = pool._new_conn()
    assert isinstance(connection, _Connection) and connection.response_class is WholeAnswer
    assert type(connection)._new_conn is _Connection._new_conn
