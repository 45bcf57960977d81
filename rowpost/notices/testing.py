"""A test of the channels: one notice through each of them, and what came back."""

from __future__ import annotations

import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import TypedDict

from rowpost.config.notifications import NotificationsConfig
from rowpost.notices.channel import Recipient
from rowpost.notices.channels import recipients, send
from rowpost.notices.message import Notice

_AT_ONCE = 8


class Tried(TypedDict):
    """How it went with one recipient.

    ``recipient``: an address of mail, or the place of a channel, since addresses of others are secrets. ``error``: why it was not
    sent, in words of the app. ``milliseconds``: how long the channel took.
    """

    channel: str
    recipient: str
    sent: bool
    error: str | None
    milliseconds: int


def try_channels(config: NotificationsConfig, at: str = "") -> list[Tried]:
    """Send a test to each recipient, past the throttle; never raises for a failure of a channel.

    Args:
        config: has the channels.
        at: the time that the notice shows: ISO 8601, UTC; empty if it is not known.
    """
    people = recipients(config)
    if not people:
        return []
    notice: Notice = {
        "id": f"notice-test-{uuid.uuid4()}",  # of its own: nobody takes it for a repeat of the last test
        "kind": "test",
        "relay": "",
        "rows": 0,
        "round": 0,
        "since": None,
        "at": at,
        "last_error": None,
    }
    with ThreadPoolExecutor(min(len(people), _AT_ONCE), "rowpost-notice-test") as threads:
        return list(threads.map(lambda person: _try(config, notice, person), people))


def _try(config: NotificationsConfig, notice: Notice, person: Recipient) -> Tried:
    begun = time.monotonic()
    sent = send(config, notice, person)
    milliseconds = round((time.monotonic() - begun) * 1000)
    return {
        "channel": person["channel"],
        "recipient": person["address"],
        "sent": sent["sent"],
        "error": sent["error"],
        "milliseconds": milliseconds,
    }
