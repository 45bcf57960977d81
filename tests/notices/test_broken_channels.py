"""A channel that breaks in a way that nobody foresaw, keeps failing or never answers does not silence the others."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec

from rowpost.app import load_app
from rowpost.config.notifications import NotificationsConfig, WebhookConfig
from rowpost.config.units import Duration
from rowpost.notices.channel import Sent
from rowpost.notices.channels import recipients, send
from rowpost.notices.message import Notice
from tests.harness.running_relay import CONFIG, Relay

MAIL = """
[notifications.email]
connection = "endpoint=http://127.0.0.1:{port};accesskey=YQ=="
sender = "relay@example.com"
recipients = ["dba@example.com"]
"""
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
SETTINGS = {
    "SqlConnectionString": "Server=x;Database=y",
    "DOWNSTREAM_URL": "http://x",
    "DOWNSTREAM_API_KEY": "k",
    "ALERT_WEBHOOK_URL": "http://x",
}


def load(directory: Path, config: str) -> NotificationsConfig:
    (directory / "relay.toml").write_text(config)
    return load_app(directory, SETTINGS).config.notifications


def test_what_a_channel_raises_is_a_failure_of_this_try(tmp_path: Path) -> None:
    people = load(tmp_path, CONFIG)
    webhook = WebhookConfig(url="http://alerts..example.com/")  # the configuration refuses it, and the library raises for it
    people = msgspec.structs.replace(people, webhooks=[webhook])
    (recipient,) = recipients(people)
    sent = send(people, NOTICE, recipient)
    assert sent == {"sent": False, "final": False, "retry_after_seconds": None, "error": "request failed (LocationParseError)"}


def test_a_mail_service_that_never_answers_is_given_up_as_soon_as_a_webhook(
    tmp_path: Path,
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        people = load(tmp_path, CONFIG + MAIL.format(port=silent.getsockname()[1]))
        people = msgspec.structs.replace(people, timeout=Duration(1))
        mail, *_ = recipients(people)
        sent: list[Sent] = []
        sending = threading.Thread(target=lambda: sent.append(send(people, NOTICE, mail)), daemon=True)
        sending.start()
        sending.join(20)
        assert not sending.is_alive()
    assert sent[0]["sent"] is False


def test_a_recipient_who_asked_to_wait_is_told_although_another_one_keeps_failing(make_relay: Callable[..., Relay]) -> None:
    hook = '[[notifications.webhooks]]\nurl = "%ALERT_WEBHOOK_URL%"\n'
    config = CONFIG.replace(hook, hook.replace('%"', '%/broken"') + hook.replace('%"', '%/busy"'))
    relay = make_relay(config)
    relay.stack.downstream.add_rule(match={"path": "/alerts/broken"}, status=503)
    relay.stack.downstream.add_rule(match={"path": "/alerts/busy"}, status=429, retry_after=7 * 3600, times=1)
    relay.reject(1)
    relay.insert(1)
    relay.advance(hours=11)
    told = [a for a in relay.stack.downstream.attempts() if a.path == "/alerts/busy" and a.status and a.status < 300]
    assert [a.body["kind"] for a in told] == ["alarm"]
