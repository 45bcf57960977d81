"""Emulator of Azure Communication Services e-mail: ``python -m emulators.email_service --clock real --port 0``.

Speaks what azure-communication-email 1.x sends:

* ``POST /emails:send?api-version=…`` answers 202 with ``Operation-Location``, ``Retry-After`` and ``{"id", "status"}``;
* ``GET /emails/operations/{id}`` answers ``Running``, then ``Succeeded``, or ``Failed`` with an error;
* both ask for an ``Authorization`` header (HMAC-SHA256 or bearer), whose signature is not verified.

The header ``Operation-Id`` (a GUID) makes a send repeatable: the same id again answers as the first time and delivers
nothing, the same id with another message is answered 400.

Control, under ``/_control`` (the class :class:`EmailService` has the same as methods):

==============  ========================================================================================================
POST mode       ``{"mode": "up" | "down", "status": 503, "retry_after": s, "answer": "normal" | "reset_after_accept"}``
POST faults     a list of :class:`Fault`, replaces the present ones; the first that matches a recipient decides
GET messages    what was delivered (``?mailbox=`` to one mailbox), see :class:`Message`
GET attempts    every send that was asked for: instant, recipients, operation id, answered status
POST reset      forget everything, answer normally again
==============  ========================================================================================================

**Plain HTTP.** ``EmailClient.from_connection_string`` drops the scheme of the endpoint and speaks HTTPS always; a
client for this emulator is made with ``EmailClient("http://127.0.0.1:port", AzureKeyCredential(base64 key))``. A token
credential is refused by azure-core over plain HTTP unless ``enforce_https=False`` is given with the call.

**Waiting.** The SDK's poller asks for the status at once, and then sleeps real time between two questions, by
Retry-After or 30 s. An operation here has ended when it is first asked about, unless ``running_seconds`` of the clock
are set. The SDK's retry policy also sleeps real time: it tries again on 429 and 5xx, and on any error with a
Retry-After header, up to ``retry_total`` (10) times; a caller that schedules its own retries sets that to 0.

Differences from the real service: what it answers to a repeated ``Operation-Id`` is not documented for that header (its
documentation of repeatable requests says: the first answer again, and 400 for another body); users report that it
delivers once. Nothing is checked about the sender's domain; quotas exist only as faults; ids are remembered for ever.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import simplejson

from emulators.clock import Clock
from emulators.controls import made
from emulators.email_service.faults import EmailMode, Fault
from emulators.email_service.message import EmailAttempt, Message, addresses
from emulators.http_server import Answer, BadRequest, Hangup, HttpServer, Request, to_json

_STATUS_PATH = "/emails/operations/"


class EmailService:
    """The service, in this process.

    Args:
        clock: instants of the record, and of faults that end by themselves.
        data: file of JSON lines that keeps accepted messages; None keeps them in memory only.
        running_seconds: so long after its acceptance an operation says ``Running``.
        host: the address to listen on.
    """

    def __init__(self, clock: Clock, data: Path | None = None, running_seconds: float = 0.0, host: str = "127.0.0.1") -> None:
        self.clock = clock
        self.running_seconds = running_seconds
        self.mode = EmailMode()
        self.faults: list[Fault] = []
        self._data = data
        self._messages: dict[str, Message] = {}
        self._attempts: list[EmailAttempt] = []
        self._changed = threading.Condition()
        self._server = HttpServer(clock, self._answer, host)
        if data is not None and data.exists():
            whole = data.read_bytes()
            complete = whole[: whole.rfind(b"\n") + 1]  # a kill can leave an incomplete last line
            data.write_bytes(complete)
            for line in complete.decode().splitlines():
                message = Message(**simplejson.loads(line))
                self._messages[message.operation_id] = message

    # --- life ---

    def start(self, port: int = 0) -> int:
        """Serve on ``port`` (0: the port of the last time, or any free one); returns the port."""
        return self._server.start(port)

    def stop(self) -> None:
        """End all connections; the state stays, and :meth:`start` serves it again at the same port."""
        self._server.stop()

    close = stop

    def __enter__(self) -> EmailService:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """Without a slash at its end."""
        return f"http://127.0.0.1:{self._server.port}"

    @property
    def connection_string(self) -> str:
        """As the portal shows it, but for the scheme; see the note on plain HTTP above."""
        return f"endpoint={self.url}/;accesskey=cm93cG9zdC1lbXVsYXRvcg=="

    # --- control ---

    def set_mode(self, mode: str = "up", **values: Any) -> None:
        """Behave so from now on; values as in :class:`EmailMode`."""
        with self._changed:
            self.mode = made(EmailMode, {"mode": mode, **values})

    def add_fault(self, **values: Any) -> Fault:
        """One more fault, after the present ones; values as in :class:`Fault`."""
        with self._changed:
            self.faults.append(made(Fault, values))
            return self.faults[-1]

    def set_faults(self, faults: list[dict[str, Any]]) -> None:
        """Replace the faults."""
        with self._changed:
            self.faults = [made(Fault, fault) for fault in faults]

    def reset(self) -> None:
        """Forget all that came, answer normally again."""
        with self._changed:
            self.mode, self.faults = EmailMode(), []
            self._messages.clear()
            self._attempts.clear()
            if self._data is not None:
                self._data.unlink(missing_ok=True)

    # --- what came ---

    def messages(self, mailbox: str | None = None) -> list[Message]:
        """Delivered messages (to one mailbox, in any case), oldest first."""
        with self._changed:
            return [
                message
                for message in self._messages.values()
                if message.failure is None
                and (mailbox is None or mailbox.lower() in (address.lower() for address in message.recipients))
            ]

    def attempts(self) -> list[EmailAttempt]:
        """Every send that was asked for, oldest first."""
        with self._changed:
            return list(self._attempts)

    def wait_for(self, condition: Callable[[], bool], timeout_seconds: float = 30.0) -> None:
        """Wait until ``condition()`` holds; it is asked again after every send.

        Raises:
            TimeoutError: it did not within ``timeout_seconds`` of real time.
        """
        with self._changed:
            if not self._changed.wait_for(condition, timeout_seconds):
                raise TimeoutError(f"not within {timeout_seconds} s; attempts: {self._attempts[-5:]}")

    # --- answering ---

    def _answer(self, request: Request) -> Answer:
        if request.path.startswith("/_control/"):
            return self._control(request)
        send = (request.method, request.path) == ("POST", "/emails:send")
        if not send and not (request.method == "GET" and request.path.startswith(_STATUS_PATH)):
            return _error(404, "NotFound", f"{request.method} {request.path} is not part of this API.")
        with self._changed:
            answer = self._refusal(request) or (self._send(request) if send else self._status(request))
            if send:
                self._record(request, answer.status or None)
                self._changed.notify_all()
        if answer.status == 0:
            raise Hangup
        return answer

    def _refusal(self, request: Request) -> Answer | None:
        if self.mode.mode == "down":
            return _error(self.mode.status, "ServiceUnavailable", "Not available.", self.mode.retry_after)
        authorization = request.headers.get("Authorization", "")
        if not authorization.startswith(("HMAC-SHA256 SignedHeaders=", "Bearer ")):
            return _error(401, "Denied", "Denied by the resource provider.")
        if not request.query.get("api-version"):
            return _error(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
        return None

    def _send(self, request: Request) -> Answer:
        try:
            operation_id = str(uuid.UUID(request.headers.get("Operation-Id", str(uuid.uuid4()))))
        except ValueError:
            return _error(400, "BadRequest", "Operation-Id is not a GUID.")
        try:
            body = request.json()
            problem = _problem(body)
        except BadRequest as error:
            problem = str(error)
        if problem:
            return _error(400, "BadRequest", problem)
        known = self._messages.get(operation_id)
        if known is not None:
            if known.request != body:
                return _error(400, "BadRequest", "This Operation-Id belongs to another message.")
            return self._accepted(known, request)
        fault = self._fault_for(addresses(body))
        if fault is not None and fault.kind == "throttle":
            return _error(429, fault.code or "TooManyRequests", "Rate limit reached.", fault.retry_after)
        if fault is not None and fault.kind == "reject":
            return _error(400, fault.code or "InvalidEmailAddress", "A recipient's address is invalid.")
        content = body["content"]
        message = Message(
            operation_id=operation_id,
            at=self.clock.now().isoformat(),
            sender=body["senderAddress"],
            to=[entry["address"] for entry in body["recipients"].get("to") or []],
            subject=content["subject"],
            plain_text=content.get("plainText"),
            html=content.get("html"),
            failure=None if fault is None else fault.code or "EmailDropped",
            request=body,
        )
        if self._data is not None:
            with self._data.open("a", encoding="utf-8", newline="\n") as handle:
                handle.write(to_json(asdict(message)) + "\n")
        self._messages[operation_id] = message
        return Answer(0) if self.mode.answer == "reset_after_accept" else self._accepted(message, request)

    def _fault_for(self, recipients: list[str]) -> Fault | None:
        for fault in self.faults:
            if fault.applies(recipients, self.clock.now()):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return None

    def _accepted(self, message: Message, request: Request) -> Answer:
        address = request.headers.get("Host") or self.url.removeprefix("http://")  # the name that the client knows us by
        location = f"http://{address}{_STATUS_PATH}{message.operation_id}?api-version=2023-03-31"
        headers = {"Operation-Location": location, "Retry-After": str(max(1, round(self.running_seconds)))}
        return Answer(202, {"id": message.operation_id, "status": "Running", "error": None}, headers)

    def _status(self, request: Request) -> Answer:
        message = self._messages.get(request.path.removeprefix(_STATUS_PATH).lower())
        if message is None:
            return _error(404, "MessageNotFound", "No operation has this id.")
        left = datetime.fromisoformat(message.at) + timedelta(seconds=self.running_seconds) - self.clock.now()
        if left > timedelta(0):
            seconds = max(1, round(left.total_seconds()))
            body: dict[str, Any] = {"id": message.operation_id, "status": "Running", "error": None}
            return Answer(200, body, {"Retry-After": str(seconds)})
        body = {"id": message.operation_id, "status": "Succeeded", "error": None}
        if message.failure is not None:
            error = {"code": message.failure, "message": "Email was dropped after several attempts to deliver."}
            body |= {"status": "Failed", "error": error}
        return Answer(200, body)

    def _record(self, request: Request, status: int | None) -> None:
        try:
            body = request.json()
            recipients, subject = addresses(body), body["content"]["subject"]
        except (BadRequest, AttributeError, KeyError, TypeError):
            recipients, subject = [], None
        operation_id = request.headers.get("Operation-Id")
        number = len(self._attempts) + 1
        now = self.clock.now().isoformat()
        self._attempts.append(EmailAttempt(number, now, operation_id, recipients, subject, status))

    # --- control over HTTP ---

    def _control(self, request: Request) -> Answer:
        action = (request.method, request.path.removeprefix("/_control/"))
        if action == ("POST", "mode"):
            self.set_mode(**request.json())
        elif action == ("POST", "faults"):
            self.set_faults(request.json())
        elif action == ("POST", "reset"):
            self.reset()
        elif action == ("GET", "messages"):
            return Answer(200, [asdict(message) for message in self.messages(request.query.get("mailbox"))])
        elif action == ("GET", "attempts"):
            return Answer(200, [asdict(attempt) for attempt in self.attempts()])
        else:
            return Answer(404, {"error": f"no such control: {request.method} {request.path}"})
        return Answer(204)


def _problem(body: Any) -> str | None:
    """What is wrong with a message, or None."""
    if not isinstance(body, dict):
        return "The body is not a message."
    sender, content, recipients = body.get("senderAddress"), body.get("content"), body.get("recipients")
    if not isinstance(sender, str) or "@" not in sender:
        return "senderAddress is not an e-mail address."
    if not isinstance(content, dict) or not isinstance(content.get("subject"), str):
        return "content.subject is required."
    if not (content.get("plainText") or content.get("html")):
        return "content.plainText or content.html is required."
    if not isinstance(recipients, dict):
        return "recipients is required."
    for kind in ("to", "cc", "bcc"):
        for entry in recipients.get(kind) or []:
            if not isinstance(entry, dict) or "@" not in str(entry.get("address")):
                return f"recipients.{kind} holds something that is not an e-mail address."
    return None if addresses(body) else "At least one recipient is required."


def _error(status: int, code: str, message: str, retry_after: int | None = None) -> Answer:
    headers = {"x-ms-error-code": code} | ({} if retry_after is None else {"Retry-After": str(retry_after)})
    return Answer(status, {"error": {"code": code, "message": message}}, headers)
