"""Every answer that a target can give, and every failure of the connection: how it is judged, and what is told. At the wire."""

from __future__ import annotations

import datetime as dt
import email.utils
import json
import re
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emulators.downstream.api import Downstream
from rowpost.config.sections import Duration
from rowpost.rules.answer import Answer, Verdict, retry_after_seconds
from tests.harness.certificates import self_signed
from tests.harness.raw_server import OK, RawServer, reset
from tests.target.posting import SECRET_VALUE, SHORT, deliverer, events, post

# --- verdicts ---


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_two_hundreds_are_delivered(api: Downstream, status: int) -> None:
    api.set_settings(accepted_status=status)
    assert post(api.url) == Answer(Verdict.DELIVERED, status)
    found = api.find("dbo.Orders", {"Id": 1})
    assert found is not None and found.row == {"Id": 1, "Name": SECRET_VALUE} and found.version == 101


@pytest.mark.parametrize(
    "status", [400, 402, 404, 405, 406, 409, 410, 411, 413, 415, 418, 421, 422, 423, 424, 426, 428, 431, 451, 499]
)
def test_other_four_hundreds_are_the_rows_fault(api: Downstream, status: int) -> None:
    api.add_rule(status=status, body=SECRET_VALUE, retry_after=5)
    answer = post(api.url)
    assert (answer.verdict, answer.status, answer.retry_after_seconds) == (Verdict.REJECTED, status, None)
    assert answer.error is not None and answer.error.startswith(f"HTTP {status}")


@pytest.mark.parametrize("status", [401, 403, 408, 425, 429, 500, 501, 502, 503, 504, 507, 511, 520, 599])
def test_refused_credentials_throttling_and_server_errors_are_transient(api: Downstream, status: int) -> None:
    api.add_rule(status=status, body=SECRET_VALUE)
    answer = post(api.url)
    assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, status)
    assert answer.error is not None and answer.error.startswith(f"HTTP {status}")


@pytest.mark.parametrize("status", [300, 301, 302, 303, 304, 305, 307, 308])
def test_a_redirect_is_not_followed_and_takes_no_credential_elsewhere(raw: RawServer, status: int) -> None:
    with RawServer() as elsewhere:
        raw.handler = raw.answering(f"HTTP/1.1 {status} Moved\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode())
        answer = post(raw.url, headers={"Authorization": "Bearer secret"})
        assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, status)
        assert answer.error is not None and "redirects are not followed; correct the url of the target" in answer.error
        assert elsewhere.connections == 0 and len(raw.requests) == 1


def test_an_interim_answer_is_not_the_answer(raw: RawServer) -> None:
    raw.handler = raw.answering(b"HTTP/1.1 100 Continue\r\n\r\n" + OK)
    assert post(raw.url) == Answer(Verdict.DELIVERED, 200)


@pytest.mark.parametrize("line", [b"HTTP/1.1 999 Odd", b"HTTP/1.1 600 Odd", b"HTTP/1.1 430 Odd"])
def test_a_status_without_a_name_has_a_verdict_too(raw: RawServer, line: bytes) -> None:
    raw.handler = raw.answering(line + b"\r\nContent-Length: 0\r\n\r\n")
    answer = post(raw.url)
    assert answer.verdict is (Verdict.REJECTED if b"430" in line else Verdict.TRANSIENT)
    assert answer.error == f"HTTP {answer.status}"


# --- failures of the connection ---


def test_a_refused_connection_is_transient() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    answer = post(f"http://127.0.0.1:{port}/rows?code=secret")
    assert answer == Answer(Verdict.TRANSIENT, None, "connection failed or was closed by the target")


def test_a_host_that_does_not_exist_is_transient() -> None:
    assert post("http://no-such-host.invalid/rows").error == "connection failed or was closed by the target"


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux leaves a connection beyond the backlog unanswered")
def test_a_connection_that_nobody_answers_times_out() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        waiting = []
        for _ in range(4):  # fill the queue of connections that nobody accepts
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex(listener.getsockname())
            waiting.append(client)
        answer = post(f"http://127.0.0.1:{listener.getsockname()[1]}/", timeout=SHORT)
        assert answer == Answer(Verdict.TRANSIENT, None, "connection timed out")
        for client in waiting:
            client.close()


def test_an_answer_that_never_comes_times_out(raw: RawServer) -> None:
    raw.handler = raw.then_silence(b"")
    assert post(raw.url, timeout=SHORT) == Answer(Verdict.TRANSIENT, None, "no answer in time")
    assert len(raw.requests) == 1, "and the row is not posted again at once: the target may have taken it"


def test_a_reset_after_the_row_was_accepted_is_a_failure_and_the_repeat_is_recognised(api: Downstream) -> None:
    api.set_mode(answer="reset_after_accept")
    sender = deliverer(api.url)
    assert sender.deliver(events()) == [Answer(Verdict.TRANSIENT, None, "connection failed or was closed by the target")]
    assert api.counters()["accepted"] == 1 and api.counters()["requests"] == 1, "no repeat behind the back of the batch"
    api.set_mode()
    assert sender.deliver(events()) == [Answer(Verdict.DELIVERED, 202)]
    assert [attempt.outcome for attempt in api.attempts()] == ["accepted", "repeated"]
    assert api.counters()["conflicting"] == 0


