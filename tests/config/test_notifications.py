"""Channels of notices in relay.toml: each needs its own settings only, and each mistake is one sentence with field and remedy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from rowpost.app import load_app
from rowpost.config.errors import ConfigError
from rowpost.config.notifications import NotificationsConfig
from tests.config.relay_toml import load

BASE: dict[str, Any] = {"targets": [{"name": "api", "url": "https://api.example"}], "relays": [{"table": "dbo.Orders"}]}
SECRET = "whsec_MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
SMTP = {"host": "mail.example", "sender": "a@example.com", "recipients": ["b@example.com"]}
HOOK = {"url": "https://hooks.example/secret"}
PAGERDUTY = {"routing_key": "0123456789abcdef0123456789abcdef"}


def loaded(folder: Path, **notifications: Any) -> NotificationsConfig:
    settings = {"SqlConnectionString": "Server=sql.example;Database=d;Encrypt=true"}
    return load(BASE | {"notifications": notifications}, folder, settings).notifications


@pytest.mark.parametrize(
    "channel",
    [{"smtp": SMTP}, {"webhooks": [HOOK]}, {"teams": [HOOK]}, {"slack": [HOOK]}, {"pagerduty": [PAGERDUTY]}, {}],
    ids=str,
)
def test_a_channel_needs_no_setting_of_another(channel: dict[str, Any], tmp_path: Path) -> None:
    config = loaded(tmp_path, **channel)
    assert (config.reminder.seconds, config.throttle.count, config.throttle.seconds, config.row_keys) == (86400, 20, 3600, True)


@pytest.mark.parametrize(
    ("notifications", "field", "remedy"),
    [
        ({"smtp": {k: v for k, v in SMTP.items() if k != "host"}}, "notifications.smtp.host", "missing; add it"),
        ({"smtp": SMTP | {"host": "smtp://mail.example"}}, "notifications.smtp.host", "without smtp://"),
        ({"smtp": SMTP | {"recipients": []}}, "notifications.smtp.recipients", "at least one address"),
        ({"smtp": SMTP | {"recipients": ["A <a@b>"]}}, "notifications.smtp.recipients[0]", "without a name"),
        ({"smtp": SMTP | {"user": "u"}}, "notifications.smtp.password", "both user and password"),
        ({"smtp": SMTP | {"password": "p"}}, "notifications.smtp.user", "both user and password"),
        ({"smtp": SMTP | {"user": "u", "password": "p\n"}}, "notifications.smtp.password", "remove the line break"),
        ({"smtp": SMTP | {"user": "u", "password": "@Microsoft.KeyVault(x"}}, "notifications.smtp.password", "without an end"),
        ({"smtp": SMTP | {"user": "u", "password": "p", "security": "none"}}, "notifications.smtp.security", "in the open"),
        ({"smtp": SMTP | {"security": "ssl"}}, "notifications.smtp.security", "'starttls', 'tls', 'none'"),
        ({"smtp": SMTP | {"port": 70000}}, "notifications.smtp.port", "<= 65535"),
        ({"smtp": SMTP | {"ca": "none.pem"}}, "notifications.smtp.ca", "cannot be read"),
        ({"smtp": SMTP | {"tls": True}}, "notifications.smtp.tls", "unknown key; known here: host"),
        ({"teams": [{"url": "ftp://x"}]}, "notifications.teams[0].url", "http or https"),
        ({"teams": [HOOK | {"headers": {}}]}, "notifications.teams[0].headers", "unknown key; known here: url, ca"),
        ({"slack": [{}]}, "notifications.slack[0].url", "missing; add it"),
        ({"slack": [HOOK, {"url": "hooks.slack.com"}]}, "notifications.slack[1].url", "http or https"),
        ({"pagerduty": [{"routing_key": "short"}]}, "notifications.pagerduty[0].routing_key", "32 letters and digits"),
        ({"pagerduty": [PAGERDUTY | {"url": "x"}]}, "notifications.pagerduty[0].url", "http or https"),
        (
            {"webhooks": [HOOK | {"signature": {"secrets": []}}]},
            "notifications.webhooks[0].signature.secrets",
            "one secret, or two",
        ),
        ({"webhooks": [HOOK | {"signature": {"secrets": ["x"]}}]}, "notifications.webhooks[0].signature.secrets[0]", "whsec_"),
        (
            {"webhooks": [HOOK | {"signature": {"secrets": [SECRET]}, "headers": {"Webhook-Id": "1"}}]},
            "notifications.webhooks[0].headers.Webhook-Id",
            "is what the signature sets",
        ),
        (
            {"webhooks": [HOOK | {"signature": {"secret": SECRET}}]},
            "notifications.webhooks[0].signature.secret",
            "known here: secrets",
        ),
        ({"throttle": "20"}, "notifications.throttle", '"20/h"'),
        ({"throttle": "0/h"}, "notifications.throttle", "from 1 to 9999"),
        ({"throttle": "20/s"}, "notifications.throttle", '"100/d"'),
        ({"reminder": "5s"}, "notifications.reminder", 'at least "60s"'),
        ({"console_url": "portal"}, "notifications.console_url", 'use "" for no link'),
        ({"runbook_url": "https://x/#y"}, "notifications.runbook_url", "an anchor is added"),
    ],
)
def test_a_mistake_is_told_with_its_field_and_the_remedy(
    notifications: dict[str, Any], field: str, remedy: str, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError) as refused:
        loaded(tmp_path, **notifications)
    text = str(refused.value)
    assert text.startswith(f"relay.toml: {field}: ") and remedy in text, text
    assert "\n" not in text and SECRET not in text and "0123456789abcdef" not in text


@pytest.mark.parametrize(("security", "port"), [("starttls", 587), ("tls", 465), ("none", 25)])
def test_the_way_of_security_has_a_usual_port(security: str, port: int, tmp_path: Path) -> None:
    smtp = loaded(tmp_path, smtp=SMTP | {"security": security}).smtp
    assert smtp is not None and smtp.usual_port == port


@pytest.mark.parametrize(
    ("host", "console"),
    [
        ("app.azurewebsites.net", "https://app.azurewebsites.net/api/console"),
        ("localhost:7071", "http://localhost:7071/api/console"),
        ("", None),
        ("a b", None),
    ],
)
def test_the_console_is_that_of_this_app_unless_it_is_configured(host: str, console: str | None, tmp_path: Path) -> None:
    settings = {"SqlConnectionString": "x", "WEBSITE_HOSTNAME": host}
    assert load(BASE, tmp_path, settings).notifications.console_url == console
    given = load(BASE | {"notifications": {"console_url": "https://ops.example/console"}}, tmp_path, settings)
    assert given.notifications.console_url == "https://ops.example/console"
    assert load(BASE | {"notifications": {"console_url": ""}}, tmp_path, settings).notifications.console_url == ""


def test_mail_and_hooks_without_tls_are_warned_of(tmp_path: Path) -> None:
    channels = {
        "smtp": SMTP | {"security": "none"},
        "teams": [{"url": "http://flow.example/x"}],
        "slack": [{"url": "http://127.0.0.1/x"}],
        "pagerduty": [PAGERDUTY | {"url": "http://events.example"}],
    }
    loaded(tmp_path, **channels)
    settings = {"SqlConnectionString": "Server=sql.example;Database=d;Encrypt=true"}
    fields = [warning.partition(": ")[0] for warning in load_app(tmp_path, settings).warnings]
    assert fields == ["notifications.teams[0].url", "notifications.pagerduty[0].url", "notifications.smtp.security"]


def test_a_secret_of_a_key_vault_stands_in_the_file_only_where_it_is_read_again(tmp_path: Path) -> None:
    vault = "@Microsoft.KeyVault(VaultName=vault;SecretName=mail)"
    smtp = loaded(tmp_path, smtp=SMTP | {"user": "u", "password": vault}).smtp
    assert smtp is not None and smtp.password == vault
    with pytest.raises(ConfigError, match=r"notifications\.pagerduty\[0\]\.routing_key"):
        loaded(tmp_path, pagerduty=[{"routing_key": vault}])
