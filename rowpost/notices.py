"""Telling people: what a notice says, and sending it to one recipient. When and to whom is decided by the orchestrations."""

from __future__ import annotations

import threading
import uuid
from typing import Any, Literal, NotRequired, TypedDict

import requests

from rowpost.app import App
from rowpost.delivery import retry_after_seconds
from rowpost.ledger import to_json

Kind = Literal["alarm", "dead_letter", "recovered", "gap", "retention", "stalled"]
_TIMEOUT_SECONDS = 15
_MAIL_POLL_SECONDS = 1  # the first look at a mail that is being sent; the service's own advice, when given, wins
_MAIL_WAIT_SECONDS = 60
_SEND_SECONDS = 120  # of one try: longer than all of the above, and well below the host's functionTimeout, which ends the process


class Notice(TypedDict):
    """A digest of one event in the life of an incident; never holds row values. Times are ISO 8601, UTC.

    ``versions`` are the first and last change version that it is about, if it is about versions and not about rows.
    """

    id: str
    kind: Kind
    table: str
    rows: int
    round: int
    since: str | None
    at: str
    last_error: str | None
    versions: NotRequired[list[int]]


class Recipient(TypedDict):
    """One address on one channel. ``index`` is the webhook's place in the configuration."""

    channel: Literal["email", "webhook"]
    address: str
    index: int


class Sent(TypedDict):
    """The result of one try: sent, or why not and how long to wait at least; ``final`` if trying again is useless."""

    sent: bool
    final: bool
    retry_after_seconds: int | None
    error: str | None


_SENT: Sent = {"sent": True, "final": True, "retry_after_seconds": None, "error": None}


def recipients(app: App) -> list[Recipient]:
    """Everybody who is to be told."""
    notifications = app.config.notifications
    people: list[Recipient] = []
    if notifications.email is not None:
        people += [{"channel": "email", "address": address, "index": 0} for address in notifications.email.recipients]
    people += [{"channel": "webhook", "address": f"webhook {i + 1}", "index": i} for i in range(len(notifications.webhooks))]
    return people


def subject(notice: Notice) -> str:
    """The subject line of a notice."""
    rows = f"{notice['rows']} row{'' if notice['rows'] == 1 else 's'}"
    first, last = notice.get("versions", (0, 0))
    return {
        "gap": f"[Rowpost] {notice['table']}: changes {first} to {last} may be lost",
        "retention": f"[Rowpost] {notice['table']}: changes wait since {notice['since']} and may be lost soon",
        "stalled": f"[Rowpost] {notice['table']}: the trigger stands still, restart the function app",
        "alarm": f"[Rowpost] {notice['table']}: {rows} not delivered since {notice['since']}",
        "dead_letter": f"[Rowpost] {notice['table']}: {rows} given up (dead letters)",
        "recovered": f"[Rowpost] {notice['table']}: delivery has recovered",
    }[notice["kind"]]


def body(notice: Notice) -> str:
    """The plain text of a notice."""
    first, last = notice.get("versions", (0, 0))
    what = {
        "gap": f"SQL Server no longer has the changes {first} to {last} of {notice['table']}, which were not handed out before: "
        f"the change retention was over, the table was truncated, or its change tracking was off. Which rows they were cannot be "
        f"known any more. Send the table's present rows with POST /api/tables/{notice['table']}/resync; rows that were deleted "
        f"then must be compared by hand.",
        "retention": f"The trigger of {notice['table']} has not come to changes {first} to {last}, and more than half of the "
        f"change retention has passed. Mend the trigger, or raise CHANGE_RETENTION, before they are removed.",
        "stalled": f"The trigger of {notice['table']} hands nothing out, though changes {first} to {last} are waiting: it ended "
        f"without a word, or fails at every look. Restart the function app; the host's log tells why. Until then recovery delivers "
        f"what waits, some minutes late.",
        "alarm": f"Rows of {notice['table']} are not delivered after {notice['round']} rounds of recovery. Rowpost keeps trying.",
        "dead_letter": f"Rows of {notice['table']} could not be delivered within the retry window. They stand in the dead letters; "
        f"mend the cause, then replay them with POST /api/tables/{notice['table']}/dead-letters/replay.",
        "recovered": f"All rows of {notice['table']} that were failing are delivered or given up. Nothing is waiting any more.",
    }[notice["kind"]]
    lines = [what, "", f"Table: {notice['table']}", f"Rows: {notice['rows']}", f"Failing since: {notice['since'] or '-'}"]
    if "versions" in notice:
        lines = [what, "", f"Table: {notice['table']}", f"Change versions: {first} to {last}"]
        lines += [f"Waiting since: {notice['since']}"] if notice["kind"] == "stalled" else []
    lines += [f"As of: {notice['at']}", f"Last error: {notice['last_error'] or '-'}", f"Notice: {notice['id']}"]
    return "\n".join(lines)