@pytest.mark.parametrize(
    "answer", [b"", b"HTT", b"220 mail.example ESMTP\r\n\r\n", b"\x16\x03\x01\x00\x01", b"HTTP/1.1 200 OK\r\nX"]
)
def test_what_is_no_answer_is_transient(raw: RawServer, answer: bytes) -> None:
    raw.handler = raw.once(answer)
    found = post(raw.url)
    if answer.endswith(b"X"):  # the head ends where the connection does: the verdict is in
        assert found == Answer(Verdict.DELIVERED, 200)
    else:
        assert found == Answer(Verdict.TRANSIENT, None, "connection failed or was closed by the target")


def test_a_connection_that_the_target_closed_meanwhile_is_replaced(raw: RawServer) -> None:
    raw.handler = raw.once(OK)
    sender = deliverer(raw.url)
    for number in range(1, 4):
        assert sender.deliver(events(first=number)) == [Answer(Verdict.DELIVERED, 200)]
        assert raw.ended.acquire(timeout=5)
    assert raw.connections == 3


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    with RawServer(tls=self_signed(tmp_path)) as server:
        answer = post(server.url, headers={"Authorization": "Bearer secret"})
        assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, None)
        assert answer.error == "TLS failure: the certificate or the protocol of the target was not accepted"
        assert server.requests == [], "nothing was sent"


# --- bodies of answers ---

HEAD = b"HTTP/1.1 200 OK\r\n"
BODIES = {
    "with a length": HEAD + b"Content-Length: 15\r\n\r\n" + b'{"status":"ok"}',
    "in chunks": HEAD + b"Transfer-Encoding: chunked\r\n\r\nf\r\n" + b'{"status":"ok"}' + b"\r\n0\r\n\r\n",
    "without any": HEAD + b"Content-Length: 0\r\n\r\n",
    "compressed, but not": HEAD + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\nnope",
    "204": b"HTTP/1.1 204 No Content\r\n\r\n",
}


@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_small_body_is_read_so_that_the_connection_is_used_again(raw: RawServer, body: bytes) -> None:
    raw.handler = raw.answering(body)
    answers = deliverer(raw.url).deliver(events(5))
    assert [answer.verdict for answer in answers] == [Verdict.DELIVERED] * 5
    assert raw.connections == 1 and len(raw.requests) == 5


BROKEN = {
    "shorter than its length": HEAD + b"Content-Length: 100\r\n\r\nabc",
    "a chunk that is none": HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    "a chunk that ends early": HEAD + b"Transfer-Encoding: chunked\r\n\r\nff\r\nabc",
    "a length that is none": HEAD + b"Content-Length: many\r\n\r\nabc",
}


@pytest.mark.parametrize("body", BROKEN.values(), ids=BROKEN)
def test_a_broken_body_does_not_change_the_verdict(raw: RawServer, body: bytes) -> None:
    raw.handler = raw.once(body)
    answers = deliverer(raw.url).deliver(events(2))
    assert answers == [Answer(Verdict.DELIVERED, 200)] * 2


@pytest.mark.parametrize("begin", [b"Content-Length: 100\r\n\r\nabc", b"Transfer-Encoding: chunked\r\n\r\n", b"\r\nabc"])
def test_a_body_that_stops_half_way_costs_no_more_than_the_timeout(raw: RawServer, begin: bytes) -> None:
    raw.handler = raw.then_silence(HEAD + begin)
    answers = deliverer(raw.url, timeout=SHORT, batch_budget=Duration(5)).deliver(events(2))
    assert answers == [Answer(Verdict.DELIVERED, 200)] * 2, "the verdict was in"
    assert raw.connections == 2, "and the connection is not used again"


@pytest.mark.parametrize("begin", [b"\r\n", b"Content-Length: 999999999\r\n\r\n"], ids=["never-ending", "oversized"])
@pytest.mark.parametrize("part", [b"x" * 65536, b"x"], ids=["fast", "byte by byte"])
def test_a_body_without_end_is_left_alone(raw: RawServer, begin: bytes, part: bytes) -> None:
    ended = threading.Semaphore(0)

    def pour(connection: socket.socket, number: int) -> None:
        raw.read_request(connection)
        connection.sendall(HEAD + begin)
        try:
            while not raw.over.wait(0.05 if len(part) == 1 else 0):
                connection.sendall(part)
        except OSError:
            ended.release()

    raw.handler = pour
    answers = deliverer(raw.url, timeout=SHORT, batch_budget=Duration(5)).deliver(events(2))
    assert answers == [Answer(Verdict.DELIVERED, 200)] * 2
    for _ in range(2):
        assert ended.acquire(timeout=10), "the connection was closed"


# --- Retry-After ---


