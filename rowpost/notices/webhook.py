"""Notices by webhook: each is posted as JSON, and signed if it is configured so."""

from __future__ import annotations

from rowpost.config.notifications import NotificationsConfig
from rowpost.notices.channel import Sent, gave_up
from rowpost.notices.links import links_of
from rowpost.notices.message import Notice, body, subject
from rowpost.notices.posting import post_json, signing


def addresses(config: NotificationsConfig) -> list[str]:
    """The webhooks, by number: their URLs may hold secrets."""
    return [f"webhook {number}" for number, _ in enumerate(config.webhooks, 1)]


def send(config: NotificationsConfig, notice: Notice, address: str, index: int) -> Sent:
    """Post a notice to the webhook at ``index``."""
    if index >= len(config.webhooks):
        return gave_up("the webhook is no longer configured")
    hook, links = config.webhooks[index], links_of(config, notice)
    told = {"subject": subject(notice), "text": body(notice, *links), "console": links.console, "runbook": links.runbook}
    sign = signing(hook.signature.secrets, notice["id"], config.timeout.seconds) if hook.signature is not None else None
    headers = {"Idempotency-Key": notice["id"], **hook.headers}
    return post_json(config, hook, {**notice, **told}, headers, who="the webhook", sign=sign)
