"""Telling people: by e-mail through the real SDK, by webhook over HTTP; each try ends in an answer, never in an exception."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from emulators.clock import clock_from_spec
from emulators.downstream.api import Downstream
from emulators.email_service.service import EmailService
from rowpost.config.notifications import EmailConfig, NotificationsConfig, WebhookConfig
from rowpost.config.units import Duration
from rowpost.notices.channel import Recipient, Sent
from rowpost.notices.channels import recipients, send
from rowpost.notices.message import Kind, Notice, body, subject
from tests.harness.certificates import issue, self_signed
from tests.harness.raw_server import RawServer

SENT: Sent = {"sent": True, "final": True, "retry_after_seconds": None, "error": None}
KINDS: list[Kind] = ["alarm", "dead_letter", "recovered"]


@pytest.fixture
def mail() -> Iterator[EmailService]:
    with EmailService(clock_from_spec("real")) as service:
        yield service


@pytest.fixture
def hook() -> Iterator[Downstream]:
    with Downstream(clock_from_spec("real")) as api:
        yield api


def told(email: EmailConfig | None = None, webhooks: list[WebhookConfig] | None = None) -> NotificationsConfig:
    return NotificationsConfig(email=email, webhooks=webhooks or [])


def mailing(service: EmailService, *addresses: str) -> NotificationsConfig:
    everybody = list(addresses) or ["ops@example.com"]
    return told(EmailConfig(sender="rowpost@example.com", recipients=everybody, connection=service.connection_string))


def mailing_to(server: RawServer, *webhooks: WebhookConfig) -> NotificationsConfig:
    connection = f"endpoint=http://127.0.0.1:{server.port}/;accesskey=c2VjcmV0"
    return told(EmailConfig(sender="a@example.com", recipients=["b@example.com"], connection=connection), list(webhooks))


def hooked(url: str, **headers: str) -> NotificationsConfig:
    return told(webhooks=[WebhookConfig(url=url, headers=headers)])


def notice(kind: Kind = "alarm", number: str = "1", **values: Any) -> Notice:
    known: Notice = {
        "id": f"notice-{kind}-{number}",
        "kind": kind,
        "relay": "dbo.Orders",
        "rows": 3,
        "round": 10,
        "since": "2026-03-01T00:00:00.1234567",
        "at": "2026-03-02T00:00:00.1234567",
        "last_error": "HTTP 503",
    }
    known.update(values)  # type: ignore[typeddict-item]
    return known


def to(address: str = "ops@example.com") -> Recipient:
    return {"channel": "email", "address": address, "index": 0}


def to_hook(index: int = 0) -> Recipient:
    return {"channel": "webhook", "address": f"webhook {index + 1}", "index": index}


# --- e-mail ---


def test_a_mail_is_sent_with_the_digest(mail: EmailService) -> None:
    assert send(mailing(mail), notice(), to()) == SENT
    (message,) = mail.messages("ops@example.com")
    assert (message.sender, message.to) == ("rowpost@example.com", ["ops@example.com"])
    assert message.subject == "[Rowpost] dbo.Orders: 3 rows not delivered since 2026-03-01 00:00:00 UTC"
    assert message.plain_text == body(notice(), None, "docs/runbook.md#error-server_error")


def test_each_recipient_has_a_mail_and_a_fate_of_its_own(mail: EmailService) -> None:
    people = mailing(mail, "a@example.com", "b@example.com")
    mail.add_fault(mailbox="a@example.com", retry_after=30)
    found = {person["address"]: send(people, notice(), person)["sent"] for person in recipients(people)}
    assert found == {"a@example.com": False, "b@example.com": True}
    assert [message.to for message in mail.messages()] == [["b@example.com"]]


@pytest.mark.parametrize("retry_after", [30, None])
def test_a_throttled_mailbox_says_how_long_to_wait(mail: EmailService, retry_after: int | None) -> None:
    mail.add_fault(mailbox="ops@example.com", times=1, retry_after=retry_after)
    people = mailing(mail)
    assert send(people, notice(), to()) == {"sent": False, "final": False, "retry_after_seconds": retry_after, "error": "HTTP 429"}
    assert len(mail.attempts()) == 1, "one try: the waiting is the orchestration's"
    assert send(people, notice(), to()) == SENT


def test_a_mail_that_is_refused_is_not_tried_again(mail: EmailService) -> None:
    mail.add_fault(kind="reject")
    assert send(mailing(mail), notice(), to()) == {"sent": False, "final": True, "retry_after_seconds": None, "error": "HTTP 400"}


def test_a_mail_that_is_dropped_after_its_acceptance_is_not_tried_again(mail: EmailService) -> None:
    # The same operation id would be answered with the same failure, however often it is asked.
    mail.add_fault(kind="drop")
    found = send(mailing(mail), notice(), to())
    assert found == {"sent": False, "final": True, "retry_after_seconds": None, "error": "accepted, but not delivered"}


@pytest.mark.parametrize(("status", "retry_after"), [(503, 120), (500, None), (401, None), (403, None)])
def test_a_service_that_fails_or_forgot_the_credential_is_tried_again(
    mail: EmailService, status: int, retry_after: int | None
) -> None:
    mail.set_mode("down", status=status, retry_after=retry_after)
    found = send(mailing(mail), notice(), to())
    assert found == {"sent": False, "final": False, "retry_after_seconds": retry_after, "error": f"HTTP {status}"}


def test_a_service_that_cannot_be_reached_is_tried_again(mail: EmailService) -> None:
    people = mailing(mail)
    mail.stop()
    found = send(people, notice(), to())
    assert (found["sent"], found["final"], found["retry_after_seconds"]) == (False, False, None)
    assert found["error"] == "ServiceRequestError"


def test_the_same_notice_again_is_not_delivered_twice(mail: EmailService) -> None:
    people = mailing(mail)
    assert [send(people, notice(), to()) for _ in range(3)] == [SENT] * 3
    assert len(mail.messages()) == 1
    assert len({attempt.operation_id for attempt in mail.attempts()}) == 1
    send(people, notice(number="2"), to())
    send(people, notice(), to("other@example.com"))
    send(people, notice("recovered"), to())
    assert len(mail.messages()) == 4, "other notices and other people are other mails"


def test_an_answer_that_was_lost_does_not_make_a_second_mail(mail: EmailService) -> None:
    people = mailing(mail)
    mail.set_mode(answer="reset_after_accept")
    first = send(people, notice(), to())
    assert (first["sent"], first["final"]) == (False, False)
    mail.set_mode()
    assert send(people, notice(), to()) == SENT
    assert len(mail.messages()) == 1


def test_a_mail_that_takes_a_while_is_waited_for() -> None:
    with EmailService(clock_from_spec("real"), running_seconds=1) as slow:
        slow.add_fault(kind="drop", mailbox="gone@example.com")
        people = mailing(slow)
        found = send(people, notice(), to("gone@example.com"))
        assert found["error"] == "accepted, but not delivered", "the end was seen, not assumed"


def test_a_service_that_fails_after_the_acceptance_makes_no_second_mail() -> None:
    with EmailService(clock_from_spec("real"), running_seconds=1) as slow:
        people = mailing(slow)

        def fail_once_accepted() -> None:
            slow.wait_for(lambda: bool(slow.attempts()))
            slow.set_mode("down")

        failing = threading.Thread(target=fail_once_accepted)
        failing.start()
        found = send(people, notice(), to())
        failing.join()
        assert found == {"sent": False, "final": False, "retry_after_seconds": None, "error": "HTTP 503"}
        slow.set_mode()
        assert send(people, notice(), to()) == SENT
        assert len(slow.messages()) == 1


def test_a_key_that_is_none_fails_as_a_try_not_as_an_exception() -> None:
    email = EmailConfig(sender="a@example.com", recipients=["b@example.com"], connection="endpoint=http://127.0.0.1:9;accesskey=?")
    found = send(told(email), notice(), to())
    assert not found["sent"] and not found["final"] and found["error"]


def test_without_a_configured_channel_a_notice_ends() -> None:
    assert recipients(told()) == []
    assert send(told(), notice(), to())["error"] == "e-mail is no longer configured"
    assert send(told(), notice(), to_hook())["error"] == "the webhook is no longer configured"
    assert send(told(), notice(), to())["final"] and send(told(), notice(), to_hook())["final"]


# --- webhooks ---


def test_a_webhook_receives_the_notice_as_json(hook: Downstream) -> None:
    assert send(hooked(f"{hook.url}/alerts", Authorization="Bearer token"), notice(), to_hook()) == SENT
    (attempt,) = hook.attempts()
    assert (attempt.method, attempt.path, attempt.outcome) == ("POST", "/alerts", "noted")
    assert attempt.headers["Content-Type"] == "application/json" and attempt.headers["Authorization"] == "Bearer token"
    assert attempt.headers["Idempotency-Key"] == notice()["id"]
    runbook = "docs/runbook.md#error-server_error"
    told = {"subject": subject(notice()), "text": body(notice(), None, runbook), "console": None, "runbook": runbook}
    assert attempt.body == {**notice(), **told}


def test_every_try_of_a_notice_carries_the_same_key(hook: Downstream) -> None:
    hook.set_mode("down")
    for _ in range(2):
        send(hooked(hook.url), notice(), to_hook())
    assert [attempt.headers["Idempotency-Key"] for attempt in hook.attempts()] == [notice()["id"]] * 2


def test_several_webhooks_are_told_apart_by_their_place(hook: Downstream) -> None:
    people = told(webhooks=[WebhookConfig(url=f"{hook.url}/{name}") for name in ("one", "two")])
    assert [send(people, notice(), person) for person in recipients(people)] == [SENT] * 2
    assert [attempt.path for attempt in hook.attempts()] == ["/one", "/two"]


@pytest.mark.parametrize(
    ("status", "final"),
    [
        *((status, True) for status in (400, 404, 410, 422)),
        *((status, False) for status in (401, 403, 408, 425, 429, 500, 502, 503)),
    ],
)
def test_a_webhook_that_refuses_ends_the_notice_only_if_another_try_is_useless(hook: Downstream, status: int, final: bool) -> None:
    hook.set_mode("down", status=status, retry_after=45)
    found = send(hooked(hook.url), notice(), to_hook())
    assert found == {"sent": False, "final": final, "retry_after_seconds": 45, "error": f"HTTP {status}"}


def test_a_webhook_that_cannot_be_reached_is_tried_again(hook: Downstream) -> None:
    people = hooked(hook.url)
    hook.stop()
    assert send(people, notice(), to_hook()) == {
        "sent": False,
        "final": False,
        "retry_after_seconds": None,
        "error": "connection failed or was closed by the webhook",
    }


def test_a_redirecting_webhook_takes_nothing_elsewhere() -> None:
    with RawServer() as elsewhere, RawServer() as server:
        server.handler = server.answering(f"HTTP/1.1 307 X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode())
        found = send(hooked(server.url, Authorization="Bearer secret"), notice(), to_hook())
        assert not found["sent"] and found["error"] == "HTTP 307"
        assert elsewhere.connections == 0


def test_a_redirecting_mail_service_takes_nothing_elsewhere() -> None:
    with RawServer() as elsewhere, RawServer() as server:
        server.handler = server.answering(f"HTTP/1.1 307 X\r\nLocation: {elsewhere.url}\r\nContent-Length: 0\r\n\r\n".encode())
        found = send(mailing_to(server), notice(), to())
        assert not found["sent"] and found["error"] == "HTTP 307"
        assert elsewhere.connections == 0


@pytest.mark.parametrize("location", ["{other}/operations/1", "http://127.0.0.1:{own}@{other_place}/1"])
def test_a_mail_service_that_names_another_server_for_its_result_takes_no_credential_there(location: str) -> None:
    with RawServer() as elsewhere, RawServer() as server:
        place = location.format(other=elsewhere.url, other_place=f"127.0.0.1:{elsewhere.port}", own=server.port)
        accepted = b'{"id": "1", "status": "Running"}'
        head = f"HTTP/1.1 202 X\r\nOperation-Location: {place}\r\nContent-Type: application/json\r\n"
        server.handler = server.answering(f"{head}Content-Length: {len(accepted)}\r\n\r\n".encode() + accepted)
        found = send(mailing_to(server), notice(), to())
        assert not found["sent"] and not found["final"], "it may have been sent; a repeat is told so by its operation id"
        assert elsewhere.connections == 0


def test_what_a_mail_service_answers_is_not_quoted() -> None:
    answer = b'{"error": {"code": "secret", "message": "secret"}}'
    head = f"HTTP/1.1 400 secret\r\nContent-Type: application/json\r\nContent-Length: {len(answer)}\r\n\r\n"
    with RawServer() as server:
        server.handler = server.answering(head.encode() + answer)
        assert send(mailing_to(server), notice(), to())["error"] == "HTTP 400"


@pytest.mark.parametrize("head", [b"X: ", b"\r\n"], ids=["head", "body"])
def test_a_channel_that_answers_without_end_does_not_hold_the_host_up(head: bytes) -> None:
    def drip(connection: socket.socket, number: int) -> None:
        server.read_request(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + head)
        for _ in range(200):  # each byte in time
            if not server.over.wait(0.05):
                connection.sendall(b"x")

    with RawServer(drip) as server:
        people = structs.replace(mailing_to(server, WebhookConfig(url=server.url)), timeout=Duration(0.3))
        late = {"sent": False, "final": False, "retry_after_seconds": None}
        assert send(people, notice(), to()) == {**late, "error": "ServiceResponseTimeoutError"}
        assert send(people, notice(), to_hook()) == ({**late, "error": "no answer in time"} if head.strip() else SENT)


@pytest.mark.parametrize("person", [to(), to_hook()], ids=["mail", "webhook"])
def test_neither_a_netrc_nor_a_proxy_of_the_machine_is_used(
    person: Recipient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    with RawServer() as proxy, RawServer() as server:
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("no_proxy", "")
        server.handler = server.answering(b"HTTP/1.1 400 X\r\nContent-Length: 0\r\n\r\n")
        assert send(mailing_to(server, WebhookConfig(url=server.url)), notice(), person)["error"] == "HTTP 400"
        assert proxy.connections == 0
    assert b"basic " not in server.requests[0].lower()


def test_a_webhook_whose_certificate_nobody_vouches_for_learns_nothing(tmp_path: Path) -> None:
    with RawServer(tls=self_signed(tmp_path)) as server:
        assert send(hooked(server.url, Authorization="Bearer secret"), notice(), to_hook())["error"].startswith("TLS failure")
        assert server.requests == []


def test_a_webhook_may_have_an_authority_of_its_own(tmp_path: Path) -> None:
    root = issue("Example Root", authority=True)
    with RawServer(tls=issue("hooks", root).tls(tmp_path)) as server:
        assert send(told(webhooks=[WebhookConfig(url=server.url, ca=root.pem)]), notice(), to_hook()) == SENT


def test_what_a_webhook_answers_is_neither_awaited_nor_quoted() -> None:
    with RawServer() as server:
        server.handler = server.then_silence(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nsecret")
        assert send(hooked(server.url), notice(), to_hook()) == SENT
        server.handler = server.then_silence(b"HTTP/1.1 500 secret\r\nContent-Length: 100\r\n\r\nsecret")
        assert send(hooked(f"{server.url}?code=secret"), notice(), to_hook())["error"] == "HTTP 500"


# --- texts ---


@pytest.mark.parametrize("kind", KINDS)
def test_a_text_says_what_where_since_when_and_why(kind: Kind) -> None:
    text = body(notice(kind))
    for part in (
        "dbo.Orders",
        "Rows: 3",
        "2026-03-01 00:00:00 UTC",
        "2026-03-02",
        "HTTP 503",
        f"notice-{kind}-1",
    ):
        assert part in text
    assert subject(notice(kind)).startswith("[Rowpost] dbo.Orders: ")
    assert subject({**notice(kind), "relay": "dbo.Two\r\nlines"}).startswith("[Rowpost] dbo.Two lines: ")


def test_what_to_do_about_dead_letters_is_in_the_mail() -> None:
    assert "POST /api/relays/dbo.Orders/replay" in body(notice("dead_letter"))


@pytest.mark.parametrize(("rows", "said"), [(1, "1 row not"), (2, "2 rows not")])
def test_one_row_is_one_row(rows: int, said: str) -> None:
    assert said in subject(notice(rows=rows))


@pytest.mark.parametrize("kind", KINDS)
def test_texts_are_made_of_the_notices_fields_alone(kind: Kind, mail: EmailService, hook: Downstream) -> None:
    # A notice has no field for row values; whatever else is put in does not come out.
    carrying = notice(kind, since=None, last_error=None, key={"Id": "row-value"}, row="row-value")
    people = told(EmailConfig(sender="a@example.com", recipients=["ops@example.com"], connection=mail.connection_string))
    assert send(people, carrying, to()) == SENT
    (message,) = mail.messages()
    assert "row-value" not in f"{message.subject}{message.plain_text}" and "Failing since: -" in str(message.plain_text)
    counted = {"about", "delivered", "given_up", "columns", "epoch", "on_gap", "incident", "reminders", "keys", "notices"}
    known = {"id", "kind", "relay", "rows", "round", "since", "at", "last_error", "versions"}
    assert set(Notice.__annotations__) == known | counted
