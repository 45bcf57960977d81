"""``relay.toml``: what to relay, where to, how to retry, whom to tell. Read and validated once, at start.

Every error is one :class:`ConfigError` that names the field and the remedy.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_type_hints
from urllib.parse import urlsplit

import msgspec
import requests
from msgspec import Meta

from rowpost.backoff import Backoff

if TYPE_CHECKING:
    from rowpost.connection_string import OdbcConnection

Positive = Annotated[int, Meta(ge=1)]
_DURATION = re.compile(r"([0-9]+(?:\.[0-9]+)?)(s|m|h|d)")
_UNIT_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]*")
_SETTING = re.compile(f"%({_SETTING_NAME.pattern})%")
_LONGEST_LABEL = 63  # of a host name, in characters
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?! )[\t\x20-\x7e\x80-\xff]*")
_WEAKNESSES = {  # ODBC keyword: what it lets happen
    "Encrypt": "Encrypt is off: rows and password can be read on the way; set Encrypt=True",
    "TrustServerCertificate": "TrustServerCertificate is on: any server can pose as yours; set TrustServerCertificate=False",
}
_EXTENSION_CANCELS_AFTER_SECONDS = 150  # the SQL trigger gives a function ten renewals of 15 s


class ConfigError(Exception):
    """The configuration, or the database it names, cannot be used; the text names the field and the remedy."""


class Duration:
    """A length of time, written as a number and a unit: ``"90s"``, ``"15m"``, ``"6h"``, ``"7d"``.

    A plain class: msgspec would read a Struct or a dataclass by itself, from a TOML table.
    """

    __slots__ = ("seconds",)

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    @classmethod
    def parse(cls, text: object) -> Duration:
        """Read the written form.

        Raises:
            ValueError: it is not a number above zero, followed by one of the units s, m, h, d.
        """
        match = _DURATION.fullmatch(text) if isinstance(text, str) else None
        seconds = float(match[1]) * _UNIT_SECONDS[match[2]] if match else 0.0
        if not seconds:
            raise ValueError('expected a duration above zero, such as "90s", "15m", "6h" or "7d"')
        return cls(seconds)


class _Section(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A table of the file; unknown keys are refused."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"  # settings are in it, which may be secrets


class DatabaseConfig(_Section, frozen=True):
    """``connection`` is the NAME of the app setting that holds the connection string, as the trigger binding wants it."""

    connection: str = "SqlConnectionString"


class DownstreamConfig(_Section, frozen=True):
    """The API that rows are posted to."""

    url: str
    format: Literal["cloudevents", "plain"] = "cloudevents"
    source: str = "rowpost"
    headers: dict[str, str] = {}
    timeout: Duration = Duration(10.0)
    concurrency: Annotated[int, Meta(ge=1, le=64)] = 8
    batch_budget: Duration = Duration(90.0)
    breaker_failures: Positive = 5
    probe: Duration = Duration(900.0)


class RetryConfig(_Section, frozen=True):
    """The built-in attempts, and the rounds of recovery that follow them."""

    attempts: Annotated[int, Meta(ge=1, le=5)] = 5
    strategy: Literal["exponential", "fixed"] = "exponential"
    first_delay: Duration = Duration(60.0)
    factor: Annotated[float, Meta(ge=1)] = 2.0
    max_delay: Duration = Duration(6 * 3600.0)
    window: Duration = Duration(168 * 3600.0)
    detach_after_rounds: Positive = 5
    notify_after_rounds: Positive = 10
    rejected: Literal["retry", "dead_letter"] = "retry"

    @property
    def backoff(self) -> Backoff:
        """The delays between rounds."""
        factor = self.factor if self.strategy == "exponential" else 1.0
        return Backoff(self.first_delay.seconds, factor, self.max_delay.seconds)


class EmailConfig(_Section, frozen=True):
    """E-mail through Azure Communication Services: by connection string, or by endpoint and managed identity."""

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
        if not _is_http_address(parts.get("endpoint", "")) or parts.get("accesskey") == "":
            raise ValueError("expected endpoint=https://…;accesskey=… (no key: managed identity)")
        return parts["endpoint"], parts.get("accesskey")


class WebhookConfig(_Section, frozen=True):
    """A generic webhook that receives each notification as JSON."""

    url: str
    headers: dict[str, str] = {}


class NotificationsConfig(_Section, frozen=True):
    """Whom to tell; empty means nobody, and the log alone tells."""

    email: EmailConfig | None = None
    webhooks: list[WebhookConfig] = []


class WatchdogConfig(_Section, frozen=True):
    """The timer that restarts what a crash left behind, and the clean-up of old orchestration history."""

    schedule: str = "0 */5 * * * *"
    history: Duration = Duration(30 * 86400.0)
    history_schedule: str = "0 30 3 * * *"


class TableConfig(_Section, frozen=True):
    """A tracked table. ``send`` is the ceiling of columns that may ever leave; ``watch`` narrows which updates count."""

    name: str
    send: list[str] | None = None
    watch: list[str] | None = None
    leases_table: str | None = None

    @property
    def slug(self) -> str:
        """The name in a form that fits function names, lease tables and instance ids: ASCII, and still different."""
        plain = re.sub(r"\W+", "_", self.name, flags=re.ASCII)
        return plain if self.name.isascii() else f"{plain}_{hashlib.sha256(self.name.lower().encode()).hexdigest()[:8]}"

    @property
    def function(self) -> str:
        """The name of the trigger function; part of the trigger's identity in the database."""
        return f"relay_{self.slug}"

    @property
    def lease_table(self) -> str:
        """The lease table's name in schema ``az_func``; explicit, so that a rename of the app does not start from scratch."""
        return self.leases_table or f"Leases_rowpost_{self.slug}"


