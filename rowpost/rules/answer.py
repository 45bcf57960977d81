"""The answer of the target to one event, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from enum import Enum

from msgspec import Struct

NOT_TRIED = "not tried"  # how the reason begins when the target was not called
MAX_RETRY_AFTER_SECONDS = 86400
# Those of 4xx that tell of the target and not of the row. An expired credential (401, 403) is not a bad row.
TOO_MANY_REQUESTS = 429
TRANSIENT_CLIENT_ERRORS = frozenset({401, 403, 408, 425, TOO_MANY_REQUESTS})


class Verdict(Enum):
    """What became of an event."""

    DELIVERED = "delivered"
    TRANSIENT = "transient"
    REJECTED = "rejected"
    UNTRIED = "untried"


class Answer(Struct, frozen=True, eq=False):
    """The result of posting one event. ``error`` never holds anything the target sent, which may quote row values.

    ``shared``: the number of the request that failed, if it had other events too; 0 if the failure is that of the event alone.
    ``milliseconds``: how long the target took to answer or to fail; None if it was not called. It decides nothing: two answers that
    differ in it alone are equal.
    """

    verdict: Verdict
    status: int | None = None
    error: str | None = None
    retry_after_seconds: int | None = None
    shared: int = 0
    milliseconds: int | None = None

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Answer) and self._said == other._said

    def __hash__(self) -> int:
        return hash(self._said)

    @property
    def _said(self) -> tuple[object, ...]:
        return self.verdict, self.status, self.error, self.retry_after_seconds, self.shared

    @property
    def tried(self) -> bool:
        """Whether the target was asked at all."""
        return self.verdict is not Verdict.UNTRIED and not (self.error or "").startswith(NOT_TRIED)


def classify(status: int, headers: Mapping[str, str], milliseconds: int | None = None) -> Answer:
    """The verdict on a response: 2xx delivered; throttling, server errors and refused credentials transient; the rest rejected."""
    if 200 <= status < 300:
        return Answer(Verdict.DELIVERED, status, milliseconds=milliseconds)
    phrase = f"HTTP {status}"  # the names of statuses differ between versions of Python
    if 300 <= status < 400:  # a redirect is a wrong address, and following it would leak the credential
        text = f"{phrase}: redirects are not followed; correct the url of the target"
        return Answer(Verdict.TRANSIENT, status, text, milliseconds=milliseconds)
    transient = status in TRANSIENT_CLIENT_ERRORS or status >= 500 or status < 200
    retry_after = retry_after_seconds(headers) if transient else None
    verdict = Verdict.TRANSIENT if transient else Verdict.REJECTED
    return Answer(verdict, status, phrase, retry_after, milliseconds=milliseconds)


def retry_after_seconds(headers: Mapping[str, str]) -> int | None:
    """The Retry-After among a response's headers in seconds, at most a day; None when absent or unreadable.

    A date is compared with the response's own Date, so that no clock of ours is needed.
    """
    text = headers.get("Retry-After", "").strip()
    seconds: float
    if text.isascii() and text.isdigit():
        seconds = float(text)
    else:
        try:
            until, sent = parsedate_to_datetime(text), parsedate_to_datetime(headers["Date"])
            seconds = (until - sent).total_seconds()
        except Exception:  # dates are parsed by a library, and may hold anything
            return None
    return max(0, round(min(seconds, MAX_RETRY_AFTER_SECONDS)))
