"""Mail by SMTP, on a real server: TLS that is verified, a login, one Message-ID for each notice and recipient, refusals."""

from __future__ import annotations

import socket
import threading
from pathlib import Path
from typing import Any

import pytest
from msgspec import structs

from rowpost.config.notifications import NotificationsConfig, SmtpConfig
from rowpost.config.units import Duration
from rowpost.notices.channels import recipients, send
from rowpost.notices.message import subject
from tests.harness.certificates import Trusted, issue
from tests.harness.mail_server import LOGIN, MailServer
from tests.notices.telling import SENT, notice, tell

USER, PASSWORD = LOGIN
pytestmark = pytest.mark.filterwarnings("ignore:Requiring AUTH while not requiring TLS")  # it is TLS from the first byte


@pytest.fixture
def trusted(tmp_path: Path) -> Trusted:
    root = issue("Example Root", authority=True)
    return Trusted(issue("mail", root).tls(tmp_path), root.pem)


def mailing(port: int, *people: str, **values: Any) -> NotificationsConfig:
    given = {"host": "127.0.0.1", "port": port, "sender": "rowpost@example.com", "recipients": list(people) or ["ops@example.com"]}
    smtp = SmtpConfig(**(given | {"security": "none"} | values))
    return NotificationsConfig(smtp=smtp, timeout=Duration(5), console_url="https://app.example/api/console")


def test_a_mail_says_what_happened_and_where_to_look() -> None:
    with MailServer() as server:
        assert tell(mailing(server.port), notice()) == SENT
    (mail,) = server.mails
    assert (mail["From"], mail["To"], server.recipients) == ("rowpost@example.com", "ops@example.com", [["ops@example.com"]])
    assert mail["Subject"] == subject(notice()) and mail["Auto-Submitted"] == "auto-generated"
    assert str(mail["Date"]) == "Mon, 02 Mar 2026 00:00:00 +0000", "that of the notice"
    text = mail.get_content()
    for part in ('Oldest keys: {"OrderId":7}, {"OrderId":8}', "Console: https://app.example/api/console#/relays/dbo.Orders"):
        assert part in text
    assert "Runbook: docs/runbook.md#error-server_error" in text and text.strip().endswith(f"Notice: {notice()['id']}")


def test_each_notice_and_recipient_has_a_message_id_of_its_own_and_a_repeat_has_the_same() -> None:
    with MailServer() as server:
        config = mailing(server.port, "a@example.com", "b@example.com")
        for told in (notice(), notice(), notice("recovered")):
            assert [send(config, told, person) for person in recipients(config)] == [SENT] * 2
    ids = [mail["Message-ID"] for mail in server.mails]
    assert ids[:2] == ids[2:4] and len(set(ids)) == 4 and all(each.endswith("@example.com>") for each in ids)


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_mail_goes_over_tls_that_a_private_authority_vouches_for_and_after_a_login(security: str, trusted: Trusted) -> None:
    with MailServer(trusted.tls, wrapped=security == "tls", login=True) as server:
        config = mailing(server.port, security=security, user=USER, password=PASSWORD, ca=trusted.ca)
        assert tell(config, notice()) == SENT
    assert server.secure == [True]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_server_that_nobody_vouches_for_learns_neither_password_nor_mail(security: str, trusted: Trusted) -> None:
    with MailServer(trusted.tls, wrapped=security == "tls", login=True) as server:
        found = tell(mailing(server.port, security=security, user=USER, password=PASSWORD), notice())
    assert not found["sent"] and not found["final"] and str(found["error"]).startswith("TLS failure")
    assert server.mails == []


def test_a_server_without_starttls_gets_no_mail() -> None:
    with MailServer() as server:
        found = tell(mailing(server.port, security="starttls"), notice())
    assert not found["sent"] and "STARTTLS" in str(found["error"]) and server.mails == []


def test_a_wrong_password_is_tried_again_and_not_told(trusted: Trusted) -> None:
    with MailServer(trusted.tls, login=True) as server:
        found = tell(mailing(server.port, security="starttls", user=USER, password="hunter3", ca=trusted.ca), notice())
    assert found == {"sent": False, "final": False, "retry_after_seconds": None, "error": "SMTP 535"}


@pytest.mark.parametrize(("refusal", "final"), [("450 4.2.0 busy secret", False), ("550 5.1.1 secret", True)])
def test_a_refused_recipient_is_final_if_the_server_says_so(refusal: str, final: bool) -> None:
    with MailServer() as server:
        server.refusal = refusal
        found = tell(mailing(server.port), notice())
    assert found == {"sent": False, "final": final, "retry_after_seconds": None, "error": f"SMTP {refusal[:3]}"}


def test_a_server_that_is_away_or_silent_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        config = structs.replace(mailing(silent.getsockname()[1]), timeout=Duration(0.3))
        assert tell(config, notice())["error"] == "no answer in time"
    found = tell(config, notice())
    assert not found["final"] and found["error"] == "connection failed or was closed by the mail server"


def test_a_server_that_hangs_up_or_talks_nonsense_is_a_failure_of_this_try() -> None:
    for said in (b"", b"\xff\xfe nonsense\r\n", b"220 hello\r\nHTTP/1.1 200 OK\r\n\r\n"):
        with socket.create_server(("127.0.0.1", 0)) as server:

            def answer(listening: socket.socket = server, line: bytes = said) -> None:
                connection, _ = listening.accept()
                with connection:
                    connection.sendall(line)

            thread = threading.Thread(target=answer)
            thread.start()
            found = tell(mailing(server.getsockname()[1]), notice())
            thread.join()
        assert not found["sent"] and not found["final"] and "nonsense" not in str(found["error"])


def test_a_table_whose_name_has_a_line_break_makes_no_header() -> None:
    with MailServer() as server:
        assert tell(mailing(server.port), notice(relay="dbo.x\r\nBcc: evil@example.com")) == SENT
    (mail,) = server.mails
    assert mail["Bcc"] is None and "Bcc: evil" in mail["Subject"]


def test_without_the_section_the_notice_ends() -> None:
    found = send(NotificationsConfig(), notice(), {"channel": "smtp", "address": "x@example.com", "index": 0})
    assert found["final"] and "no longer configured" in str(found["error"])
