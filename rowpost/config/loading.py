"""Reading ``relay.toml`` and checking it, once, at start. Every error is one :class:`ConfigError` that names field and remedy."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec

from rowpost.config import credentials
from rowpost.config.addresses import is_http_address
from rowpost.config.app_settings import SETTING_NAME, places, unresolved
from rowpost.config.authorities import read_authorities
from rowpost.config.batches import check_batches
from rowpost.config.errors import ConfigError
from rowpost.config.filters import check_filters
from rowpost.config.notifications import (
    REPEATED,
    SECTIONS,
    Hook,
    NotificationsConfig,
    WebhookConfig,
    check_notifications,
    own_console,
)
from rowpost.config.requests import as_plain_text, check_requests
from rowpost.config.schedules import is_schedule
from rowpost.config.sections import (
    LONGEST_IDENTIFIER,
    ApiConfig,
    Config,
    DatabaseConfig,
    RelayConfig,
    RetryConfig,
    TargetConfig,
    TelemetryConfig,
    WatchdogConfig,
)
from rowpost.config.units import Duration, Limit, Rate
from rowpost.config.vault import RE_READABLE

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,99}")  # of a target or a relay: fits an address
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HEADER_VALUE = re.compile(r"(?![ \t])[\t\x20-\x7e\x80-\xff]*")
_OF_SQL = re.compile(r"relays\[\d+\]\.where")  # a percent sign of LIKE stands for itself
_OWN_HEADERS = frozenset(
    ("accept-encoding", "connection", "content-length", "content-type", "expect", "host", "idempotency-key", "transfer-encoding")
)
_SHORTEST_TIMEOUT_SECONDS = 0.1
_EXTENSION_CANCELS_AFTER_SECONDS = 150  # the SQL trigger gives a function ten renewals of 15 s


def load_config(path: Path, settings: Mapping[str, str] = os.environ) -> Config:
    """Read, resolve and validate the file.

    Args:
        path: the TOML file.
        settings: the app settings that ``%NAME%`` refers to.

    Raises:
        ConfigError: the file is missing, is not TOML, or breaks a rule; the text names the field and the remedy.
    """
    config = parse_config(path, settings)
    for mistake in mistakes(config):
        raise ConfigError(f"{path.name}: {mistake}")
    return config


def parse_config(path: Path, settings: Mapping[str, str]) -> Config:
    """Read and resolve the file, of which only the form is checked; see :func:`load_config`.

    Raises:
        ConfigError: the file is missing, is not TOML, or a key or the type of a value is wrong.
    """
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        missing = isinstance(error, FileNotFoundError)
        remedy = "make it with `python3 dev.py init`" if missing else "put a file there that this user may read"
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); {remedy}, or point ROWPOST_CONFIG at another") from None
    except RecursionError:
        raise ConfigError(f"{path.name}: not valid TOML: nested too deeply; write it with fewer levels") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path.name}: not valid TOML: not UTF-8; save it in that encoding") from None
    except ValueError as error:  # TOMLDecodeError is one; a number or a date that Python does not have is another
        raise ConfigError(f"{path.name}: not valid TOML: {error}") from None
    _refuse_former_form(document, path.name)
    document = _resolve(document, settings, path.name, "")
    try:
        config = msgspec.convert(document, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{path.name}: {_explain(str(error))}") from None
    _read_authorities(config, path)
    if config.notifications.console_url is None:
        console = own_console(settings.get("WEBSITE_HOSTNAME", ""))
        notifications = msgspec.structs.replace(config.notifications, console_url=console)
        msgspec.structs.force_setattr(config, "notifications", notifications)  # a new one: defaults are shared
    return config


def _read_authorities(config: Config, path: Path) -> None:
    """Put the certificates in the place of the texts that may name a file."""
    smtp = config.notifications.smtp
    trusting = [*config.receivers, *([("notifications.smtp", smtp)] if smtp is not None else [])]
    for section, receiver in trusting:
        if receiver.ca is not None:
            try:
                msgspec.structs.force_setattr(receiver, "ca", read_authorities(receiver.ca, path.parent))
            except ValueError as error:
                raise ConfigError(f"{path.name}: {section}.ca: {error}") from None
        if isinstance(receiver, TargetConfig):
            try:
                credentials.read_files(receiver, path.parent)
            except ValueError as error:
                raise ConfigError(f"{path.name}: {section}.{error}") from None


def _refuse_former_form(document: dict[str, Any], file: str) -> None:
    """The form of the file before relays and targets: told with the present one."""
    for former in ("downstream", "tables"):
        if former in document:
            raise ConfigError(
                f"{file}: {former}: [downstream] is now [[targets]] with a name, and [[tables]] is now [[relays]] with `table` for "
                f'`name`; write [[targets]] name = "api" url = "…", then [[relays]] table = "dbo.Orders"'
            )
    retry = document.get("retry")
    if isinstance(retry, dict) and "notify_after_rounds" in retry:
        raise ConfigError(f"{file}: retry.notify_after_rounds: is now after_rounds in the section [notifications]; move it there")


def _resolve(value: Any, settings: Mapping[str, str], file: str, field: str) -> Any:
    """Replace ``%NAME%`` in every string by the app setting of that name."""
    if isinstance(value, dict):
        return {key: _resolve(item, settings, file, f"{field}.{key}".lstrip(".")) for key, item in value.items()}
    if isinstance(value, list):
        return [_resolve(item, settings, file, f"{field}[{index}]") for index, item in enumerate(value)]
    if not isinstance(value, str) or _OF_SQL.fullmatch(field):
        return value

    parts, end = [], 0
    for place in places(value, settings):
        found = _setting(place[1], settings, f"{file}: {field}")
        parts += [value[end : place.start()], as_plain_text(field, found)]
        end = place.end()
    text = "".join([*parts, value[end:]])
    if not parts and not RE_READABLE.fullmatch(field) and (reason := unresolved(text)) is not None:
        raise ConfigError(f"{file}: {field}: {reason}; such a reference works in an app setting only: put its %NAME% here")
    return text


def _setting(name: str, settings: Mapping[str, str], field: str) -> str:
    found = settings.get(name)
    if not found:
        raise ConfigError(
            f"{field}: the app setting {name} is missing or empty; add it to local.settings.json or to the app's configuration"
        )
    reason = unresolved(found)
    if reason is not None:
        raise ConfigError(f"{field}: the app setting {name} {reason}")
    return found


def _decode(wanted: type, value: object) -> object:
    if wanted is Duration:
        return Duration.parse(value)
    if wanted is Rate:
        return Rate.parse(value)
    if wanted is Limit:
        return Limit.parse(value)
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
        choices = _choices(get_type_hints(_section(section))[name.partition("[")[0]])
        return f"{field}: expected one of {', '.join(map(repr, choices))}"
    return f"{field}: {text[:1].lower()}{text[1:]}"


def _choices(hint: Any) -> list[Any]:
    """The values that a type allows, whether they stand alone, in a list, or with None."""
    parts = get_args(hint)
    return [choice for part in parts for choice in _choices(part)] if parts else [hint] if isinstance(hint, str) else []


def _section(field: str) -> Any:
    sections = {
        "": Config,
        "database": DatabaseConfig,
        "retry": RetryConfig,
        "notifications": NotificationsConfig,
        **{f"notifications.{name}": section for name, section in SECTIONS.items()},
        "watchdog": WatchdogConfig,
        "api": ApiConfig,
        "telemetry": TelemetryConfig,
    }
    repeated = {"targets": TargetConfig, **{f"notifications.{name}": section for name, section in REPEATED.items()}}
    under = credentials.SECTIONS.get(field.rpartition(".")[2])
    if under is not None and field.startswith(("targets[", "notifications.webhooks[")):
        return under
    return sections.get(field) or repeated.get(re.sub(r"\[\d+\].*", "", field).removesuffix("[...]"), RelayConfig)


def mistakes(config: Config) -> list[str]:
    """All that breaks the rules that types cannot say: one sentence each, with field and remedy."""
    found: list[str] = []

    def refuse(field: str, text: str) -> None:
        found.append(f"{field}: {text}")

    if not SETTING_NAME.fullmatch(config.database.connection):
        refuse("database.connection", "must be the NAME of the app setting that holds the connection string, without %")
    for section, receiver in config.receivers:
        _check_receiver(section, receiver, refuse)
    retry = config.retry
    if retry.max_delay.seconds < retry.first_delay.seconds:
        refuse("retry.max_delay", "is shorter than retry.first_delay; make it at least as long")
    if 1 < retry.factor < 1.1:
        refuse("retry.factor", "must be 1 (a fixed delay) or at least 1.1")
    if retry.first_delay.seconds < 1:
        refuse("retry.first_delay", 'is too short; use at least "1s"')
    if retry.window.seconds < retry.max_delay.seconds:
        refuse("retry.window", "is shorter than retry.max_delay; make it at least as long")
    check_notifications(config.notifications, refuse)
    for name, fingerprint in config.api.keys.items():
        if not re.fullmatch("[0-9a-fA-F]{8}", fingerprint):
            refuse(f"api.keys.{name}", "must be the first 8 digits of the key's SHA-256, not the key: printf %s KEY | sha256sum")
    for name in ("schedule", "history_schedule"):
        if not is_schedule(getattr(config.watchdog, name)):
            refuse(
                f"watchdog.{name}",
                'is not an NCRONTAB schedule, such as "0 */5 * * * *" (second, minute, hour, day, month, weekday)',
            )
    _check_targets(config, refuse)
    _check_relays(config, refuse)
    return found


def _check_receiver(section: str, receiver: TargetConfig | Hook, refuse: Any) -> None:
    if not is_http_address(receiver.url):
        refuse(f"{section}.url", "must be an http or https address")
    elif receiver.ca is not None and receiver.url.lower().startswith("http:"):
        refuse(f"{section}.ca", "is of no use with an http address; use https, or remove it")
    headers = receiver.headers if isinstance(receiver, TargetConfig | WebhookConfig) else {}
    for name, value in headers.items():
        field = f"{section}.headers.{name}"
        if not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
            refuse(field, "not a valid HTTP header; use a token as name and one line of Latin-1 text as value")
        elif name.lower() in _OWN_HEADERS or name.lower().startswith("rowpost-"):
            refuse(field, "is a header that the app sets itself; remove it")
    if len({name.lower() for name in headers}) < len(headers):
        refuse(f"{section}.headers", "names a header twice; names that differ only in case are the same")


def _check_targets(config: Config, refuse: Any) -> None:
    if not config.targets:
        refuse("targets", "is empty; add a [[targets]] section with the name and the url of the API")
    names: dict[str, int] = {}
    for index, target in enumerate(config.targets):
        field = f"targets[{index}]"
        if not _NAME.fullmatch(target.name):
            refuse(f"{field}.name", "expected a letter or a digit, then letters, digits, and any of _ . @ -; at most 100 in all")
        if target.name.lower() in names:
            refuse(f"{field}.name", f"is the same as that of targets[{names[target.name.lower()]}]; each target needs its own")
        names[target.name.lower()] = index
        credentials.check(field, target, target.url, target.headers, refuse)
        if target.gzip is not None and any(name.lower() == "content-encoding" for name in target.headers):
            refuse(f"{field}.headers", "has Content-Encoding, which the app sets itself with gzip; remove one of them")
        if target.probe.seconds < 1:
            refuse(f"{field}.probe", 'is too short; use at least "1s"')
        if target.timeout.seconds < _SHORTEST_TIMEOUT_SECONDS:
            refuse(f"{field}.timeout", 'is too short for any answer; use at least "0.1s"')
        if target.batch_budget.seconds < 1:
            refuse(f"{field}.batch_budget", 'is too short to post a row; use at least "1s"')
        longest = target.batch_budget.seconds + 2 * target.timeout.seconds
        if longest > _EXTENSION_CANCELS_AFTER_SECONDS - 30:
            refuse(
                f"{field}.batch_budget",
                f"batch_budget + 2 x timeout is {longest:g} s; keep it at or below {_EXTENSION_CANCELS_AFTER_SECONDS - 30} s, "
                f"since the SQL trigger gives up a batch after 150 s",
            )


def _check_relays(config: Config, refuse: Any) -> None:
    if not config.relays:
        refuse("relays", "is empty; add a [[relays]] section with the name of a tracked table")
    names: dict[str, int] = {}
    leases: dict[str, int] = {}
    targets = {target.name.lower() for target in config.targets}
    for index, relay in enumerate(config.relays):
        field = f"relays[{index}]"
        if not re.fullmatch(r"[^.\[\]'\"]+\.[^.\[\]'\"]+", relay.table):
            refuse(f"{field}.table", "expected schema.table without brackets or quotes, such as dbo.Orders")
        if relay.name != relay.table and not _NAME.fullmatch(relay.name):
            refuse(f"{field}.name", "expected a letter or a digit, then letters, digits, and any of _ . @ -; at most 100 in all")
        known = ", ".join(target.name for target in config.targets)
        if not targets:
            pass  # told already
        elif not relay.target:
            refuse(f"{field}.target", f"is missing, and there are several targets; name one of {known}")
        elif relay.target.lower() not in targets:
            refuse(f"{field}.target", f"there is no target {relay.target!r}; the file has {known}")
        if relay.name.lower() in names:
            refuse(
                f"{field}.name",
                f"is the same as that of relays[{names[relay.name.lower()]}]; each relay needs its own, such as "
                f'name = "{relay.table}@{relay.target}"',
            )
        names[relay.name.lower()] = index
        if relay.leases_table is not None:
            shared = leases.setdefault(relay.leases_table.lower(), index)
            if shared != index:
                refuse(f"{field}.leases_table", f"is the same as that of relays[{shared}]; each relay needs its own")
            if re.search(r"[\[\]']", relay.leases_table):
                refuse(f"{field}.leases_table", "must not contain brackets or apostrophes")
            if len(relay.leases_table.encode("utf-16-le", "surrogatepass")) > 2 * LONGEST_IDENTIFIER:
                refuse(f"{field}.leases_table", f"is longer than {LONGEST_IDENTIFIER} characters; set a shorter one")
        for what in ("send", "watch"):
            columns = getattr(relay, what)
            if columns is not None and not columns:
                refuse(f"{field}.{what}", "is empty; name columns, or remove the key to mean all")
            if columns is not None and len({column.lower() for column in columns}) < len(columns):
                refuse(f"{field}.{what}", "names a column twice")
        check_filters(field, relay, refuse)
        target = config.target(relay.target) if relay.target.lower() in targets else None
        check_requests(field, relay, target, _OWN_HEADERS | {"content-encoding"}, refuse)
        if target is not None and target.batch > 1:
            check_batches(field, relay, target, refuse)
