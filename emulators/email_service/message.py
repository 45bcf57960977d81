"""What the e-mail emulator keeps: accepted messages, and every send that was asked for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Message:
    """One accepted message. ``at`` is the instant (ISO 8601) at which it was accepted; ``failure`` is why it was
    dropped."""

    operation_id: str
    at: str
    sender: str
    to: list[str]
    subject: str
    plain_text: str | None
    html: str | None
    failure: str | None
    request: dict[str, Any]

    @property
    def recipients(self) -> list[str]:
        return addresses(self.request)


@dataclass(frozen=True)
class EmailAttempt:
    """One send that was asked for. ``status`` is None if the connection was reset instead of an answer."""

    number: int
    at: str
    operation_id: str | None
    recipients: list[str]
    subject: str | None
    status: int | None


def addresses(body: dict[str, Any]) -> list[str]:
    recipients = body["recipients"]
    return [entry["address"] for kind in ("to", "cc", "bcc") for entry in recipients.get(kind) or []]