class Config(_Section, frozen=True):
    """The whole file."""

    downstream: DownstreamConfig
    tables: list[TableConfig]
    database: DatabaseConfig = DatabaseConfig()
    retry: RetryConfig = RetryConfig()
    notifications: NotificationsConfig = NotificationsConfig()
    watchdog: WatchdogConfig = WatchdogConfig()

    def table(self, name: str) -> TableConfig | None:
        """The configured table of that name, compared as SQL Server would: case does not matter."""
        return next((table for table in self.tables if table.name.lower() == name.lower()), None)


def load_config(path: Path, settings: Mapping[str, str] = os.environ) -> Config:
    """Read, resolve and validate the file.

    Args:
        path: the TOML file.
        settings: the app settings that ``%NAME%`` refers to.

    Raises:
        ConfigError: the file is missing, is not TOML, or breaks a rule; the text names the field and the remedy.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); create it, or point ROWPOST_CONFIG at it") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path.name}: not valid TOML: {error}") from None
    document = _resolve(document, settings, path.name, "")
    try:
        config = msgspec.convert(document, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path.name}: {_explain(str(error))}") from None
    _check(config, path.name)
    return config


def insecure(config: Config, connection: OdbcConnection) -> list[str]:
    """Where TLS is off, or says little, on the way to another machine: one sentence each, with the field and the remedy."""
    addresses = _addresses(config)
    email = config.notifications.email
    if email is not None:
        addresses.append((f"notifications.email.{'connection' if email.connection else 'endpoint'}", email.service[0]))
    exposed = [field for field, url in addresses if urlsplit(url).scheme == "http" and not _is_here(urlsplit(url).hostname or "")]
    texts = [f"{field}: http is not encrypted, and anybody can answer; use an https address" for field in exposed]
    weak = () if _is_here(connection.host) else connection.weak
    return texts + [f"{config.database.connection}: {_WEAKNESSES[keyword]}" for keyword in weak]


def _is_here(host: str) -> bool:
    """Whether a host is this machine, by its name alone."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host.lower() in ("localhost", "localhost.", "(local)", ".")


def _addresses(config: Config) -> list[tuple[str, str]]:
    hooks = enumerate(config.notifications.webhooks)
    return [("downstream.url", config.downstream.url), *((f"notifications.webhooks[{i}].url", hook.url) for i, hook in hooks)]


