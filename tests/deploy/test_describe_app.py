"""What the deployment is told of relay.toml: each setting that the file names, and no secret."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from infra.describe_app import behind, check, describe, named_settings, vault_finder
from infra.hook_settings import config_of_hooks, plain_settings
from infra.prepare_database import known_settings
from rowpost.config.errors import ConfigError

SMALL = """
[[targets]]
name = "api"
url = "%API_URL%"
[[relays]]
table = "dbo.Orders"
"""
WITH_SECRETS = """
[database]
connection = "Sales"
[[targets]]
name = "api"
url = "%API_URL%"
oauth2 = { token_url = "https://login.example/token", client_id = "%CLIENT%", client_secret = "%CLIENT_SECRET%" }
signature = { secrets = ["%SIGNING%"] }
[[notifications.webhooks]]
url = "%HOOK%"
headers = { Authorization = "Bearer %SIGNING%" }
[[relays]]
table = "dbo.Orders"
where = "Name LIKE '%A%'"
"""
WITH_MAIL = """
[notifications.email]
connection = "%MAIL%"
sender = "%MAIL_SENDER%"
recipients = ["dba@example.com"]
"""
ENVIRONMENT = {"API_URL": "https://api.example.com/rows", "CLIENT": "rowpost", "HOOK": "akvs://s-1/kv-a/hook"}
ENVIRONMENT |= {"CLIENT_SECRET": "akvs://s-1/kv-a/client", "SIGNING": "akvs://s-2/kv-b/signing"}


def described(tmp_path: Path, text: str, environment: Mapping[str, str]) -> dict[str, Any]:
    file = tmp_path / "relay.toml"
    file.write_text(text)
    config = config_of_hooks(file, plain_settings(environment))
    return describe(config, named_settings(file), environment, lambda subscription, vault: f"rg-{vault}")


def test_a_file_without_secrets_and_mail_asks_for_neither(tmp_path: Path) -> None:
    assert described(tmp_path, SMALL, ENVIRONMENT) == {
        "connection": "SqlConnectionString",
        "grants": [],
        "mail": {},
        "openTelemetry": False,
        "secrets": [],
        "settings": {"API_URL": "https://api.example.com/rows"},
        "triggerFunctions": ["relay_dbo_Orders"],
    }


def test_secrets_are_told_by_their_place_and_each_is_granted_once(tmp_path: Path) -> None:
    app = described(tmp_path, WITH_SECRETS, {**ENVIRONMENT, "HOOK": ENVIRONMENT["CLIENT_SECRET"]})
    assert app["connection"] == "Sales"
    assert app["settings"] == {"API_URL": "https://api.example.com/rows", "CLIENT": "rowpost"}
    assert {secret["setting"]: secret["secret"] for secret in app["secrets"]} == {
        "CLIENT_SECRET": "client",
        "HOOK": "client",
        "SIGNING": "signing",
    }
    assert app["grants"] == [
        {"subscription": "s-1", "resourceGroup": "rg-kv-a", "vault": "kv-a", "secret": "client"},
        {"subscription": "s-2", "resourceGroup": "rg-kv-b", "vault": "kv-b", "secret": "signing"},
    ]


def test_what_is_missing_is_asked_for_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as error:
        described(tmp_path, WITH_SECRETS, {"API_URL": "https://api.example.com/rows"})
    lines = str(error.value).splitlines()
    assert len(lines) == 4
    assert any("CLIENT (targets[0].oauth2.client_id)" in line and line.endswith("`azd env set CLIENT VALUE`") for line in lines)
    assert any("HOOK (notifications.webhooks[0].url)" in line and line.endswith("`azd env set-secret HOOK`") for line in lines)


@pytest.mark.parametrize("name", ["CLIENT_SECRET", "SIGNING", "HOOK"])
def test_a_plain_value_where_secrets_stand_is_refused_and_not_shown(tmp_path: Path, name: str) -> None:
    plain = {"HOOK": "https://hooks.example/s3cret", "SIGNING": "whsec_czNjcmV0czNjcmV0czNjcmV0czNjcmV0"}
    with pytest.raises(ConfigError) as error:
        described(tmp_path, WITH_SECRETS, {**ENVIRONMENT, name: plain.get(name, "s3cret")})
    assert f"`azd env set-secret {name}`" in str(error.value)
    assert "s3cret" not in str(error.value) and "whsec" not in str(error.value)


def test_the_deployment_makes_a_mail_service_only_if_nobody_gives_one(tmp_path: Path) -> None:
    mail = {"form": "connection", "service": "MAIL", "sender": "MAIL_SENDER"}
    assert described(tmp_path, SMALL + WITH_MAIL, ENVIRONMENT)["mail"] == mail
    by_endpoint = WITH_MAIL.replace("connection", "endpoint")
    assert described(tmp_path, SMALL + by_endpoint, ENVIRONMENT)["mail"] == {**mail, "form": "endpoint"}
    own = {**ENVIRONMENT, "MAIL": "akvs://s-1/kv-a/mail", "MAIL_SENDER": "rowpost@example.com"}
    app = described(tmp_path, SMALL + WITH_MAIL, own)
    assert app["mail"] == {} and app["settings"]["MAIL_SENDER"] == "rowpost@example.com"
    assert [secret["setting"] for secret in app["secrets"]] == ["MAIL"]


def test_each_channel_of_notices_keeps_its_secrets_in_a_vault(tmp_path: Path) -> None:
    file = tmp_path / "relay.toml"
    file.write_text(
        """
        [notifications.smtp]
        host = "%SMTP_HOST%"
        user = "%SMTP_USER%"
        password = "%SMTP_PASSWORD%"
        sender = "%SMTP_SENDER%"
        [[notifications.slack]]
        url = "%SLACK%"
        [[notifications.teams]]
        url = "%TEAMS%"
        [[notifications.pagerduty]]
        routing_key = "%PAGER%"
        """
    )
    named = named_settings(file)
    file.write_text(SMALL)
    with pytest.raises(ConfigError) as error:
        describe(config_of_hooks(file, {}), named, dict.fromkeys(named, "plain"), lambda subscription, vault: "rg")
    asked = {line.rpartition("set-secret ")[2].strip("`") for line in str(error.value).splitlines()}
    assert asked == {"SMTP_PASSWORD", "SLACK", "TEAMS", "PAGER"}


def test_a_file_with_a_mistake_is_refused_before_anything_is_made(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"relays\[0\].*unknown key"):
        described(tmp_path, SMALL + 'colour = "red"\n', ENVIRONMENT)


def test_a_file_that_asks_for_more_than_was_provisioned_is_not_deployed(tmp_path: Path) -> None:
    app = described(tmp_path, WITH_SECRETS + WITH_MAIL, ENVIRONMENT)
    file = tmp_path / "relay.toml"
    config, named = config_of_hooks(file, {}), named_settings(file)
    assert behind(app, config, named) == []
    check(config, named, json.dumps(app))
    file.write_text(WITH_SECRETS.replace("dbo.Orders", "dbo.Parts").replace("%HOOK%", "%OTHER%").replace('"Sales"', '"Parts"'))
    config, named = config_of_hooks(file, {}), named_settings(file)
    assert behind(app, config, named) == ["Parts", "OTHER", "relay_dbo_Parts"]
    with pytest.raises(ConfigError, match="run `azd provision`"):
        check(config, named, "")


def test_the_resource_group_of_a_vault_is_asked_of_azure_once() -> None:
    """Azure Resource Manager is an HTTP server here."""
    asked: list[tuple[str, str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = parse_qs(parts.query)
            asked.append((parts.path, query["$filter"][0], self.headers["Authorization"]))
            vault = "/subscriptions/s-1/resourceGroups/rg-secrets/providers/Microsoft.KeyVault/vaults/kv-a"
            body = json.dumps({"value": [{"id": vault}] if "'kv-a'" in self.path or "kv-a" in query["$filter"][0] else []}).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: Any) -> None:
            """Silence."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        find = vault_finder(lambda scope: f"token for {scope}", f"http://127.0.0.1:{server.server_port}")
        assert [find("s-1", "kv-a"), find("s-1", "kv-a")] == ["rg-secrets", "rg-secrets"]
        with pytest.raises(ConfigError, match="no Key Vault kv-z"):
            find("s-1", "kv-z")
        server.shutdown()
    path, query, token = asked[0]
    assert path == "/subscriptions/s-1/resources" and "Microsoft.KeyVault/vaults" in query
    assert token == "Bearer token for https://management.azure.com/.default" and len(asked) == 2


def test_the_other_hooks_do_not_take_a_reference_for_a_value(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    local = tmp_path / "local.settings.json"
    local.write_text('{"Values": {"HOOK": "https://hooks.example/x"}}')
    monkeypatch.setenv("HOOK", "akvs://s-1/kv-a/hook")
    monkeypatch.setenv("API_URL", "https://api.example.com/rows")
    known = known_settings(local)
    assert (known["HOOK"], known["API_URL"]) == ("https://hooks.example/x", "https://api.example.com/rows")