def send(app: App, notice: Notice, recipient: Recipient) -> Sent:
    """Send a notice to one recipient: one try, never raising for a failure of the channel, and over after two minutes."""
    result: list[Sent] = []
    thread = threading.Thread(target=lambda: result.append(_send(app, notice, recipient)), name="rowpost-notice", daemon=True)
    thread.start()
    thread.join(_SEND_SECONDS)  # a channel that answers byte by byte can hold a thread for ever: it is left to it
    return result[0] if result else _failure("no answer in time", None, None)


def _send(app: App, notice: Notice, recipient: Recipient) -> Sent:
    try:
        if recipient["channel"] == "email":
            return _send_email(app, notice, recipient["address"])
        return _send_webhook(app, notice, recipient["index"])
    except Exception as error:  # whatever a channel's library raises, it must not silence the other channels
        return _failure(type(error).__name__, None, None)


def _send_webhook(app: App, notice: Notice, index: int) -> Sent:
    hooks = app.config.notifications.webhooks
    if index >= len(hooks):
        return {"sent": False, "final": True, "retry_after_seconds": None, "error": "the webhook is no longer configured"}
    headers = {"Content-Type": "application/json", "Idempotency-Key": notice["id"], **hooks[index].headers}
    document = {**notice, "subject": subject(notice), "text": body(notice)}
    session = requests.Session()
    session.trust_env = False  # no credentials from a .netrc, no proxy by surprise
    try:
        with session.post(
            hooks[index].url, to_json(document), headers=headers, timeout=_TIMEOUT_SECONDS, allow_redirects=False, stream=True
        ) as response:
            if 200 <= response.status_code < 300:
                return _SENT
            return _failure(f"HTTP {response.status_code}", response.status_code, retry_after_seconds(response.headers))
    except requests.RequestException as error:
        return _failure(type(error).__name__, None, None)


def _send_email(app: App, notice: Notice, address: str) -> Sent:
    # Imported here: the SDK costs more at a cold start than all of the app, and mails are rare.
    from azure.communication.email import EmailClient
    from azure.core.credentials import AzureKeyCredential
    from azure.core.exceptions import AzureError, HttpResponseError

    config = app.config.notifications.email
    if config is None:
        return {"sent": False, "final": True, "retry_after_seconds": None, "error": "e-mail is no longer configured"}
    try:
        # Retries are the orchestration's: its timers cost nothing while they wait, and outlive the process. Else as webhooks.
        options = {"retry_total": 0, "connection_timeout": _TIMEOUT_SECONDS, "read_timeout": _TIMEOUT_SECONDS}
        options |= {"permit_redirects": False, "use_env_settings": False}
        endpoint, key = config.service
        if key is not None:  # not from_connection_string: it drops the scheme, and speaks HTTPS to a local service too
            client = EmailClient(endpoint, AzureKeyCredential(key), **options)
        else:
            from azure.identity import DefaultAzureCredential

            client = EmailClient(endpoint, DefaultAzureCredential(), **options)
        message: dict[str, Any] = {
            "senderAddress": config.sender,
            "recipients": {"to": [{"address": address}]},
            "content": {"subject": subject(notice), "plainText": body(notice)},
        }
        # The same operation id for each try of the same mail: the service recognises a repeat.
        operation = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{notice['id']}/{address}"))
        poller = client.begin_send(message, operation_id=operation, polling_interval=_MAIL_POLL_SECONDS)
        poller.wait(_MAIL_WAIT_SECONDS)
        if not poller.done():
            return _SENT  # accepted and still being sent: to send it again would be the greater evil
        status = str(poller.result().get("status"))
        return _SENT if status == "Succeeded" else _failure("the mail service did not succeed", None, None)
    except HttpResponseError as error:
        code = error.status_code
        if code is not None and code < 300:  # accepted, and failed afterwards: a repeat would only be told so again
            return {"sent": False, "final": True, "retry_after_seconds": None, "error": "accepted, but not delivered"}
        return _failure(f"HTTP {code}", code, retry_after_seconds(getattr(error.response, "headers", {})))
    except (AzureError, ValueError) as error:
        return _failure(type(error).__name__, None, None)


def _failure(error: str, status: int | None, retry_after: int | None) -> Sent:
    final = status is not None and 400 <= status < 500 and status not in (401, 403, 408, 425, 429)
    return {"sent": False, "final": final, "retry_after_seconds": retry_after, "error": error}
