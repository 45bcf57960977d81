"""Which answer is the answer: interim ones in any number, lines that are none, ends at any byte. At the wire."""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator

import pytest

from rowpost.config.sections import Duration
from rowpost.http import answers as reading
from rowpost.rules.answer import Answer, Verdict
from tests.harness.raw_server import OK, RawServer
from tests.harness.scripted_target import Script, ScriptedTarget, Then
from tests.target.posting import SHORT, deliverer, events, post

HINT = b"HTTP/1.1 103 Early Hints\r\nLink: </x>; rel=preload\r\n\r\n"
PROCESSING = b"HTTP/1.1 102 Processing\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
ODD = b"HTTP/1.1 199 Odd\r\n\r\n"
BROKEN_OFF = "connection failed or was closed by the target"


def own(number: int) -> bytes:
    """A final answer that no other row gets."""
    return f"HTTP/1.1 {210 + number} Own\r\nContent-Length: 2\r\n\r\nok".encode()


def by_row(*scripts: Script) -> ScriptedTarget:
    keys = [event.id for event in events(len(scripts))]
    return ScriptedTarget(lambda key: scripts[keys.index(key)])


@pytest.mark.parametrize("interim", [CONTINUE, PROCESSING, HINT, ODD], ids=["100", "102", "103", "199"])
@pytest.mark.parametrize("count", [1, 2, 7, 500])
def test_each_row_gets_its_own_answer_after_any_number_of_interim_ones(interim: bytes, count: int) -> None:
    with by_row(*(Script(interim * count + own(row)) for row in range(6))) as target:
        answers = deliverer(target.url).deliver(events(6))
        assert answers == [Answer(Verdict.DELIVERED, 210 + row) for row in range(6)]
        assert target.server.connections == 1, "and the connection was kept: nothing was in doubt"


def test_a_failure_after_an_interim_answer_is_the_failure_of_its_row() -> None:
    failed = b"HTTP/1.1 422 No\r\nContent-Length: 0\r\n\r\n"
    with by_row(Script(PROCESSING + own(0)), Script(PROCESSING + failed), Script(PROCESSING * 2 + own(2))) as target:
        assert [answer.status for answer in deliverer(target.url).deliver(events(3))] == [210, 422, 212]


@pytest.mark.parametrize("step", [1, 2, 3, 5, 17])
def test_it_does_not_matter_in_which_pieces_answers_come(step: int) -> None:
    whole = CONTINUE + PROCESSING + HINT + own(1)
    chunked = PROCESSING + b"HTTP/1.1 202 Own\r\nTransfer-Encoding: chunked\r\n\r\n2;x=y\r\nok\r\n0\r\nT: x\r\n\r\n"
    with by_row(Script(whole, range(0, len(whole), step)), Script(chunked, range(0, len(chunked) - 4, step))) as target:
        assert deliverer(target.url).deliver(events(2)) == [Answer(Verdict.DELIVERED, 211), Answer(Verdict.DELIVERED, 202)]


def test_an_answer_that_comes_long_after_its_interim_one_is_waited_for(raw: RawServer) -> None:
    asked = itertools.count()

    def late(connection: socket.socket, number: int) -> None:
        while raw.read_request(connection) is not None:
            connection.sendall(PROCESSING)
            raw.over.wait(0.05)
            connection.sendall(own(next(asked)))

    raw.handler = late
    assert [answer.status for answer in deliverer(raw.url).deliver(events(3))] == [210, 211, 212]


def test_an_interim_answer_without_a_final_one_is_no_success(raw: RawServer) -> None:
    raw.handler = raw.once(PROCESSING)
    assert post(raw.url) == Answer(Verdict.TRANSIENT, None, BROKEN_OFF)
    raw.handler = raw.then_silence(PROCESSING * 3)
    assert post(raw.url, timeout=SHORT) == Answer(Verdict.TRANSIENT, None, "no answer in time")


def test_a_switch_of_protocols_is_no_success_and_ends_the_connection() -> None:
    switch = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    with by_row(Script(switch + own(9)), Script(own(1)), Script(switch), Script(own(3))) as target:
        answers = deliverer(target.url).deliver(events(4))
        assert [(answer.verdict, answer.status) for answer in answers] == [
            (Verdict.TRANSIENT, 101),
            (Verdict.DELIVERED, 211),
            (Verdict.TRANSIENT, 101),
            (Verdict.DELIVERED, 213),
        ]
        assert answers[0].error == "HTTP 101"
        assert [number for _, number in target.asked] == [1, 2, 2, 3]


