"""Notices to Microsoft Teams: an Adaptive Card, posted to a workflow that begins when a webhook request is received.

The workflow answers 202 before the card is in the channel. Teams takes messages of 28 KB. Texts are runs of a RichTextBlock, which
knows no markdown: nothing in a key or an error can become a link.
"""

from __future__ import annotations

from rowpost.config.notifications import NotificationsConfig
from rowpost.notices.channel import Sent, gave_up
from rowpost.notices.links import links_of
from rowpost.notices.message import Notice, explanation, facts, subject
from rowpost.notices.posting import cut, post_json

_TITLE, _TEXT, _FACT = 300, 4000, 500  # characters, so that no card comes near the limit, whatever the script is
_COLORS = {"recovered": "Good", "test": "Accent", "digest": "Warning"}


def addresses(config: NotificationsConfig) -> list[str]:
    """The workflows, by number: their URLs are secrets."""
    return [f"teams {number}" for number, _ in enumerate(config.teams, 1)]


def send(config: NotificationsConfig, notice: Notice, address: str, index: int) -> Sent:
    """Post a notice to the workflow at ``index``."""
    if index >= len(config.teams):
        return gave_up("the workflow of Teams is no longer configured")
    return post_json(config, config.teams[index], message(config, notice), who="Teams")


def message(config: NotificationsConfig, notice: Notice) -> dict[str, object]:
    """A notice as a message with one card."""
    color = _COLORS.get(notice["kind"], "Attention")
    told = [_fact(name, cut(text, _FACT)) for name, text in facts(notice)]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": [
            _block({"text": cut(subject(notice), _TITLE), "weight": "Bolder", "size": "Medium", "color": color}),
            _block({"text": cut(explanation(notice), _TEXT)}),
            *told,
        ],
        "actions": [
            {"type": "Action.OpenUrl", "title": name, "url": address} for name, address in links_of(config, notice).clickable
        ],
        "msteams": {"width": "Full"},
    }
    content = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return {"type": "message", "attachments": [content]}


def _fact(name: str, text: str) -> dict[str, object]:
    return _block({"text": f"{name}: ", "weight": "Bolder"}, {"text": text}, spacing="None")


def _block(*runs: dict[str, str], spacing: str = "Default") -> dict[str, object]:
    return {"type": "RichTextBlock", "spacing": spacing, "inlines": [{"type": "TextRun", **run} for run in runs]}
