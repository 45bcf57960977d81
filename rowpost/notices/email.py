"""Notices by e-mail, through Azure Communication Services."""

from __future__ import annotations

import uuid
from typing import Any

from rowpost.config.notifications import NotificationsConfig
from rowpost.http.client import session
from rowpost.notices.channel import SENT, Sent, failed, gave_up
from rowpost.notices.links import links_of
from rowpost.notices.message import Notice, body, subject
from rowpost.rules.answer import retry_after_seconds

_POLL_SECONDS = 1  # the first look at a mail that is being sent; the service's own advice, when given, wins
WAIT_SECONDS = 60  # for the service to have sent a mail that it has accepted


def addresses(config: NotificationsConfig) -> list[str]:
    """Everybody who gets a mail."""
    return config.email.recipients if config.email is not None else []


def send(config: NotificationsConfig, notice: Notice, address: str, index: int) -> Sent:
    """Send a notice to one address."""
    # Imported here: the SDK costs more at a cold start than all of the app, and mails are rare.
    from azure.communication.email import EmailClient
    from azure.core.credentials import AzureKeyCredential
    from azure.core.exceptions import AzureError, HttpResponseError
    from azure.core.pipeline.transport import RequestsTransport

    email = config.email
    if email is None:
        return gave_up("e-mail is no longer configured")
    try:
        # Retries are the orchestration's: its timers cost nothing while they wait, and outlive the process. Else as webhooks.
        options: dict[str, Any] = {"retry_total": 0, "permit_redirects": False}
        endpoint, key = email.service
        options["transport"] = RequestsTransport(session=session(config.timeout.seconds, endpoint), use_env_settings=False)
        if key is not None:  # not from_connection_string: it drops the scheme, and speaks HTTPS to a local service too
            client = EmailClient(endpoint, AzureKeyCredential(key), **options)
        else:
            from azure.identity import DefaultAzureCredential

            client = EmailClient(endpoint, DefaultAzureCredential(), **options)
        message: dict[str, Any] = {
            "senderAddress": email.sender,
            "recipients": {"to": [{"address": address}]},
            "content": {"subject": subject(notice), "plainText": body(notice, *links_of(config, notice))},
        }
        # The same operation id for each try of the same mail: the service recognises a repeat.
        operation = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{notice['id']}/{address}"))
        poller = client.begin_send(message, operation_id=operation, polling_interval=_POLL_SECONDS)
        poller.wait(WAIT_SECONDS)
        if not poller.done():
            return SENT  # accepted and still being sent: to send it again would be the greater evil
        status = str(poller.result().get("status"))
        return SENT if status == "Succeeded" else failed("the mail service did not succeed")
    except HttpResponseError as error:
        code = error.status_code
        if code is not None and code < 300:  # accepted, and failed afterwards: a repeat would only be told so again
            return gave_up("accepted, but not delivered")
        return failed(f"HTTP {code}", code, retry_after_seconds(getattr(error.response, "headers", {})))
    except (AzureError, ValueError) as error:
        return failed(type(error).__name__)
