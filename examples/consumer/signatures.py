"""Signatures of Standard Webhooks (https://www.standardwebhooks.com): who has sent a request, and when?"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping, Sequence

_TOLERANCE_SECONDS = 300


def signed_by_one_of(secrets: Sequence[str], headers: Mapping[str, str], body: bytes) -> bool:
    """Whether one of the secrets (``whsec_…``) has signed the body as it arrived, compressed or not, within some minutes.

    While a new secret takes the place of the old one, both are given.
    """
    identifier, timestamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    if not timestamp.isascii() or not timestamp.isdigit() or abs(time.time() - int(timestamp)) > _TOLERANCE_SECONDS:
        return False
    given = [part.partition(",")[2] for part in headers.get("webhook-signature", "").split() if part.startswith("v1,")]
    content = f"{identifier}.{timestamp}.".encode() + body
    for secret in secrets:
        digest = hmac.new(base64.b64decode(secret.removeprefix("whsec_")), content, hashlib.sha256).digest()
        wanted = base64.b64encode(digest).decode()
        if any(hmac.compare_digest(wanted.encode(), each.encode()) for each in given):
            return True
    return False
