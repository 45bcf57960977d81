"""Notices by webhook: each is posted as JSON."""

from __future__ import annotations

from rowpost.config.sections import NotificationsConfig
from rowpost.http.client import Client
from rowpost.notices.channel import SENT, Sent, failed, gave_up
from rowpost.notices.message import Notice, body, subject
from rowpost.rules.answer import retry_after_seconds
from rowpost.rules.json_text import to_json


def addresses(config: NotificationsConfig) -> list[str]:
    """The webhooks, by number: their URLs may hold secrets."""
    return [f"webhook {number}" for number, _ in enumerate(config.webhooks, 1)]


def send(config: NotificationsConfig, notice: Notice, address: str, index: int) -> Sent:
    """Post a notice to the webhook at ``index``."""
    hooks = config.webhooks
    if index >= len(hooks):
        return gave_up("the webhook is no longer configured")
    headers = {"Content-Type": "application/json", "Idempotency-Key": notice["id"], **hooks[index].headers}
    document = {**notice, "subject": subject(notice), "text": body(notice)}
    try:
        reply = Client(config.timeout.seconds, ca=hooks[index].ca).post(hooks[index].url, to_json(document), headers)
    except Exception as error:  # whatever an answer makes a library raise
        return failed(type(error).__name__)
    if 200 <= reply.status < 300:
        return SENT
    return failed(f"HTTP {reply.status}", reply.status, retry_after_seconds(reply.headers))
