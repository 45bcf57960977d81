"""What configures an app: host.json, local.settings.json and overrides, with the precedence of the local tools."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any


class ConfigurationError(Exception):
    """The app cannot start or a function cannot listen: the message says why."""


_PERCENT = re.compile(r"%([^%\s]+)%")
_TIME_SPAN = re.compile(r"(?P<sign>-)?(?:(?P<days>\d+)\.)?(?P<h>\d{1,2}):(?P<m>\d{2}):(?P<s>\d{2})(?P<fraction>\.\d{1,7})?")
_CONNECTION_NAMES = (
    "ConnectionStrings:{}",
    "ConnectionStrings__{}",
    "SQLCONNSTR_{}",
    "SQLAZURECONNSTR_{}",
    "CUSTOMCONNSTR_{}",
    "{}",
)


def parse_time_span(text: str) -> timedelta:
    """The duration that a .NET TimeSpan text ``[-][d.]hh:mm:ss[.fffffff]`` names.

    Raises:
        ValueError: another form.
    """
    match = _TIME_SPAN.fullmatch(text.strip())
    if match is None or int(match["h"]) > 23 or int(match["m"]) > 59 or int(match["s"]) > 59:
        raise ValueError(f"{text!r} is not a time span [d.]hh:mm:ss")
    duration = timedelta(
        days=int(match["days"] or 0),
        hours=int(match["h"]),
        minutes=int(match["m"]),
        seconds=float(match["s"] + (match["fraction"] or "")),
    )
    return -duration if match["sign"] else duration


def _read_json(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist") from None
    except (OSError, ValueError) as problem:
        raise ConfigurationError(f"{path}: {problem}") from None
    if not isinstance(document, dict):
        raise ConfigurationError(f"{path}: the root must be an object")
    return document


def load_host_json(app: Path) -> dict[str, Any]:
    """The content of host.json.

    Raises:
        ConfigurationError: missing, not JSON, or not of version 2.0.
    """
    document = _read_json(app / "host.json")
    if document.get("version") != "2.0":
        raise ConfigurationError(f'{app / "host.json"}: version must be "2.0"')
    return document


def section(host_json: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """The nested object at ``names`` (matched without regard to case), or an empty one."""
    value: Any = host_json
    for name in names:
        if not isinstance(value, Mapping):
            return {}
        value = next((v for k, v in value.items() if k.lower() == name.lower()), {})
    return dict(value) if isinstance(value, Mapping) else {}


@dataclass
class AppSettings:
    """The settings of one app.

    Attributes:
        app: the directory of ``function_app.py``.
        host_json: the content of host.json.
        values: every app setting, i.e. the whole environment that the functions see.
        skipped: names in local.settings.json that the environment already had (it wins).
        overrides: what the command line set (it wins over all).
    """

    app: Path
    host_json: dict[str, Any]
    values: dict[str, str]
    skipped: list[str] = field(default_factory=list)
    overrides: dict[str, str] = field(default_factory=dict)

    def resolve(self, text: str) -> str:
        """``text`` with each ``%Name%`` replaced by that app setting.

        Raises:
            ConfigurationError: a setting is missing.
        """

        def value(match: re.Match[str]) -> str:
            found = self.values.get(match[1])
            if found is None:
                raise ConfigurationError(f"'{match[0]}' does not resolve to a value: app setting {match[1]!r} is missing")
            return found

        return _PERCENT.sub(value, text)

    def connection_string(self, name: str) -> str:
        """The text of connection string or app setting ``name``.

        Raises:
            ConfigurationError: it is missing or empty.
        """
        name = self.resolve(name)
        for form in _CONNECTION_NAMES:
            if value := self.values.get(form.format(name)):
                return value
        raise ConfigurationError(f"connection string {name!r} is missing or empty: set it as an app setting")

    def disabled(self, function: str) -> bool:
        """Whether an app setting keeps the function's trigger from being listened to: ``AzureWebJobs.NAME.Disabled``."""
        names = {f"azurewebjobs{mark}{function.lower()}{mark}disabled" for mark in "._"}
        found = [value for name, value in self.values.items() if name.lower() in names]
        return any(value.strip().lower() in ("true", "1") for value in found)

    @property
    def host_id(self) -> str:
        """The id that separates this app's state from others': stable for a machine and directory."""
        explicit = self.values.get("AzureFunctionsWebHost__hostid") or self.values.get("WEBSITE_SITE_NAME")
        if explicit:
            return explicit.lower()[:32].rstrip("-")
        machine = re.sub(r"[^a-z0-9]", "", socket.gethostname().lower())[:20] or "host"
        return f"{machine}-{hashlib.sha256(str(self.app).encode()).hexdigest()[:10]}"


def load_settings(app: Path, settings_file: str | None, overrides: list[str]) -> AppSettings:
    """Read host.json and local.settings.json, and lay the environment and ``overrides`` over them.

    Args:
        app: the directory of the app.
        settings_file: path of the settings file, against the working directory or the app; None means local.settings.json of the
            app, if it is there.
        overrides: texts ``NAME=VALUE``.

    Raises:
        ConfigurationError: a file or override that cannot be read.
    """
    if not (app / "host.json").is_file():
        raise ConfigurationError(f"{app} holds no host.json: --app must name the directory of function_app.py")
    values = dict(os.environ)
    skipped: list[str] = []
    path = _settings_path(app, settings_file)
    if path is not None:
        for name, value in read_settings_file(path).items():
            if name in values:
                skipped.append(name)
            else:
                values[name] = value
    given: dict[str, str] = {}
    for override in overrides:
        name, equals, value = override.partition("=")
        if not equals or not name:
            raise ConfigurationError(f"--setting {override!r} is not NAME=VALUE")
        given[name] = value
    values.update(given)
    values.setdefault("FUNCTIONS_WORKER_RUNTIME", "python")
    if values["FUNCTIONS_WORKER_RUNTIME"] != "python":
        raise ConfigurationError(f"FUNCTIONS_WORKER_RUNTIME is {values['FUNCTIONS_WORKER_RUNTIME']!r}: only python runs here")
    return AppSettings(app, load_host_json(app), values, [name for name in skipped if name not in given], given)


def read_settings_file(path: Path) -> dict[str, str]:
    """The settings and connection strings of a local.settings.json.

    Raises:
        ConfigurationError: it cannot be read, or is not what such a file is.
    """
    document = _read_json(path)
    if document.get("IsEncrypted"):
        raise ConfigurationError(f"{path}: encrypted settings are not supported")
    parts = {name: {} if document.get(name) is None else document[name] for name in ("Values", "ConnectionStrings")}
    if wrong := [name for name, part in parts.items() if not isinstance(part, dict)]:
        raise ConfigurationError(f"{path}: {wrong[0]} must be an object")
    named = dict(parts["Values"])
    for name, value in parts["ConnectionStrings"].items():
        named[f"ConnectionStrings:{name}"] = value.get("ConnectionString") if isinstance(value, dict) else value
    for name, value in named.items():
        if not isinstance(value, str):
            raise ConfigurationError(f"{path}: the value of {name!r} must be a string")
    return named


def _settings_path(app: Path, settings_file: str | None) -> Path | None:
    if settings_file is None:
        default = app / "local.settings.json"
        return default if default.is_file() else None
    for candidate in (Path(settings_file), app / settings_file):
        if candidate.is_file():
            return candidate.resolve()
    raise ConfigurationError(f"settings file {settings_file} exists neither here nor in {app}")
