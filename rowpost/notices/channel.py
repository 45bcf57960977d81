"""What every channel has in common: its recipients, and the result of one try."""

from __future__ import annotations

from typing import TypedDict

from rowpost.rules.answer import TRANSIENT_CLIENT_ERRORS


class Recipient(TypedDict):
    """One address on one channel, and its place in the configuration of the channel."""

    channel: str
    address: str
    index: int


class Sent(TypedDict):
    """The result of one try: sent, or why not and how long to wait at least; ``final`` if trying again is useless."""

    sent: bool
    final: bool
    retry_after_seconds: int | None
    error: str | None


SENT: Sent = {"sent": True, "final": True, "retry_after_seconds": None, "error": None}


def gave_up(error: str) -> Sent:
    """The result of a try that no other try can mend."""
    return {"sent": False, "final": True, "retry_after_seconds": None, "error": error}


def failed(error: str, status: int | None = None, retry_after: int | None = None) -> Sent:
    """The result of a try that failed; final if the channel refuses the notice itself (an HTTP status of 4xx)."""
    final = status is not None and 400 <= status < 500 and status not in TRANSIENT_CLIENT_ERRORS
    return {"sent": False, "final": final, "retry_after_seconds": retry_after, "error": error}
