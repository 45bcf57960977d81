"""An SMTP server that keeps what it takes: aiosmtpd, with TLS, a login, and refusals."""

from __future__ import annotations

import ssl
from email import message_from_bytes, policy
from email.message import EmailMessage
from types import TracebackType
from typing import Any, Self

from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

LOGIN = ("rowpost", "hunter2")


class MailServer:
    """Takes mails at a port of this machine.

    Args:
        tls: of the server: with STARTTLS, or from the first byte if ``wrapped``.
        wrapped: whether a connection begins with TLS.
        login: whether mail is taken from who has logged in only.

    Attributes:
        mails: what was taken, in order.
        refusal: the answer to a recipient in the place of 250.
        secure: whether each mail came over TLS.
    """

    def __init__(self, tls: ssl.SSLContext | None = None, *, wrapped: bool = False, login: bool = False) -> None:
        self.mails: list[EmailMessage] = []
        self.recipients: list[list[str]] = []
        self.secure: list[bool] = []
        self.refusal: str | None = None
        self._options: dict[str, Any] = {"auth_required": login, "auth_require_tls": tls is not None and not wrapped}
        self._options |= {"authenticator": self._check} if login else {}
        self._options |= {"tls_context": tls} if tls is not None and not wrapped else {}
        self._options |= {"ready_timeout": 60, "ssl_context": tls if wrapped else None}
        self._controller = _Controller(self, hostname="127.0.0.1", port=0, **self._options)

    @property
    def port(self) -> int:
        return int(self._controller.port)

    def __enter__(self) -> Self:
        self._controller.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._controller.stop()

    def _check(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        given = (data.login.decode(), data.password.decode()) if isinstance(data, LoginPassword) else None
        return AuthResult(success=given == LOGIN, handled=False)

    # --- hooks of aiosmtpd ---

    async def handle_RCPT(self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.refusal is not None:
            return self.refusal
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:
        assert isinstance(envelope.content, bytes)
        self.mails.append(message_from_bytes(envelope.content, policy=policy.default))  # type: ignore[arg-type]
        self.recipients.append(envelope.rcpt_tos)
        self.secure.append(session.ssl is not None or self._controller.ssl_context is not None)
        return "250 OK"


class _Controller(Controller):
    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]  # known only now, when the server listens
        super()._trigger_server()
