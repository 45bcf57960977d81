"""Notices to a channel of Slack, by an incoming webhook.

Limits of a message (https://docs.slack.dev/reference/block-kit/blocks): 150 characters of a header, 3000 of a section, ten fields
of 2000 each. Texts are ``plain_text``: nothing in a key or an error can become a link or a mention.
"""

from __future__ import annotations

from rowpost.config.notifications import NotificationsConfig
from rowpost.notices.channel import Sent, gave_up
from rowpost.notices.links import links_of
from rowpost.notices.message import Notice, explanation, facts, subject
from rowpost.notices.posting import cut, post_json

_HEADER, _SECTION, _FIELD, _FIELDS = 150, 3000, 1000, 10
# What Slack answers in the place of "ok": https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks
_ANSWERS = frozenset(
    (
        "action_prohibited",
        "channel_is_archived",
        "channel_not_found",
        "invalid_blocks",
        "invalid_payload",
        "invalid_token",
        "no_active_hooks",
        "no_service",
        "no_team",
        "no_text",
        "posting_to_general_channel_denied",
        "rate_limited",
        "rollup_error",
        "team_disabled",
        "user_not_found",
    )
)


def addresses(config: NotificationsConfig) -> list[str]:
    """The channels, by number: their URLs are secrets."""
    return [f"slack {number}" for number, _ in enumerate(config.slack, 1)]


def send(config: NotificationsConfig, notice: Notice, address: str, index: int) -> Sent:
    """Post a notice to the channel at ``index``."""
    if index >= len(config.slack):
        return gave_up("the channel of Slack is no longer configured")
    return post_json(config, config.slack[index], message(config, notice), who="Slack", words=_ANSWERS)


def message(config: NotificationsConfig, notice: Notice) -> dict[str, object]:
    """A notice as blocks. ``text`` is what notifications on a screen show."""
    told = [_plain(f"{name}\n{text}", _FIELD) for name, text in facts(notice)[:_FIELDS]]
    blocks: list[dict[str, object]] = [
        {"type": "header", "text": _plain(subject(notice), _HEADER)},
        {"type": "section", "text": _plain(explanation(notice), _SECTION)},
        {"type": "section", "fields": told},
    ]
    links = [f"<{_escaped(address)}|{name}>" for name, address in links_of(config, notice).clickable]
    if links:
        blocks.append({"type": "context", "elements": [{"type": "mrkdwn", "text": " · ".join(links)}]})
    return {"text": _escaped(subject(notice)), "blocks": blocks}


def _plain(text: str, length: int) -> dict[str, object]:
    return {"type": "plain_text", "text": cut(text, length), "emoji": False}


def _escaped(text: str) -> str:
    """The three characters that have a meaning in Slack's own markup."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").replace("|", "%7C")
