"""Reading ``relay.toml`` and checking it, once, at start. Every error is one :class:`ConfigError` that names field and remedy."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from rowpost.config.addresses import is_http_address
from rowpost.config.errors import ConfigError
from rowpost.config.sections import (
    Config,
    DatabaseConfig,
    DownstreamConfig,
    Duration,
    EmailConfig,
    NotificationsConfig,
    RetryConfig,
    TableConfig,
    WatchdogConfig,
    WebhookConfig,
)

_SETTING_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_:.-]*")
_SETTING = re.compile(f"%({_SETTING_NAME.pattern})%")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?! )[\t\x20-\x7e\x80-\xff]*")
_EXTENSION_CANCELS_AFTER_SECONDS = 150  # the SQL trigger gives a function ten renewals of 15 s


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


def _check(config: Config, file: str) -> None:
    """The rules that types cannot say."""

    def refuse(field: str, text: str) -> None:
        raise ConfigError(f"{file}: {field}: {text}")

    if not _SETTING_NAME.fullmatch(config.database.connection):
        refuse("database.connection", "must be the NAME of the app setting that holds the connection string, without %")
    for field, url in config.addresses:
        if not is_http_address(url):
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
            if not is_http_address(email.service[0]):
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
