"""Tokens of Entra ID by the managed identity of the app. The SDK is imported when the first of them is asked for."""

from __future__ import annotations

import os
import time

from rowpost.auth.failures import CredentialError
from rowpost.auth.tokens import lifetime, sound
from rowpost.http.client import session

WHO = "the managed identity"
_IMPORT_SECONDS = 10  # of the SDK, once, on a fraction of a core


def wait_seconds(timeout_seconds: float) -> float:
    """How long a thread waits for a token that another one has asked for, the first import of the SDK included."""
    return 2 * timeout_seconds + _IMPORT_SECONDS


def identity_token(resource: str, client_id: str | None, timeout_seconds: float) -> tuple[str, float]:
    """A token for a resource, and for how many seconds it is good.

    Args:
        resource: application ID URI of the API.
        client_id: of a user-assigned identity; without, that of the setting ``AZURE_CLIENT_ID``, else that of the system.
        timeout_seconds: of a request to the platform.

    Raises:
        CredentialError: there is none.
    """
    # Imported here: the SDK costs more at a cold start than all of the app.
    from azure.core.exceptions import AzureError
    from azure.core.pipeline.transport import RequestsTransport
    from azure.identity import ManagedIdentityCredential

    endpoint = os.environ.get("IDENTITY_ENDPOINT") or _OF_MACHINES
    transport = RequestsTransport(session=session(timeout_seconds, endpoint), use_env_settings=False)
    try:
        # A new one each time: its own cache would give the token again that the target has just refused.
        credential = ManagedIdentityCredential(
            client_id=client_id or os.environ.get("AZURE_CLIENT_ID") or None, transport=transport, retry_total=0
        )
        with credential:
            found = credential.get_token(f"{resource}/.default")
    except (AzureError, ValueError) as error:
        raise CredentialError(f"{WHO}: no token ({type(error).__name__}); {_REMEDY}") from None
    return sound(found.token, WHO), lifetime(found.expires_on - time.time())  # both by the clock of this machine


_OF_MACHINES = "http://169.254.169.254"  # where virtual machines ask; App Service sets IDENTITY_ENDPOINT
_REMEDY = "check that the app has this identity, and that Entra ID knows the resource"
