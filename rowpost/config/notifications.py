"""Whom to tell, and how: the sections of ``relay.toml`` under ``[notifications]``, and what is wrong with them.

A channel needs the settings of its own section, and of no other. What is a secret is named in the section's docstring.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from msgspec import Meta

from rowpost.config.addresses import is_here, is_http_address
from rowpost.config.credentials import SIGNATURE_HEADERS, Refuse, SignatureConfig, check_secret, check_signature
from rowpost.config.section import Section
from rowpost.config.units import Duration, Limit

MAIL_ADDRESS = re.compile(r"[^@\s<>,;\"]+@[^@\s<>,;\"]+")
RUNBOOK = "docs/runbook.md"
_LONGEST_TIMEOUT_SECONDS = 45  # a try takes up to four of it and a minute, and a function five minutes at most
_SHORTEST_TIMEOUT_SECONDS = 0.1
_SHORTEST_REMINDER_SECONDS = 60
_ROUTING_KEY = re.compile(r"[0-9A-Za-z]{32}")
_HOST = re.compile(r"[0-9A-Za-z._:-]{1,253}")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_PORTS = {"starttls": 587, "tls": 465, "none": 25}
_MADE_LINK = re.compile(r"[\x21-\x7e]+")


class EmailConfig(Section, frozen=True):
    """E-mail through Azure Communication Services: by connection string (a secret), or by endpoint and managed identity."""

    sender: str
    recipients: list[str]
    connection: str | None = None
    endpoint: str | None = None

    @property
    def service(self) -> tuple[str, str | None]:
        """The address of the service, and its access key; None for a managed identity.

        Raises:
            ValueError: the connection string has no address, or an empty key.
        """
        if not self.connection:
            return self.endpoint or "", None
        pairs = (part.partition("=") for part in self.connection.split(";"))
        parts = {key.strip().lower(): value.strip() for key, _, value in pairs}
        if not is_http_address(parts.get("endpoint", "")) or parts.get("accesskey") == "":
            raise ValueError(
                "expected a connection string with the keywords endpoint and accesskey (without a key: managed identity)"
            )
        return parts["endpoint"], parts.get("accesskey")


class SmtpConfig(Section, frozen=True):
    """E-mail through an SMTP server. ``security``: STARTTLS, TLS from the first byte, or none; it decides the usual port.

    ``user`` and ``password`` (a secret, or a reference to a Key Vault): without them nobody logs in. ``ca``: as of a target.
    """

    host: str
    sender: str
    recipients: list[str]
    port: Annotated[int, Meta(ge=1, le=65535)] | None = None
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str | None = None
    password: str | None = None
    ca: str | None = None

    @property
    def usual_port(self) -> int:
        """The port that is given, or that of the way of security."""
        return self.port or _PORTS[self.security]


class Hook(Section, frozen=True):
    """An address that notices are posted to: a secret if it holds one, as those of Teams and Slack do. ``ca``: as of a target."""

    url: str
    ca: str | None = None


class WebhookConfig(Hook, frozen=True):
    """A generic webhook that receives each notice as JSON. ``signature``: by Standard Webhooks, as of a target."""

    headers: dict[str, str] = {}
    signature: SignatureConfig | None = None


class TeamsConfig(Hook, frozen=True):
    """A chat or a channel of Microsoft Teams, by a workflow that begins when a webhook request is received."""


class SlackConfig(Hook, frozen=True):
    """A channel of Slack, by an incoming webhook."""


class PagerDutyConfig(Hook, frozen=True, kw_only=True):
    """A service of PagerDuty, by the Events API v2. ``routing_key`` (a secret): the integration key of the service.

    ``url`` is that of the service region US, unless it stands here: that of the EU is https://events.eu.pagerduty.com/v2/enqueue.
    """

    routing_key: str
    url: str = "https://events.pagerduty.com/v2/enqueue"


class NotificationsConfig(Section, frozen=True):
    """Whom to tell, and when; without channels nobody is told, and the log alone tells.

    An alarm goes out when a row has been failing for ``after``, or for ``after_rounds`` rounds: whichever comes first.
    ``reminder``: from an alarm to the first reminder; each further one takes twice as long. ``throttle``: so many notices a
    recipient gets, and the rest as one. ``row_keys``: whether notices name rows by their keys. ``timeout``: how long a channel has
    to connect, and to answer; as of a target.

    ``console_url``: without a value that of this app; empty for no link. ``runbook_url``: the page that explains notices and
    errors.
    """

    after: Duration = Duration(900.0)
    after_rounds: Annotated[int, Meta(ge=1, le=1_000_000)] = 10
    reminder: Duration = Duration(86400.0)
    throttle: Limit = Limit(20, 3600, "20/h")
    row_keys: bool = True
    console_url: str | None = None
    runbook_url: str = RUNBOOK
    timeout: Duration = Duration(15.0)
    email: EmailConfig | None = None
    smtp: SmtpConfig | None = None
    webhooks: list[WebhookConfig] = []
    teams: list[TeamsConfig] = []
    slack: list[SlackConfig] = []
    pagerduty: list[PagerDutyConfig] = []

    @property
    def hooks(self) -> list[tuple[str, Hook]]:
        """What notices are posted to, each with its field."""
        return [(f"notifications.{name}[{index}]", hook) for name in REPEATED for index, hook in enumerate(getattr(self, name))]


SECTIONS: dict[str, type[Section]] = {"email": EmailConfig, "smtp": SmtpConfig}
REPEATED: dict[str, type[Hook]] = {
    "webhooks": WebhookConfig,
    "teams": TeamsConfig,
    "slack": SlackConfig,
    "pagerduty": PagerDutyConfig,
}


def own_console(host: str) -> str | None:
    """The address of this app's console, by the setting ``WEBSITE_HOSTNAME``; None if that is no name of a host."""
    if not _HOST.fullmatch(host):
        return None
    return f"http{'' if is_here(host.partition(':')[0]) else 's'}://{host}/api/console"