def _resolve(value: Any, settings: Mapping[str, str], file: str, field: str) -> Any:
    """Replace ``%NAME%`` in every string by the app setting of that name."""
    if isinstance(value, dict):
        return {key: _resolve(item, settings, file, f"{field}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, settings, file, f"{field}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str):
        return value

    def setting(match: re.Match[str]) -> str:
        found = settings.get(match[1])
        if not found:
            raise ConfigError(
                f"{file}: {field}: the app setting {match[1]} is missing or empty; "
                f"add it to local.settings.json or to the app's configuration"
            )
        return found

    return _SETTING.sub(setting, value)


def _decode(wanted: type, value: object) -> object:
    if wanted is Duration:
        return Duration.parse(value)
    raise TypeError(f"unexpected {wanted}")


def _explain(message: str) -> str:
    """msgspec's message, with the field in front and, for an unknown key, the known ones as the remedy."""
    text, _, path = message.partition(" - at ")
    field = path.strip("`").removeprefix("$").lstrip(".")
    unknown = re.match(r"Object contains unknown field `(.+)`", text)
    if unknown:
        known = ", ".join(_section(field).__struct_fields__)
        return f"{f'{field}.' if field else ''}{unknown[1]}: unknown key; known here: {known}"
    missing = re.match(r"Object missing required field `(.+)`", text)
    if missing:
        return f"{f'{field}.' if field else ''}{missing[1]}: missing; add it"
    if text.startswith("Invalid enum value"):  # msgspec quotes the value, which may be a setting's
        section, _, name = field.rpartition(".")
        choices = get_args(get_type_hints(_section(section))[name])
        return f"{field}: expected one of {', '.join(map(repr, choices))}"
    return f"{field}: {text[:1].lower()}{text[1:]}"


def _section(field: str) -> Any:
    return {
        "": Config,
        "database": DatabaseConfig,
        "downstream": DownstreamConfig,
        "retry": RetryConfig,
        "notifications": NotificationsConfig,
        "notifications.email": EmailConfig,
        "watchdog": WatchdogConfig,
    }.get(field, WebhookConfig if "webhooks" in field else TableConfig)


def _is_http_address(text: str) -> bool:
    try:
        requests.Request("POST", text).prepare()
        parts = urlsplit(text)
        labels = (parts.hostname or "").removesuffix(".").split(".")
        named = all(0 < len(label) <= _LONGEST_LABEL for label in labels)
        return parts.scheme in ("http", "https") and named and parts.port != 0 and not re.search(r"\s", text)
    except (ValueError, requests.RequestException):  # brackets without an IPv6 address, or a port that is none
        return False


def _check(config: Config, file: str) -> None:
    """The rules that types cannot say."""

    def refuse(field: str, text: str) -> None:
        raise ConfigError(f"{file}: {field}: {text}")

    if not _SETTING_NAME.fullmatch(config.database.connection):
        refuse("database.connection", "must be the NAME of the app setting that holds the connection string, without %")
    for field, url in _addresses(config):
        if not _is_http_address(url):
            refuse(field, "must be an http or https address")
    headers = [("downstream.headers", config.downstream.headers)]
    headers += [(f"notifications.webhooks[{i}].headers", hook.headers) for i, hook in enumerate(config.notifications.webhooks)]
    for field, values in headers:
        for name, value in values.items():
            if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
                refuse(f"{field}.{name}", "not a valid HTTP header; use a token as name and one line of Latin-1 text as value")
    retry, downstream = config.retry, config.downstream
    if retry.max_delay.seconds < retry.first_delay.seconds:
        refuse("retry.max_delay", "is shorter than retry.first_delay; make it at least as long")
    if 1 < retry.factor < 1.1:
        refuse("retry.factor", "must be 1 (a fixed delay) or at least 1.1")
    if retry.first_delay.seconds < 1:
        refuse("retry.first_delay", 'is too short; use at least "1s"')
    if downstream.probe.seconds < 1:
        refuse("downstream.probe", 'is too short; use at least "1s"')
    if retry.window.seconds < retry.max_delay.seconds:
        refuse("retry.window", "is shorter than retry.max_delay; make it at least as long")
    if downstream.batch_budget.seconds + 2 * downstream.timeout.seconds > _EXTENSION_CANCELS_AFTER_SECONDS - 30:
        refuse(
            "downstream.batch_budget",
            f"batch_budget + 2 x timeout is {downstream.batch_budget.seconds + 2 * downstream.timeout.seconds:g} s; keep it "
            f"at or below {_EXTENSION_CANCELS_AFTER_SECONDS - 30} s, since the SQL trigger gives up a batch after 150 s",
        )
    email = config.notifications.email
    if email is not None and bool(email.connection) == bool(email.endpoint):
        refuse("notifications.email", "give either connection (a connection string) or endpoint (managed identity)")
    if email is not None:
        try:
            if not _is_http_address(email.service[0]):
                refuse("notifications.email.endpoint", "must be an http or https address")
        except ValueError as error:
            raise ConfigError(f"{file}: notifications.email.connection: {error}") from None
    if email is not None and not email.recipients:
        refuse("notifications.email.recipients", "is empty; name at least one address or remove the section")
    if not config.tables:
        refuse("tables", "is empty; add a [[tables]] section with the name of a tracked table")
    _check_tables(config, refuse)


def _check_tables(config: Config, refuse: Any) -> None:
    names: dict[str, int] = {}
    slugs: dict[str, int] = {}
    leases: dict[str, int] = {}
    for index, table in enumerate(config.tables):
        field = f"tables[{index}]"
        if not re.fullmatch(r"[^.\[\]'\"]+\.[^.\[\]'\"]+", table.name):
            refuse(f"{field}.name", "expected schema.table without brackets or quotes, such as dbo.Orders")
        for seen, key, what in (
            (names, table.name.lower(), "name"),
            (slugs, table.slug.lower(), "name"),
            (leases, table.lease_table.lower(), "leases_table"),
        ):
            if key in seen:
                refuse(f"{field}.{what}", f"is the same as that of tables[{seen[key]}]; each table needs its own")
            seen[key] = index
        if re.search(r"[\[\]']", table.lease_table):
            refuse(f"{field}.leases_table", "must not contain brackets or apostrophes")
        for what in ("send", "watch"):
            columns = getattr(table, what)
            if columns is not None and not columns:
                refuse(f"{field}.{what}", "is empty; name columns, or remove the key to mean all")
            if columns is not None and len({column.lower() for column in columns}) < len(columns):
                refuse(f"{field}.{what}", "names a column twice")