@pytest.mark.parametrize(
    "answer",
    [PROCESSING * (reading.INTERIM_BYTES // len(PROCESSING) + 2) + OK, b"HTTP/1.1 200 OK\r\nX: " + b"x" * reading.HEAD_BYTES],
    ids=["interim answers", "head"],
)
def test_what_has_no_end_in_sight_is_given_up(answer: bytes) -> None:
    with by_row(Script(answer, then=Then.CLOSE), Script(own(1))) as target:
        first, second = deliverer(target.url, timeout=Duration(20)).deliver(events(2))
        assert (first.verdict, first.status) == (Verdict.TRANSIENT, None)
        assert second == Answer(Verdict.DELIVERED, 211)


def test_heads_of_a_size_that_others_refuse_are_read() -> None:
    many = b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 100 + b"Content-Length: 0\r\n\r\n"
    line = b"HTTP/1.1 201 OK\r\nX: " + b"y" * 65531 + b"\r\nContent-Length: 0\r\n\r\n"
    with by_row(Script(many), Script(line), Script(own(2))) as target:
        assert [answer.status for answer in deliverer(target.url).deliver(events(3))] == [200, 201, 212]
        assert target.server.connections == 1


NO_STATUS_LINES = [
    b"HTTP/1.1 20 OK",
    b"HTTP/1.1 2000 OK",
    b"HTTP/1.1 +200 OK",
    b"HTTP/1.1 -200 OK",
    b"HTTP/1.1 2_0_0 OK",
    b"HTTP/1.1 0200 OK",
    b"HTTP/1.1 \xb2\xb0\xb0 OK",
    b"HTTP/1.1 200\xa0OK",
    b"HTTP/1.1\x0b200 OK",
    b"HTTP/1.1 099 X",
    b"HTTP/1.1 OK 200",
    b"HTTP/1.1",
    b"HTTP/1.1200 OK",
    b"HTTP/2 200 OK",
    b"HTTP/2.0 200 OK",
    b"HTTP/11.1 200 OK",
    b"HTTP/1.x 200 OK",
    b"HTTP/ 200 OK",
    b"http/1.1 200 OK",
    b"ICY 200 OK",
    b" HTTP/1.1 200 OK",
    b"\r\nHTTP/1.1 200 OK",
    b"\xef\xbb\xbfHTTP/1.1 200 OK",
    b"HTTP/1.1 200 O\rK",
    b"<html>200</html>",
]


@pytest.mark.parametrize("line", NO_STATUS_LINES, ids=repr)
def test_a_line_that_is_no_status_line_says_nothing(line: bytes) -> None:
    with by_row(Script(line + b"\r\nContent-Length: 0\r\n\r\n"), Script(own(1))) as target:
        answers = deliverer(target.url).deliver(events(2))
        assert answers == [Answer(Verdict.TRANSIENT, None, BROKEN_OFF), Answer(Verdict.DELIVERED, 211)]
        assert [number for _, number in target.asked] == [1, 2]


@pytest.mark.parametrize(
    "line", [b"HTTP/1.1 200", b"HTTP/1.1 200 ", b"HTTP/1.0 200 OK", b"HTTP/0.9 200 OK", b"HTTP/1.1 200 \xff\xfe"]
)
def test_a_status_line_may_lack_what_says_nothing(raw: RawServer, line: bytes) -> None:
    raw.handler = raw.answering(line + b"\r\nContent-Length: 0\r\n\r\n")
    assert deliverer(raw.url).deliver(events(2)) == [Answer(Verdict.DELIVERED, 200)] * 2
    assert raw.connections == (1 if line.startswith(b"HTTP/1.1") else 2), "only HTTP/1.1 keeps connections"


def test_an_answer_of_http_0_9_is_none(raw: RawServer) -> None:
    raw.handler = raw.once(b"<html>200 OK</html>\n")
    assert post(raw.url) == Answer(Verdict.TRANSIENT, None, BROKEN_OFF)


CUT_OFF = PROCESSING + b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 4\r\n\r\nbody"


def prefixes() -> Iterator[tuple[bytes, bool]]:
    line = CUT_OFF.index(b"OK\r\n") + 4
    for length in range(len(CUT_OFF) + 1):
        yield CUT_OFF[:length], length >= line


@pytest.mark.parametrize("then", [Then.CLOSE, Then.RESET])
def test_an_answer_that_ends_at_any_byte_is_an_answer_only_with_its_whole_status_line(then: Then) -> None:
    cases = list(prefixes())
    with by_row(*(Script(answer, then=then) for answer, _ in cases)) as target:
        answers = deliverer(target.url, breaker_failures=1000).deliver(events(len(cases)))
    for (answer, said), found in zip(cases, answers, strict=True):
        if then is Then.CLOSE:
            assert (found.verdict is Verdict.DELIVERED) == said, answer
        else:  # a reset may take away what was not read yet
            assert said or found.verdict is Verdict.TRANSIENT, answer


def test_a_success_that_is_said_before_the_request_was_sent_is_none(raw: RawServer) -> None:
    """Nobody can have accepted what was not sent; the rest of the row was not wanted."""

    def hasty(connection: socket.socket, number: int) -> None:
        connection.recv(100)
        connection.sendall(OK)
        connection.shutdown(socket.SHUT_RD)

    raw.handler = hasty
    (event,) = events()
    long = type(event)(event.id, b"x" * (1 << 25), event.content_type, event.headers)
    (answer,) = deliverer(raw.url).deliver([long])
    assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, None)
