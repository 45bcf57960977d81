"""Notices to PagerDuty, by the Events API v2: an alarm triggers an alert, its reminders belong to it, and its end resolves it.

What has no end stays open until a person resolves it; the same again belongs to the same alert.
(https://developer.pagerduty.com/docs/events-api-v2-overview: 1024 characters of a summary, 255 of a key.)
"""

from __future__ import annotations

import hashlib
from urllib.parse import urlsplit

from rowpost.config.notifications import NotificationsConfig, PagerDutyConfig
from rowpost.notices.channel import Sent, gave_up
from rowpost.notices.links import links_of
from rowpost.notices.message import Notice, explanation, facts, subject
from rowpost.notices.posting import cut, post_json

_SUMMARY, _KEY = 1024, 255
_SEVERITIES = {
    "gap": "critical",
    "retention": "critical",
    "unable": "critical",
    "columns": "warning",
    "epoch": "warning",
    "resync_waits": "warning",
    "recovered": "info",
    "test": "info",
}  # all others are errors


def addresses(config: NotificationsConfig) -> list[str]:
    """The services, by number."""
    return [f"pagerduty {number}" for number, _ in enumerate(config.pagerduty, 1)]


def send(config: NotificationsConfig, notice: Notice, address: str, index: int) -> Sent:
    """Send a notice to the service at ``index``. A test is resolved at once."""
    if index >= len(config.pagerduty):
        return gave_up("the service of PagerDuty is no longer configured")
    service = config.pagerduty[index]
    sent = post_json(config, service, event(config, service, notice), who="PagerDuty")
    if notice["kind"] == "test" and sent["sent"]:
        return post_json(config, service, event(config, service, notice, resolve=True), who="PagerDuty")
    return sent


def event(config: NotificationsConfig, service: PagerDutyConfig, notice: Notice, *, resolve: bool = False) -> dict[str, object]:
    """A notice as an event."""
    links, host = links_of(config, notice), urlsplit(config.console_url or "").hostname or "rowpost"
    key = notice.get("incident") or f"{host}/{notice['kind']}/{notice['relay'] or notice['id']}"
    if len(key) > _KEY:
        key = hashlib.sha256(key.encode()).hexdigest()
    if resolve or notice["kind"] == "recovered":
        return {"routing_key": service.routing_key, "event_action": "resolve", "dedup_key": key}
    payload = {
        "summary": cut(subject(notice), _SUMMARY),
        "source": host,
        "severity": _SEVERITIES.get(notice["kind"], "error"),
        "component": notice["relay"] or "rowpost",
        "class": notice["kind"],
        "custom_details": {"What": explanation(notice), **dict(facts(notice)), "Runbook": links.runbook, "Notice": notice["id"]},
    }
    shown = [{"href": address, "text": name} for name, address in links.clickable]
    client = {"client": "Rowpost"} | ({"client_url": links.console} if links.console else {})
    return {
        "routing_key": service.routing_key,
        "event_action": "trigger",
        "dedup_key": key,
        "payload": payload,
        "links": shown,
        **client,
    }
