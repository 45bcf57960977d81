"""What went wrong in an exchange, in words of ours: an exception's text may hold the address and what was answered."""

from __future__ import annotations

import ssl
from collections.abc import Iterator

import requests

# How OpenSSL names the alerts of a server that wants a certificate, or does not take the one that it got (RFC 8446, section 6.2).
_OF_OUR_CERTIFICATE = (
    "BAD_CERTIFICATE",
    "UNSUPPORTED_CERTIFICATE",
    "CERTIFICATE_REVOKED",
    "CERTIFICATE_EXPIRED",
    "CERTIFICATE_UNKNOWN",
    "CERTIFICATE_REQUIRED",
    "UNKNOWN_CA",
    "ACCESS_DENIED",
)
_DEPTH = 12


def describe(error: Exception, who: str = "the target") -> str:
    """The kind of a failure.

    Args:
        error: what was raised.
        who: was called.
    """
    reasons = [each.reason or "" for each in _causes(error) if isinstance(each, ssl.SSLError)]
    if any("_ALERT_" in reason and reason.endswith(_OF_OUR_CERTIFICATE) for reason in reasons):
        return f"TLS failure: {who} asks for a client certificate, or does not accept the one of this app"
    if isinstance(error, requests.exceptions.SSLError):
        return f"TLS failure: the certificate or the protocol of {who} was not accepted"
    if isinstance(error, requests.ConnectTimeout):
        return "connection timed out"
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    if isinstance(error, requests.ConnectionError):
        return f"connection failed or was closed by {who}"
    return f"request failed ({type(error).__name__})"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An exception, and those that it was made of: libraries pass them on as arguments or attributes too."""
    todo, seen = [error], list[BaseException]()
    while todo and len(seen) < _DEPTH:
        each = todo.pop(0)
        seen.append(each)
        yield each
        further = [each.__cause__, each.__context__, getattr(each, "reason", None), *each.args]
        todo += [one for one in further if isinstance(one, BaseException) and one not in seen]
