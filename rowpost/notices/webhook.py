"""Notices by webhook: each is posted as JSON."""

from __future__ import annotations

import requests

from rowpost.config.sections import NotificationsConfig
from rowpost.notices.channel import SENT, TIMEOUT_SECONDS, Sent, failed, gave_up
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
    session = requests.Session()
    session.trust_env = False  # no credentials from a .netrc, no proxy by surprise
    try:
        with session.post(
            hooks[index].url, to_json(document), headers=headers, timeout=TIMEOUT_SECONDS, allow_redirects=False, stream=True
        ) as response:
            if 200 <= response.status_code < 300:
                return SENT
            return failed(f"HTTP {response.status_code}", response.status_code, retry_after_seconds(response.headers))
    except requests.RequestException as error:
        return failed(type(error).__name__)
