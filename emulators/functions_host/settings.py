"""What configures an app: host.json, local.settings.json and overrides, with the precedence of the local tools."""

from __future__ import annotations

import hashlib
import os
import re
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

from emulators.functions_host.host_json import HostJsonError, load_host_json, read_json


class ConfigurationError(Exception):
    """The app cannot start or a function cannot listen: the message says why."""


# Settings that ask for what this host does not do, and the values at which they ask for nothing.
REFUSED = {
    "FUNCTIONS_WORKER_PROCESS_COUNT": ("1",),
    "PYTHON_ENABLE_WORKER_EXTENSIONS": ("0", "false"),
    "PYTHON_ENABLE_OPENTELEMETRY": ("0", "false"),
    "PYTHON_ISOLATE_WORKER_DEPENDENCIES": ("0", "false"),
    "PYTHON_ROLLBACK_CWD_PATH": ("0", "false"),
    "AzureWebJobsFeatureFlags": ("", "enableworkerindexing"),
}
_LOCAL_SECTIONS = frozenset({"IsEncrypted", "Values", "ConnectionStrings", "Host"})
_CONSUMPTION = "dynamic"  # WEBSITE_SKU of the Consumption plan
_DEFAULT_TIMEOUT, _CONSUMPTION_TIMEOUT, _CONSUMPTION_LIMIT = timedelta(minutes=30), timedelta(minutes=5), timedelta(minutes=10)
_NO_TIMEOUT = ("-1", -1)
_MOST_BODY_BYTES = 104_857_600


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
        port: that local.settings.json chooses; 0 is none.
        overrides: what the command line set (it wins over all).
    """

    app: Path
    host_json: dict[str, Any]
    values: dict[str, str]
    skipped: list[str] = field(default_factory=list)
    overrides: dict[str, str] = field(default_factory=dict)
    port: int = 0

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
    def function_timeout(self) -> timedelta | None:
        """How long a function may run; None is for ever. The plan (WEBSITE_SKU) decides on default and limit.

        Raises:
            ConfigurationError: no duration, or outside the limits.
        """
        consumption = self.values.get("WEBSITE_SKU", "").lower() == _CONSUMPTION
        given = next((value for name, value in self.host_json.items() if name.lower() == "functiontimeout"), None)
        if given is None:
            return _CONSUMPTION_TIMEOUT if consumption else _DEFAULT_TIMEOUT
        if given in _NO_TIMEOUT and not consumption:
            return None
        longest = _CONSUMPTION_LIMIT if consumption else timedelta.max
        try:
            timeout = parse_time_span(str(given))
        except ValueError as problem:
            raise ConfigurationError(f"host.json: functionTimeout: {problem}") from None
        if not timedelta(seconds=1) <= timeout <= longest:
            limit = f" and less than {longest}" if consumption else ""
            raise ConfigurationError(f"host.json: FunctionTimeout must be greater than 00:00:01{limit}, not {given}")
        return timeout

    @property
    def most_body_bytes(self) -> int:
        """The longest body of a request."""
        text = self.values.get("FUNCTIONS_REQUEST_BODY_SIZE_LIMIT", "").strip()
        return int(text) if re.fullmatch(r"\d+", text) else _MOST_BODY_BYTES

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
    port = 0
    if path is not None:
        port = _chosen_port(path)
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
    for name, harmless in REFUSED.items():
        if (found := values.get(name)) is not None and found.strip().lower() not in harmless:
            raise ConfigurationError(f"app setting {name} is {found!r}: this host does not support it")
    host_json = _read(lambda: load_host_json(app, values))
    return AppSettings(app, host_json, values, [name for name in skipped if name not in given], given, port)


def _read(read: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    try:
        return read()
    except HostJsonError as problem:
        raise ConfigurationError(str(problem)) from None


def _chosen_port(path: Path) -> int:
    """The port that local.settings.json chooses, 0 without one; what else it asks for and this host does not do is refused."""
    document = _read(lambda: read_json(path))
    if unknown := set(document) - _LOCAL_SECTIONS:
        raise ConfigurationError(f"{path}: this host does not know {', '.join(sorted(unknown))}")
    host = document.get("Host") or {}
    if not isinstance(host, dict):
        raise ConfigurationError(f"{path}: Host must be an object")
    host = dict(host)
    port = host.pop("LocalHttpPort", 0)
    if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port < 65536:
        raise ConfigurationError(f"{path}: Host.LocalHttpPort is {port!r}: it must be a port")
    if host:
        names = ", ".join(f"Host.{name}" for name in host)
        raise ConfigurationError(f"{path}: this host does not support {names}: it answers no page of another site")
    return port


def read_settings_file(path: Path) -> dict[str, str]:
    """The settings and connection strings of a local.settings.json.

    Raises:
        ConfigurationError: it cannot be read, or is not what such a file is.
    """
    document = _read(lambda: read_json(path))
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
