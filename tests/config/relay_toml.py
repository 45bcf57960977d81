"""The demo's relay.toml, which is shipped, with one value changed, and the settings that it names: all secrets say "hidden"."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from devtools.data import DEMO_CONFIG
from rowpost.config.loading import load_config
from rowpost.config.sections import Config

ROOT = Path(__file__).resolve().parents[2]


SETTINGS = {
    "SqlConnectionString": "Server=sql.example;Database=rowpost;User ID=sa;Password=hidden-sql",
    "DOWNSTREAM_URL": "https://api.example/hidden-path?code=hidden-code",
    "DOWNSTREAM_API_KEY": "hidden-key",
    "EMAIL_CONNECTION_STRING": "endpoint=https://mail.example/;accesskey=hidden-access",
    "EMAIL_SENDER": "hidden-sender@example.com",
    "ALERT_WEBHOOK_URL": "https://hooks.example/hidden-hook",
    "WRONG": "hidden-wrong",
    "BROKEN_HEADER": "hidden-one\r\nX-Evil: hidden-two",
    "FOREIGN_HEADER": "hidden-ключ",
    "NO_SCHEME": "hooks.example/hidden-services",
    "CLIENT_ID": "hidden-client",
    "EMPTY": "",
    "TAB_HEADER": "\thidden-tab",
    "INSIDE": "Bearer @Microsoft.KeyVault(SecretUri=https://hidden-vault.vault.azure.net/secrets/hidden/)",
    "VAULT": "@Microsoft.KeyVault(SecretUri=https://hidden-vault.vault.azure.net/secrets/hidden/)",
    "STORE": " @microsoft.appconfiguration(Endpoint=https://hidden-store.azconfig.io; Key=hidden)",
    "DB_HOST": "hidden-host.example",
}


REMOVED = object()


def shipped() -> dict[str, Any]:
    return tomllib.loads(DEMO_CONFIG.read_text(encoding="utf-8"))


def changed(path: str, value: Any) -> dict[str, Any]:
    """The shipped document with one value set, added or removed; a path is ``retry.window`` or ``relays.0.table``."""
    document: Any = shipped()
    *parents, last = path.split(".")
    place = document
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place.setdefault(name, {})
    if value is REMOVED:
        del place[last]
    else:
        place[last] = value
    return dict(document)


def load(document: dict[str, Any] | str, folder: Path, settings: dict[str, str] | None = None) -> Config:
    file = folder / "relay.toml"
    text = (
        document if isinstance(document, str) else "".join(f"{_toml(name)} = {_toml(value)}\n" for name, value in document.items())
    )
    file.write_text(text, encoding="utf-8")
    return load_config(file, SETTINGS if settings is None else settings)


def _toml(value: Any) -> str:
    """A value as TOML writes it in one line."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_toml(name)} = {_toml(item)}" for name, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return (
        json.dumps(value, ensure_ascii=False).lower() if isinstance(value, float | bool) else json.dumps(value, ensure_ascii=False)
    )
