"""host.json: what this host honours, what has no effect here, and a refusal of all else; app settings may replace its values.

The real host passes over keys that it does not know. Here such a key fails the start. So does one that asks for what this host does
not do.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_PREFIX = re.compile(r"azurefunctionsjobhost(?:__|:)", re.IGNORECASE)
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_FIELD = re.compile(r"[\t\x20-\x7e\x80-\xff]*")

# Keys of extensions.durableTask are looked at in durable/config.py.
HONOURED = frozenset(
    {
        "version",
        "functionTimeout",
        "functions",
        "logging.logLevel.*",
        "extensions.http.routePrefix",
        "extensions.http.customHeaders.*",
        "extensions.http.maxOutstandingRequests",
        "extensions.http.maxConcurrentRequests",
        "extensions.Sql.MaxBatchSize",
        "extensions.Sql.PollingIntervalMs",
        "extensions.Sql.MaxChangesPerWorker",
        "extensions.Sql.AppLockTimeoutMs",
        "extensions.durableTask.*",
    }
)
WITHOUT_EFFECT = {
    "$schema": "it is for editors",
    "isDefaultHostConfig": "it is a mark of the tools",
    "configurationSource": "it is a mark of the tools",
    "aggregator.*": "there is no Application Insights",
    "logging.applicationInsights.*": "there is no Application Insights",
    "logging.fileLoggingMode": "the log goes to the screen, or to the file of --log",
    "logging.console.*": "the log goes to the screen, or to the file of --log",
    "telemetryMode": "there is no telemetry",
    "extensionBundle.*": "the extensions that run here are part of the host",
    "managedDependency.*": "it is for PowerShell",
    "healthMonitor.*": "the counters of the platform do not exist here",
    "singleton.*": "one host has a data directory",
    "sequentialRestart": "the host does not restart by itself",
    "watchDirectories": "the host does not watch files",
    "watchFiles": "the host does not watch files",
    "fileWatchingEnabled": "the host does not watch files",
    "sendCanceledInvocationsToWorker": "the worker for Python knows no cancellation",
    "metadataProviderTimeout": "loading the app has no limit of time",
    "extensions.http.hsts.*": "the host speaks plain HTTP",
    "extensions.http.dynamicThrottlesEnabled": "the counters of the platform do not exist here; true is refused",
    "concurrency.*": "it is for scaling; dynamicConcurrencyEnabled is refused",
    **{f"extensions.{name}.*": "no function here has such a binding" for name in ("blobs", "cosmosDB", "eventHubs", "kafka")},
    **{f"extensions.{name}.*": "no function here has such a binding" for name in ("queues", "sendGrid", "serviceBus", "signalR")},
}
_REFUSED_IF_TRUE = frozenset({"extensions.http.dynamicthrottlesenabled", "concurrency.dynamicconcurrencyenabled"})


class HostJsonError(Exception):
    """host.json cannot be read, or asks for what this host does not do."""


def read_json(path: Path) -> dict[str, Any]:
    """An object out of a JSON file.

    Raises:
        HostJsonError: there is no such file, or it holds something else.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise HostJsonError(f"{path} does not exist") from None
    except (OSError, ValueError) as problem:
        raise HostJsonError(f"{path}: {problem}") from None
    if not isinstance(document, dict):
        raise HostJsonError(f"{path}: the root must be an object")
    return document


def load_host_json(app: Path, settings: Mapping[str, str] | None = None) -> dict[str, Any]:
    """The content of host.json, under the values of app settings such as ``AzureFunctionsJobHost__extensions__http__routePrefix``.

    Raises:
        HostJsonError: it is missing, not of version 2.0, or has a key that this host does not know.
    """
    path = app / "host.json"
    document = read_json(path)
    if document.get("version") != "2.0":
        raise HostJsonError(f'{path}: version must be "2.0"')
    for name, value in (settings or {}).items():
        if match := _PREFIX.match(name):
            _put(document, re.split("__|:", name[match.end() :]), _value(value))
    seen: dict[str, str] = {}
    for key, value in _leaves(document, ()):
        _check(key, value)
        if (other := seen.setdefault(key.lower(), key)) != key:
            raise HostJsonError(f"host.json: {other} and {key} are one key")
        if (wanted := _wrong(key.lower(), value)) is not None:
            raise HostJsonError(f"host.json: {key} must be {wanted}")
    return document


def _wrong(folded: str, value: Any) -> str | None:
    """What the value of a key must be, if it is something else; numbers are looked at where they are used."""
    if folded == "functions":
        right = isinstance(value, list) and all(isinstance(name, str) for name in value)
        return None if right else "a list of names"
    if folded == "extensions.http.routeprefix":
        return None if isinstance(value, str) else "a text"
    if folded.startswith("extensions.http.customheaders."):
        name = folded.removeprefix("extensions.http.customheaders.")
        right = _TOKEN.fullmatch(name) is not None and isinstance(value, str) and _FIELD.fullmatch(value) is not None
        return None if right else "a header of HTTP"
    return None


def _value(text: str) -> Any:
    """Settings are texts; numbers and truth values are read out of them, as where they are used there."""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    return {"true": True, "false": False}.get(text.lower(), text)


def _put(document: Any, keys: list[str], value: Any) -> None:
    """Set a value at a path. Names regard no case; numbers are places of a list."""
    for place, key in enumerate(keys):
        last = place == len(keys) - 1
        if isinstance(document, list):
            number = int(key) if key.isdecimal() else len(document)
            document.extend([None] * (number + 1 - len(document)))
            known: Any = number
        else:
            known = next((name for name in document if name.lower() == key.lower()), key)
        if last:
            document[known] = value
            return
        inside = document[known] if isinstance(document, list) else document.get(known)
        if not isinstance(inside, (dict, list)):
            inside = document[known] = [] if keys[place + 1].isdecimal() else {}
        document = inside


def _leaves(value: Any, path: tuple[str, ...]) -> list[tuple[str, Any]]:
    if isinstance(value, dict) and value:
        return [leaf for name, inside in value.items() for leaf in _leaves(inside, (*path, name))]
    return [(".".join(path), value)]


def _check(key: str, value: Any) -> None:
    """Raises HostJsonError for a key that is neither honoured nor known to have no effect."""
    folded = key.lower()
    known = any(_covers(pattern, folded) for pattern in (*HONOURED, *WITHOUT_EFFECT))
    if value == {} or value is None:
        known = known or any(pattern.lower().startswith(f"{folded}.") for pattern in (*HONOURED, *WITHOUT_EFFECT))
    if not known:
        raise HostJsonError(f"host.json: this host does not know {key}")
    if folded in _REFUSED_IF_TRUE and value is not False:
        raise HostJsonError(f"host.json: this host does not support {key}")


def _covers(pattern: str, folded: str) -> bool:
    pattern = pattern.lower()
    return folded == pattern or (pattern.endswith(".*") and folded.startswith(pattern[:-1]))
