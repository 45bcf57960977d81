"""Signatures of Standard Webhooks (https://www.standardwebhooks.com): a receiver sees who sent an event, and when."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Sequence

from rowpost.auth.failures import CredentialError
from rowpost.auth.secrets import Secret
from rowpost.config.credentials import signing_bytes


class Signer:
    """Signs what is sent, with each of the secrets: a receiver takes an event if it knows one of them.

    Args:
        secrets: of the configuration.
        timeout_seconds: of a request to a Key Vault, if a secret is there.
    """

    def __init__(self, secrets: Sequence[str], timeout_seconds: float) -> None:
        self._secrets = [Secret(secret, timeout_seconds) for secret in secrets]

    def headers(self, identifier: str, body: bytes) -> dict[str, str]:
        """What is added to a request, at the time of this attempt.

        The time is this machine's: a receiver compares it with the clock of its own machine, some minutes more or less. Nothing
        is decided by it here. (The ``time`` of an event is the database's.)

        Raises:
            CredentialError: a secret cannot be read, or is none.
        """
        timestamp = str(int(time.time()))
        signed = f"{identifier}.{timestamp}.".encode() + body
        signatures = [f"v1,{_signature(secret.held().value, signed)}" for secret in self._secrets]
        return {"webhook-id": identifier, "webhook-timestamp": timestamp, "webhook-signature": " ".join(signatures)}


def _signature(secret: str, signed: bytes) -> str:
    try:
        found = signing_bytes(secret)
    except ValueError:  # one of the configuration was checked at start
        raise CredentialError("the Key Vault: the secret is no secret of Standard Webhooks: whsec_ and Base64") from None
    return base64.b64encode(hmac.new(found, signed, hashlib.sha256).digest()).decode()
