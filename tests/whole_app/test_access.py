"""Who may call the API when Microsoft Entra ID decides, as App Service passes the caller to the app."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rowpost.app import load_app
from rowpost.config.errors import ConfigError
from tests.harness.running_relay import CONFIG, Relay

ENTRA = CONFIG + '[api]\nauth = "entra"\n'
HEADER = "X-MS-CLIENT-PRINCIPAL"
SCHEMAS = "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/"


def principal(*roles: str, role_type: str = "roles", **more: Any) -> dict[str, str]:
    """The header that the platform sets for a caller."""
    claims = [{"typ": role_type, "val": role} for role in roles] + [{"typ": f"{SCHEMAS}name", "val": "dba@example.com"}]
    document = {"auth_typ": "aad", "claims": claims, "name_typ": f"{SCHEMAS}name", "role_typ": role_type, **more}
    return {HEADER: base64.b64encode(json.dumps(document).encode()).decode()}


def status(relay: Relay, method: str, path: str, headers: dict[str, str]) -> int:
    return int(relay.stack.host.request(method, path, headers=headers).status_code)  # type: ignore[union-attr]


def test_roles_decide_and_each_includes_those_before_it(make_relay: Callable[..., Relay]) -> None:
    relay = make_relay(ENTRA, settings={"WEBSITE_AUTH_ENABLED": "True"})
    relay.advance(2)
    look, order = ("GET", "/api/relays"), ("POST", "/api/relays/dbo.Orders/retry")
    other = "http://schemas.microsoft.com/ws/2008/06/identity/claims/role"
    for nobody in ({}, {HEADER: "no base64!"}, {HEADER: base64.b64encode(b"[]").decode()}, {"x-functions-key": "x"}):
        assert status(relay, *look, nobody) == 401
    for stranger in (principal(), principal("Reader", "rowpost.read", "Rowpost.Reader")):
        assert status(relay, *look, stranger) == 403
    assert (status(relay, *look, principal("Rowpost.Read")), status(relay, *order, principal("Rowpost.Read"))) == (200, 403)
    for role in ("Rowpost.Operate", "Rowpost.Administer"):
        for caller in (principal(role), principal(role, role_type=other)):
            assert (status(relay, *look, caller), status(relay, *order, caller)) == (200, 202)


def test_without_the_platform_nobody_is_believed(tmp_path: Path) -> None:
    (tmp_path / "relay.toml").write_text(ENTRA, encoding="utf-8")
    settings = {"DOWNSTREAM_URL": "https://example.com", "DOWNSTREAM_API_KEY": "x", "ALERT_WEBHOOK_URL": "https://example.com"}
    for off in ({}, {"WEBSITE_AUTH_ENABLED": "False"}):
        with pytest.raises(ConfigError, match=r"api\.auth.*App Service authentication"):
            load_app(tmp_path, {**settings, **off})


def test_a_key_is_named_by_its_fingerprint_and_never_by_itself(tmp_path: Path) -> None:
    settings = {"DOWNSTREAM_URL": "https://example.com", "DOWNSTREAM_API_KEY": "x", "ALERT_WEBHOOK_URL": "https://example.com"}
    (tmp_path / "relay.toml").write_text(CONFIG + '[api.keys]\non-call = "the-key-itself"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"api\.keys\.on-call: must be the first 8 digits") as raised:
        load_app(tmp_path, settings)
    assert "the-key-itself" not in str(raised.value)
