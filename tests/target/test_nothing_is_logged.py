"""What comes into the log of a post: nothing of secrets, rows and answers, at whatever level the log is kept."""

from __future__ import annotations

import logging
import socket
import threading
from pathlib import Path

import pytest

from emulators.downstream.api import Downstream
from rowpost.http.logs import TOO_TALKATIVE
from tests.harness.raw_server import OK, RawServer, reset
from tests.harness.requests import Sender
from tests.harness.threads import everything_logged
from tests.target.posting import SECRET_VALUE, SHORT, deliverer, events, post

SAID = "said-by-the-target"
SECRETS = ("secret-code", "secret-path", "secret-user", "secret-password", "secret-key", SECRET_VALUE, SAID, "127.0.0.1")
ANSWERS = {
    "fine": OK,
    "a reason": f"HTTP/1.1 500 {SAID}\r\nContent-Length: 0\r\n\r\n".encode(),
    "a line that is no field": f"HTTP/1.1 200 OK\r\n{SAID}\r\nContent-Length: 0\r\n\r\n".encode(),
    "parts": f"HTTP/1.1 200 OK\r\nContent-Type: multipart/x; boundary={SAID}\r\n\r\n".encode(),
    "cookies": f'HTTP/1.1 200 OK\r\nSet-Cookie: {SAID}="; Expires=x\r\nContent-Length: 0\r\n\r\n'.encode(),
    "a redirect": f"HTTP/1.1 302 Found\r\nLocation: //[{SAID}\r\nContent-Length: 0\r\n\r\n".encode(),
    "no HTTP": f"{SAID}\r\n\r\n".encode(),
    "lengths": f"HTTP/1.1 200 OK\r\nContent-Length: {SAID}\r\nContent-Length: 1\r\n\r\n".encode(),
    "more than an answer": OK + SAID.encode(),
}


def address(port: int) -> str:
    return f"http://secret-user:secret-password@127.0.0.1:{port}/secret-path?code=secret-code"


def nothing_told(lines: list[str]) -> None:
    told = "\n".join(lines)
    assert [secret for secret in SECRETS if secret in told] == []


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
def test_an_answer_leaves_no_trace_in_the_log(raw: RawServer, answer: bytes, recwarn: pytest.WarningsRecorder) -> None:
    raw.handler = raw.once(answer)
    with everything_logged() as lines:
        deliverer(address(raw.port), headers={"X-Api-Key": "secret-key"}).deliver(events(3))
    nothing_told(lines)
    nothing_told([str(warning.message) for warning in recwarn])


def test_a_connection_that_fails_and_is_tried_again_leaves_no_trace_in_the_log() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with everything_logged() as lines:
        deliverer(address(port), headers={"X-Api-Key": "secret-key"}).deliver(events(3))
        post("http://secret-path.invalid/?code=secret-code")
    nothing_told(lines)


def test_keys_in_the_address_and_in_headers_leave_no_trace_in_the_log(raw: RawServer, tmp_path: Path) -> None:
    relay = 'upsert = "PUT /orders/{Id}"\n[relays.query]\nid = "{Id}"\n[relays.headers]\nX-Id = "{Id}"\n'
    api = Sender(f'[[targets]]\nname = "a"\nurl = "{{URL}}"\ntimeout = "1s"\n[[relays]]\ntable = "a.b"\n{relay}', tmp_path, raw)
    event = api.event({"Id": SECRET_VALUE}, {"Id": SECRET_VALUE})
    with everything_logged() as lines:
        for handler in (raw.answering(OK), raw.once(ANSWERS["no HTTP"]), lambda connection, _: reset(connection)):
            raw.handler = handler
            answers, _ = api.send(event)
            nothing_told([str(answer.error) for answer in answers])
        raw.__exit__(None, None, None)  # no connection is accepted any more
        answers, _ = api.send(event)
    nothing_told([*lines, *(str(answer.error) for answer in answers)])
    assert SECRET_VALUE in raw.requests[0].decode()


def test_an_answer_that_breaks_off_or_never_comes_leaves_no_trace_in_the_log(raw: RawServer) -> None:
    with everything_logged() as lines:
        raw.handler = lambda connection, _: reset(connection)
        post(address(raw.port), headers={"X-Api-Key": "secret-key"})
        raw.handler = raw.then_silence(f"HTTP/1.1 200 {SAID}".encode())
        post(address(raw.port), headers={"X-Api-Key": "secret-key"}, timeout=SHORT)
    nothing_told(lines)


def test_many_posts_at_once_leave_no_trace_in_the_log(api: Downstream) -> None:
    with everything_logged() as lines:
        sender = deliverer(f"{api.url}/secret-path?code=secret-code", concurrency=2)
        sending = [threading.Thread(target=sender.deliver, args=(events(10, first),)) for first in (1, 100, 200)]
        for thread in sending:
            thread.start()
        for thread in sending:
            thread.join(30)
    nothing_told([line for line in lines if not line.startswith("emulators")])


def test_the_search_would_find_what_these_loggers_tell() -> None:
    with everything_logged() as lines:
        for name in TOO_TALKATIVE:
            logging.getLogger(name).critical("not even this")
        logging.getLogger("anybody.else").debug("code=%s", "secret-code")
    assert lines == ["anybody.else code=secret-code('secret-code',)"]
