"""Notices by e-mail through an SMTP server."""

from __future__ import annotations

import smtplib
import socket
import ssl
import uuid
from datetime import UTC, datetime
from email import policy
from email.message import EmailMessage
from email.utils import format_datetime

from rowpost.auth.failures import CredentialError
from rowpost.auth.secrets import Secret
from rowpost.config.authorities import trusting
from rowpost.config.notifications import NotificationsConfig, SmtpConfig
from rowpost.notices.channel import SENT, Sent, failed, gave_up
from rowpost.notices.links import links_of
from rowpost.notices.message import Notice, body, subject

_LINE = 200  # characters of a subject
_UNFOLDED = policy.SMTP.clone(max_line_length=900)  # RFC 5322 allows 998: a folded subject begins with a blank in some mailboxes
_LATE, _CLOSED = "no answer in time", "connection failed or was closed by the mail server"
# RFC 5321, section 4.2.1, and RFC 4954: a code of 5yz is final, unless it is about who calls, or what this session lacks.
_OF_THE_LOGIN = frozenset((530, 534, 535, 538))


def addresses(config: NotificationsConfig) -> list[str]:
    """Everybody who gets a mail."""
    return config.smtp.recipients if config.smtp is not None else []


def send(config: NotificationsConfig, notice: Notice, address: str, index: int) -> Sent:
    """Send a notice to one address."""
    smtp, seconds = config.smtp, config.timeout.seconds
    if smtp is None:
        return gave_up("e-mail by SMTP is no longer configured")
    try:
        with _connected(smtp, seconds) as server:
            if smtp.user is not None and smtp.password is not None:
                server.login(smtp.user, Secret(smtp.password, seconds).held().value)
            server.send_message(message(config, smtp, notice, address), smtp.sender, [address])
        return SENT
    except smtplib.SMTPRecipientsRefused as error:
        code, _ = error.recipients.get(address, (0, b""))
        return _refused(code)
    except smtplib.SMTPResponseException as error:
        return _refused(error.smtp_code)
    except smtplib.SMTPNotSupportedError:
        return failed("the mail server does not offer what is needed: STARTTLS, a login, or addresses beyond ASCII")
    except smtplib.SMTPServerDisconnected as error:  # also where the time limit of the socket has ended it
        return failed(_LATE if isinstance(error.__context__, TimeoutError) else _CLOSED)
    except CredentialError as error:
        return failed(str(error), retry_after=error.retry_after_seconds)
    except ssl.SSLError:
        return failed("TLS failure: the certificate or the protocol of the mail server was not accepted")
    except TimeoutError:
        return failed(_LATE)
    except OSError:
        return failed(_CLOSED)


def message(config: NotificationsConfig, smtp: SmtpConfig, notice: Notice, address: str) -> EmailMessage:
    """The mail. Each try of the same notice to the same address has the same Message-ID: mailboxes recognise a repeat."""
    mail = EmailMessage(_UNFOLDED)
    mail["From"], mail["To"] = smtp.sender, address
    mail["Subject"] = subject(notice)[:_LINE]
    name = uuid.uuid5(uuid.NAMESPACE_URL, f"{notice['id']}/{address}")
    mail["Message-ID"] = f"<{name}@{smtp.sender.rpartition('@')[2]}>"
    if notice["at"]:
        mail["Date"] = format_datetime(datetime.fromisoformat(notice["at"][:19]).replace(tzinfo=UTC))
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's absence answers it
    mail.set_content(body(notice, *links_of(config, notice)))
    return mail


def _connected(smtp: SmtpConfig, seconds: float) -> smtplib.SMTP:
    """A connection that is encrypted, if it is configured so. smtplib would ask DNS for the name that it says hello with."""
    here = socket.gethostname() or "localhost"
    trust = ssl.create_default_context() if smtp.ca is None else trusting(smtp.ca)
    if smtp.security == "tls":
        return smtplib.SMTP_SSL(smtp.host, smtp.usual_port, here, timeout=seconds, context=trust)
    server = smtplib.SMTP(smtp.host, smtp.usual_port, here, timeout=seconds)
    if smtp.security == "starttls":
        try:
            server.starttls(context=trust)
        except BaseException:
            server.close()
            raise
    return server


def _refused(code: int) -> Sent:
    text = f"SMTP {code}"
    return gave_up(text) if 500 <= code < 600 and code not in _OF_THE_LOGIN else failed(text)
