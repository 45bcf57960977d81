"""What stands in for Teams, Slack and PagerDuty: each checks a body as the real service does, and keeps what it takes.

Teams: a workflow that begins when a webhook request is received answers 202; a message of more than 28 KB fails. Slack: the limits
of blocks, and its words (https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks). PagerDuty: the schema of the
Events API v2 (https://github.com/PagerDuty/api-schema), 512 KB, and its alerts by key.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from tests.harness.http_server import Asked, Given, HttpServer

_TEAMS_BYTES, _PAGERDUTY_BYTES = 28 * 1024, 512 * 1024


class Service(HttpServer):
    """One of them.

    Attributes:
        taken: the bodies that were accepted, in order.
        given: answers in the place of the service's own, each once.
    """

    def __init__(self, check: Callable[[dict[str, Any], int], Given]) -> None:
        super().__init__(self._judge)
        self.check, self.taken, self.given = check, list[dict[str, Any]](), list[Given]()

    def _judge(self, asked: Asked) -> Given:
        if self.given:
            return self.given.pop(0)
        assert asked.headers["Content-Type"] == "application/json"
        body = json.loads(asked.body)
        answer = self.check(body, len(asked.body))
        if answer.status < 300:
            self.taken.append(body)
        return answer


def teams() -> Service:
    """A workflow of Teams."""
    return Service(_teams)


def slack() -> Service:
    """An incoming webhook of Slack."""
    return Service(_slack)


class PagerDuty(Service):
    """A service of PagerDuty.

    Attributes:
        open: keys of the alerts that are open.
    """

    def __init__(self, routing_key: str) -> None:
        self.open: list[str] = []
        self._routing_key = routing_key
        super().__init__(self._event)

    def _event(self, body: dict[str, Any], size: int) -> Given:
        wrong = list(_wrong_in_event(body))
        if body.get("routing_key") != self._routing_key:
            wrong.append("Length of 'routing_key' is incorrect (should be 32 characters)")
        if wrong or size > _PAGERDUTY_BYTES:
            said = {"status": "invalid event", "message": "Event object is invalid", "errors": wrong}
            return Given(400, json.dumps(said).encode())
        key = body["dedup_key"]
        if body["event_action"] == "resolve":
            self.open = [each for each in self.open if each != key]
        elif key not in self.open:
            self.open.append(key)
        return Given(202, json.dumps({"status": "success", "message": "Event processed", "dedup_key": key}).encode())


def _wrong_in_event(body: dict[str, Any]) -> list[str]:
    if body.get("event_action") not in ("trigger", "acknowledge", "resolve"):
        return ["'event_action' is invalid"]
    wrong = [] if 0 < len(body.get("dedup_key", "")) <= 255 else ["'dedup_key' is missing or too long"]
    if body["event_action"] != "trigger":
        return wrong
    payload = body.get("payload") or {}
    wrong += [f"'payload.{name}' is missing or blank" for name in ("summary", "source", "severity") if not payload.get(name)]
    wrong += [] if len(payload.get("summary", "")) <= 1024 else ["'payload.summary' is too long"]
    wrong += [] if payload.get("severity") in ("critical", "error", "warning", "info") else ["'payload.severity' is invalid"]
    wrong += [] if isinstance(payload.get("custom_details", {}), dict) else ["'payload.custom_details' is no object"]
    wrong += ["'links' has no 'href'" for link in body.get("links", []) if not str(link.get("href")).startswith("http")]
    return wrong


def _teams(body: dict[str, Any], size: int) -> Given:
    if size > _TEAMS_BYTES:
        return Given(413, b"RequestEntityTooLarge")
    attachments = body.get("attachments")
    if body.get("type") != "message" or not isinstance(attachments, list) or not attachments:
        return Given(400, b"attachments is required")
    for attachment in attachments:
        card = attachment.get("content", {})
        sound = attachment.get("contentType") == "application/vnd.microsoft.card.adaptive" and card.get("type") == "AdaptiveCard"
        runs = [run for block in card.get("body", []) for run in block["inlines"]]
        texts = all(run["type"] == "TextRun" and isinstance(run["text"], str) for run in runs)
        opens = all(a["type"] == "Action.OpenUrl" and a["url"].startswith("http") for a in card.get("actions", []))
        if not (sound and card.get("version") and runs and texts and opens):
            return Given(400, b"BadRequest")
    return Given(202)


def _slack(body: dict[str, Any], size: int) -> Given:
    blocks = body.get("blocks", [])
    if not body.get("text") and not blocks:
        return Given(400, b"no_text")
    sound = 0 < len(blocks) <= 50 and all(_sound_block(block) for block in blocks)
    return Given(200, b"ok") if sound else Given(400, b"invalid_blocks")


def _sound_block(block: dict[str, Any]) -> bool:
    if block["type"] == "header":
        return block["text"]["type"] == "plain_text" and 0 < len(block["text"]["text"]) <= 150
    if block["type"] == "section":
        fields = block.get("fields", [])
        text = block.get("text")
        fits = text is None or 0 < len(text["text"]) <= 3000
        return bool(text or fields) and fits and len(fields) <= 10 and all(0 < len(field["text"]) <= 2000 for field in fields)
    return bool(block["type"] == "context" and 0 < len(block["elements"]) <= 10)