def check_notifications(config: NotificationsConfig, refuse: Refuse) -> None:
    """Tell each mistake: one sentence, with the field and the remedy. Addresses and headers are checked with those of targets."""
    if not _SHORTEST_TIMEOUT_SECONDS <= config.timeout.seconds <= _LONGEST_TIMEOUT_SECONDS:
        refuse("notifications.timeout", f'use at least "{_SHORTEST_TIMEOUT_SECONDS}s", and at most "{_LONGEST_TIMEOUT_SECONDS}s"')
    if config.reminder.seconds < _SHORTEST_REMINDER_SECONDS:
        refuse("notifications.reminder", f'is too short; use at least "{_SHORTEST_REMINDER_SECONDS}s"')
    if config.console_url and not is_http_address(config.console_url):
        refuse("notifications.console_url", 'must be an http or https address; use "" for no link')
    if not _MADE_LINK.fullmatch(config.runbook_url) or "#" in config.runbook_url:
        refuse("notifications.runbook_url", "must be the address of a page, without # and without blanks; an anchor is added to it")
    if config.email is not None:
        _check_email(config.email, refuse)
    if config.smtp is not None:
        _check_smtp(config.smtp, refuse)
    for index, hook in enumerate(config.webhooks):
        _check_webhook(f"notifications.webhooks[{index}]", hook, refuse)
    for index, service in enumerate(config.pagerduty):
        if not _ROUTING_KEY.fullmatch(service.routing_key):
            refuse(
                f"notifications.pagerduty[{index}].routing_key",
                "must be the integration key of an Events API v2 integration, which has 32 letters and digits",
            )


def _check_email(email: EmailConfig, refuse: Refuse) -> None:
    if bool(email.connection) == bool(email.endpoint):
        refuse("notifications.email", "give either connection (a connection string) or endpoint (managed identity)")
    else:
        try:
            if not is_http_address(email.service[0]):
                refuse("notifications.email.endpoint", "must be an http or https address")
        except ValueError as error:
            refuse("notifications.email.connection", str(error))
    _check_addresses("notifications.email", email, refuse)


def _check_smtp(smtp: SmtpConfig, refuse: Refuse) -> None:
    if not _HOST.fullmatch(smtp.host):
        refuse("notifications.smtp.host", "must be the name of a mail server, without smtp:// and without a port")
    if (smtp.user is None) != (smtp.password is None):
        missing = "user" if smtp.user is None else "password"
        refuse(f"notifications.smtp.{missing}", "is missing; give both user and password, or none of them")
    for field, text in (("user", smtp.user), ("password", smtp.password)):
        if text is not None and (not text or _CONTROL.search(text)):
            refuse(
                f"notifications.smtp.{field}", "must be one line without control characters; remove the line break from the setting"
            )
    if smtp.password is not None:
        check_secret("notifications.smtp.password", smtp.password, refuse)
    if smtp.security == "none" and smtp.user is not None and not is_here(smtp.host):
        refuse("notifications.smtp.security", 'the password would be sent in the open; use "starttls" or "tls"')
    if smtp.ca is not None and smtp.security == "none":
        refuse("notifications.smtp.ca", 'is of no use without TLS; use security = "starttls" or "tls", or remove it')
    _check_addresses("notifications.smtp", smtp, refuse)


def _check_addresses(section: str, mail: EmailConfig | SmtpConfig, refuse: Refuse) -> None:
    if not mail.recipients:
        refuse(f"{section}.recipients", "is empty; name at least one address or remove the section")
    addresses = [("sender", mail.sender), *((f"recipients[{i}]", address) for i, address in enumerate(mail.recipients))]
    for name, address in addresses:
        if not MAIL_ADDRESS.fullmatch(address):
            refuse(f"{section}.{name}", "is not a mail address; write it without a name, such as dba@example.com")


def _check_webhook(section: str, hook: WebhookConfig, refuse: Refuse) -> None:
    if hook.signature is None:
        return
    for name in hook.headers:
        if name.lower() in SIGNATURE_HEADERS:
            refuse(f"{section}.headers.{name}", "is what the signature sets; remove the header")
    check_signature(f"{section}.signature.secrets", hook.signature.secrets, refuse)