@pytest.mark.parametrize(("value", "seconds"), [(0, 0), (7, 7), (" 120 ", 120), (86400, 86400), (10**9, 86400), ("9" * 400, 86400)])
@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_in_seconds_is_respected_up_to_a_day(api: Downstream, status: int, value: object, seconds: int) -> None:
    api.set_mode("down", status=status, retry_after=value)
    assert post(api.url).retry_after_seconds == seconds


def test_a_retry_after_date_counts_from_the_date_of_the_answer(raw: RawServer) -> None:
    def answer(date: str, until: str) -> bytes:
        return f"HTTP/1.1 503 Busy\r\nDate: {date}\r\nRetry-After: {until}\r\nContent-Length: 0\r\n\r\n".encode()

    # Long ago: whoever asks a clock of its own would find the date in the past.
    raw.handler = raw.answering(answer("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:33:30 GMT"))
    assert post(raw.url).retry_after_seconds == 330
    raw.handler = raw.answering(answer("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2015 07:00:00 GMT"))
    assert post(raw.url).retry_after_seconds == 0
    raw.handler = raw.answering(answer("Wed, 21 Oct 2015 07:28:00 GMT", "Wed, 21 Oct 2099 07:28:00 GMT"))
    assert post(raw.url).retry_after_seconds == 86400


def test_a_retry_after_date_of_the_emulator(api: Downstream) -> None:
    until = email.utils.format_datetime(dt.datetime.now(dt.UTC) + dt.timedelta(seconds=600), usegmt=True)
    api.set_mode("down", retry_after=until)
    found = post(api.url).retry_after_seconds
    assert found is not None and 590 <= found <= 601


@pytest.mark.parametrize(
    ("retry_after", "date"),
    [
        ("soon", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("-5", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("1.5", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("²", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ("Wed, 21 Oct 2015 07:28:00 GMT", "yesterday"),
        ("Wed, 21 Oct 99999999999999999999 07:28:00 GMT", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("Wed, 21 Oct 2015 07:28:00 -0000", "Wed, 21 Oct 2015 07:28:00 GMT"),
        ("", None),
    ],
)
def test_a_retry_after_that_says_nothing_is_none(retry_after: str, date: str | None) -> None:
    assert retry_after_seconds({"Retry-After": retry_after} | ({"Date": date} if date else {})) is None
    assert retry_after_seconds({}) is None


@settings(max_examples=200, deadline=None)
@given(retry_after=st.text(max_size=30), date=st.text(max_size=30))
@example(retry_after="9" * 5000, date="")
def test_no_retry_after_can_break_a_batch(retry_after: str, date: str) -> None:
    found = retry_after_seconds({"Retry-After": retry_after, "Date": date})
    assert found is None or 0 <= found <= 86400


# --- what is told ---

Failing = Callable[[RawServer], None]
FAILINGS: dict[str, Failing] = {
    "rejected": lambda raw: _answer(raw, b"HTTP/1.1 422 value-of-the-row"),
    "failed": lambda raw: _answer(raw, b"HTTP/1.1 500 value-of-the-row"),
    "redirected": lambda raw: _answer(raw, b"HTTP/1.1 302 Found\r\nLocation: http://x/value-of-the-row"),
    "no HTTP": lambda raw: setattr(raw, "handler", raw.once(b"value-of-the-row secret-code\r\n\r\n")),
    "reset": lambda raw: setattr(raw, "handler", lambda connection, _: reset(connection)),
    "silent": lambda raw: setattr(raw, "handler", raw.then_silence(b"")),
}


def _answer(raw: RawServer, head: bytes) -> None:
    raw.handler = raw.answering(head + b"\r\nX-Echo: value-of-the-row\r\nContent-Length: 16\r\n\r\nvalue-of-the-row")


@pytest.mark.parametrize("failing", FAILINGS.values(), ids=FAILINGS)
def test_errors_quote_neither_the_target_nor_the_query(raw: RawServer, failing: Failing) -> None:
    failing(raw)
    url = f"http://user:secret-password@127.0.0.1:{raw.port}/secret-path?code=secret-code"
    answer = post(url, timeout=SHORT, headers={"X-Api-Key": "secret-key"})
    assert answer.verdict in (Verdict.TRANSIENT, Verdict.REJECTED) and answer.error
    told = f"{answer} {answer.error}"
    assert SECRET_VALUE not in told and not re.search(r"secret|127\.0\.0\.1|Id", told), told
    assert len(answer.error) <= 400, "it fits the ledger"


def test_an_address_that_cannot_be_asked_is_not_quoted_either() -> None:
    # The configuration refuses such an address; should one come here all the same, the batch has its answers.
    assert post("http://[secret/") == Answer(Verdict.TRANSIENT, None, "request failed (InvalidURL)")


def test_the_body_is_what_the_event_says_byte_for_byte(raw: RawServer) -> None:
    (event,) = events()
    deliverer(raw.url).deliver([event])
    head, _, body = raw.requests[0].partition(b"\r\n\r\n")
    assert body == event.body and json.loads(body)["id"] == event.id
    assert f"Content-Length: {len(event.body)}".encode() in head
