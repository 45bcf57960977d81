"""The channels through which people are told, and sending one notice to one recipient.

A new channel is a module with ``addresses`` and ``send`` as those here have them, a line in :data:`CHANNELS`, and a section in
:class:`rowpost.config.notifications.NotificationsConfig`.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import NamedTuple

from rowpost.config.notifications import NotificationsConfig
from rowpost.notices import email, pagerduty, slack, smtp, teams, webhook
from rowpost.notices.channel import Recipient, Sent, failed, gave_up
from rowpost.notices.message import Notice


class Channel(NamedTuple):
    """A way to tell people.

    Attributes:
        addresses: gives everybody who is told through this channel.
        send: sends a notice to one address, which stands at this place among the addresses.
        collects: whether the other side puts together what belongs together: then nothing is throttled, and an end is told after
            its beginning.
    """

    addresses: Callable[[NotificationsConfig], list[str]]
    send: Callable[[NotificationsConfig, Notice, str, int], Sent]
    collects: bool = False


CHANNELS: dict[str, Channel] = {
    "email": Channel(email.addresses, email.send),
    "smtp": Channel(smtp.addresses, smtp.send),
    "webhook": Channel(webhook.addresses, webhook.send),
    "teams": Channel(teams.addresses, teams.send),
    "slack": Channel(slack.addresses, slack.send),
    "pagerduty": Channel(pagerduty.addresses, pagerduty.send, collects=True),
}


def recipients(config: NotificationsConfig) -> list[Recipient]:
    """Everybody who is to be told."""
    return [
        {"channel": name, "address": address, "index": index}
        for name, channel in CHANNELS.items()
        for index, address in enumerate(channel.addresses(config))
    ]


def send(config: NotificationsConfig, notice: Notice, recipient: Recipient) -> Sent:
    """Send a notice to one recipient: one try, never raising for a failure of the channel, and over in time.

    The limit is longer than those of any channel: a mail is handed over, waited for and asked about. It is well below the host's
    functionTimeout.
    """
    result: list[Sent] = []
    thread = threading.Thread(target=lambda: result.append(_send(config, notice, recipient)), name="rowpost-notice", daemon=True)
    thread.start()
    thread.join(
        email.WAIT_SECONDS + 4 * config.timeout.seconds
    )  # a channel that answers byte by byte can hold a thread for ever: it is left to it
    return result[0] if result else failed("no answer in time")


def _send(config: NotificationsConfig, notice: Notice, recipient: Recipient) -> Sent:
    channel = CHANNELS.get(recipient["channel"])
    if channel is None:
        return gave_up("the channel is no longer known")
    try:
        return channel.send(config, notice, recipient["address"], recipient["index"])
    except Exception as error:  # whatever a channel's library raises, it must not silence the other channels
        return failed(type(error).__name__)
