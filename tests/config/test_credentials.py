"""How a target knows the app: each mistake in these sections is one sentence at start, with field and remedy, without a value."""

from __future__ import annotations

import base64
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowpost.config.client_certificates import read_client_certificate
from rowpost.config.credentials import signing_bytes
from rowpost.config.errors import ConfigError
from rowpost.config.sections import Config
from rowpost.config.vault import VaultSecret, vault_secret
from tests.config.relay_toml import SETTINGS, changed, load
from tests.harness.certificates import issue

SIGNING = base64.b64encode(bytes(range(32))).decode()
OTHER_SIGNING = base64.b64encode(bytes(range(1, 33))).decode()
VAULT = "@Microsoft.KeyVault(SecretUri=https://some-vault.vault.azure.net/secrets/hook)"
ROOT = issue("Clients", authority=True)
CLIENT = issue("rowpost", issue("Between", ROOT, authority=True))
STRANGER = issue("stranger")
OAUTH2 = {"token_url": "https://login.example/token", "client_id": "id", "client_secret": "%SECRET%"}
BASIC = {"user": "rowpost", "password": "%SECRET%"}
VALUES = {"SECRET": "hidden-secret", "BROKEN": "hidden-one\nhidden-two", "SIGNING": f"whsec_{SIGNING}", "OTHER": OTHER_SIGNING}
VALUES |= {"CERT": CLIENT.pem + CLIENT.above, "KEY": CLIENT.key_pem, "FOREIGN_KEY": STRANGER.key_pem}
VALUES |= {"LOCKED": CLIENT.locked_key_pem(b"hidden-password"), "OPENS": "hidden-password"}


def read(section: str, value: Any, folder: Path) -> Config:
    return load(changed(f"targets.0.{section}", value), folder, SETTINGS | VALUES)


@pytest.mark.parametrize(
    ("section", "value"),
    [
        ("basic", BASIC),
        ("oauth2", OAUTH2),
        ("oauth2", OAUTH2 | {"scope": "a b", "client_authentication": "body", "parameters": {"audience": "x"}}),
        ("managed_identity", {"resource": "api://0f1e2d3c-0000-0000-0000-000000000000"}),
        ("managed_identity", {"resource": "https://x.example", "client_id": "0f1e2d3c-0000-0000-0000-000000000000"}),
        ("signature", {"secrets": ["%SIGNING%"]}),
        ("signature", {"secrets": ["%SIGNING%", "%OTHER%"]}),
        ("signature", {"secrets": ["%SIGNING%", VAULT]}),
        ("client_certificate", {"certificate": "%CERT%", "key": "%KEY%"}),
        ("client_certificate", {"certificate": "%CERT%%KEY%"}),
        ("client_certificate", {"certificate": "%CERT%", "key": "%LOCKED%", "password": "%OPENS%"}),
    ],
)
def test_what_is_right_is_read(tmp_path: Path, section: str, value: Any) -> None:
    config = read(section, value, tmp_path)
    assert getattr(config.targets[0], section) is not None
    assert "hidden" not in repr(config) and "PRIVATE" not in repr(config)


@pytest.mark.parametrize(
    ("section", "value", "field", "text"),
    [
        ("basic", {"user": "a"}, "basic.password", "missing; add it"),
        ("basic", BASIC | {"usr": "b"}, "basic.usr", "unknown key; known here: user, password"),
        ("basic", BASIC | {"user": "a:b"}, "basic.user", "without a colon"),
        ("basic", BASIC | {"user": ""}, "basic.user", "without a colon"),
        ("basic", BASIC | {"password": "%BROKEN%"}, "basic.password", "remove the line break"),
        ("basic", BASIC | {"password": "%NOWHERE%"}, "basic.password", "the app setting NOWHERE is missing"),
        ("basic", BASIC | {"password": "%VAULT%"}, "basic.password", "the app setting VAULT holds a Key Vault reference"),
        (
            "basic",
            BASIC | {"password": "@Microsoft.KeyVault(hidden)"},
            "basic.password",
            "is no sound reference to a Key Vault; write",
        ),
        ("basic", BASIC | {"user": VAULT}, "basic.user", "such a reference works in an app setting only"),
        ("oauth2", OAUTH2 | {"token_url": "login.example"}, "oauth2.token_url", "must be an http or https address"),
        ("oauth2", OAUTH2 | {"token_url": "https://hidden:x@a.example/"}, "oauth2.token_url", "has a user; write it as client_id"),
        ("oauth2", OAUTH2 | {"token_url": "http://a.example/", "ca": ROOT.pem}, "oauth2.ca", "of no use with an http address"),
        ("oauth2", OAUTH2 | {"ca": "missing.pem"}, "oauth2.ca", "the file cannot be read"),
        ("oauth2", OAUTH2 | {"client_id": ""}, "oauth2.client_id", "must be one line"),
        ("oauth2", OAUTH2 | {"client_secret": "%BROKEN%"}, "oauth2.client_secret", "remove the line break"),
        ("oauth2", OAUTH2 | {"client_secret": ""}, "oauth2.client_secret", "must be one line"),
        (
            "oauth2",
            OAUTH2 | {"client_authentication": "%SECRET%"},
            "oauth2.client_authentication",
            "expected one of 'basic', 'body'",
        ),
        ("oauth2", OAUTH2 | {"parameters": {"scope": "x"}}, "oauth2.parameters.scope", "sets itself; remove it"),
        ("oauth2", OAUTH2 | {"audience": "x"}, "oauth2.audience", "unknown key; known here: token_url, client_id"),
        ("managed_identity", {"resource": "api://x/.default"}, "managed_identity.resource", "without /.default"),
        ("managed_identity", {"resource": "%SECRET%"}, "managed_identity.resource", "application ID URI"),
        ("managed_identity", {"resource": "api://x", "client_id": "%SECRET%"}, "managed_identity.client_id", "a GUID; remove it"),
        ("signature", {"secrets": []}, "signature.secrets", "must hold one secret, or two"),
        ("signature", {"secrets": ["%SIGNING%", "%OTHER%", VAULT]}, "signature.secrets", "must hold one secret, or two"),
        ("signature", {"secrets": ["%SIGNING%", "%SIGNING%"]}, "signature.secrets", "holds a secret twice"),
        ("signature", {"secrets": ["%SECRET%"]}, "signature.secrets[0]", "is no secret of Standard Webhooks"),
        ("signature", {"secrets": ["%SIGNING%", "whsec_aGlkZGVu"]}, "signature.secrets[1]", "must have 24 to 64 bytes, and has 6"),
        ("client_certificate", {"certificate": "%KEY%"}, "client_certificate.certificate", "holds no certificate"),
        ("client_certificate", {"certificate": "missing.pem"}, "client_certificate.certificate", "the file cannot be read"),
        ("client_certificate", {"certificate": "%CERT%"}, "client_certificate.certificate", "holds no private key; give one"),
        ("client_certificate", {"certificate": "%CERT%", "key": "gone"}, "client_certificate.key", "the file cannot be read"),
        ("client_certificate", {"certificate": "%CERT%", "key": "%CERT%"}, "client_certificate.key", "holds no private key"),
        ("client_certificate", {"certificate": "%CERT%", "key": "%KEY%%KEY%"}, "client_certificate.key", "several private keys"),
        (
            "client_certificate",
            {"certificate": "%CERT%", "key": "%FOREIGN_KEY%"},
            "client_certificate.key",
            "not that of the first",
        ),
        (
            "client_certificate",
            {"certificate": "%CERT%", "key": "%LOCKED%"},
            "client_certificate.password",
            "is missing, and the key",
        ),
        (
            "client_certificate",
            {"certificate": "%CERT%", "key": "%LOCKED%", "password": "%SECRET%"},
            "client_certificate.password",
            "does not open the key",
        ),
        ("headers", {"authorization": "x"}, "headers.authorization", "is what [targets.basic] sets; remove one of both"),
        ("headers", {"Webhook-Id": "x"}, "headers.Webhook-Id", "is what [targets.signature] sets; remove the header"),
        ("url", "https://hidden:hidden@api.example/", "url", "has a user, which would take the place of [targets.basic]"),
        ("oauth2", OAUTH2, "oauth2", "one of basic, oauth2, managed_identity, and this one has basic too; remove one"),
    ],
)
def test_a_mistake_is_one_sentence(tmp_path: Path, section: str, value: Any, field: str, text: str) -> None:
    document = changed(f"targets.0.{section}", value)
    if section in ("headers", "url") or value is OAUTH2:
        document["targets"][0] |= {"basic": BASIC, "signature": {"secrets": ["%SIGNING%"]}}
    with pytest.raises(ConfigError) as told:
        load(document, tmp_path, SETTINGS | VALUES)
    said = str(told.value)
    assert said.startswith(f"relay.toml: targets[0].{field}: ") and text in said, said
    assert "hidden" not in said and "\n" not in said and len(said) < 400
    assert told.value.__cause__ is None and (told.value.__context__ is None or told.value.__suppress_context__)


def test_a_client_certificate_is_of_no_use_without_tls(tmp_path: Path) -> None:
    document = changed("targets.0.client_certificate", {"certificate": "%CERT%%KEY%"})
    document["targets"][0]["url"] = "http://api.example/"
    with pytest.raises(ConfigError, match=r"targets\[0\]\.client_certificate: is of no use with an http address; use https"):
        load(document, tmp_path, SETTINGS | VALUES)


def test_certificate_and_key_may_be_files_beside_relay_toml(tmp_path: Path) -> None:
    (tmp_path / "client.pem").write_text(f"Bag Attributes\n{CLIENT.pem}{CLIENT.above}")
    (tmp_path / "client.key").write_text(CLIENT.key_pem)
    given = read("client_certificate", {"certificate": "client.pem", "key": "client.key"}, tmp_path).targets[0].client_certificate
    assert given is not None and (given.certificate, given.key) == (CLIENT.pem + CLIENT.above, CLIENT.key_pem)


@pytest.mark.parametrize("breaks", ["\r\n", " ", "\\n"])
def test_a_setting_holds_a_key_in_any_form_that_portals_make(tmp_path: Path, breaks: str) -> None:
    text = (CLIENT.pem + CLIENT.key_pem).replace("\n", breaks)
    found = read_client_certificate(text, None, None, tmp_path)
    assert (found.certificate, found.key) == (CLIENT.pem, CLIENT.key_pem)


@settings(deadline=None)
@given(st.text(max_size=60), st.integers(0, len(CLIENT.pem + CLIENT.key_pem)), st.integers(0, 60))
def test_whatever_is_given_as_a_certificate_is_read_or_refused(text: str, place: int, removed: int) -> None:
    whole = CLIENT.pem + CLIENT.key_pem
    given_text = whole[:place] + text + whole[place + removed :]
    said = refusal(lambda: read_client_certificate(given_text, None, None, Path("/nowhere")))
    assert said is None or (said.startswith("client_certificate") and "\n" not in said and len(said) < 400)


@given(st.text(max_size=100))
def test_whatever_is_given_as_a_secret_is_read_or_refused(text: str) -> None:
    said = refusal(lambda: signing_bytes(text))
    assert said.startswith(("is no secret", "must have")) if said else 24 <= len(signing_bytes(text)) <= 64


def refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except ValueError as error:
        return str(error)
    return None


# --- references to a Key Vault ---


@pytest.mark.parametrize(
    ("reference", "address", "resource"),
    [
        (VAULT, "https://some-vault.vault.azure.net/secrets/hook", "https://vault.azure.net"),
        (f" {VAULT.lower()} ", "https://some-vault.vault.azure.net/secrets/hook", "https://vault.azure.net"),
        (
            "@Microsoft.KeyVault(SecretUri=https://some-vault.vault.azure.net/secrets/hook/)",
            "https://some-vault.vault.azure.net/secrets/hook",
            "https://vault.azure.net",
        ),
        (
            "@Microsoft.KeyVault(VaultName=some-vault;SecretName=hook;SecretVersion=0a1b)",
            "https://some-vault.vault.azure.net/secrets/hook/0a1b",
            "https://vault.azure.net",
        ),
        (
            "@Microsoft.KeyVault(SecretUri=https://some.vault.azure.cn/secrets/hook)",
            "https://some.vault.azure.cn/secrets/hook",
            "https://vault.azure.cn",
        ),
    ],
)
def test_a_reference_has_the_form_of_app_settings(reference: str, address: str, resource: str) -> None:
    assert vault_secret(reference) == VaultSecret(address, resource)


@pytest.mark.parametrize(
    "address",
    [
        "https://some-vault.vault.azure.net.evil.example/secrets/x",
        "https://evil.example/some-vault.vault.azure.net/secrets/x",
        "https://user@some-vault.vault.azure.net/secrets/x",
        "https://a.some-vault.vault.azure.net/secrets/x",
        "https://vault.azure.net/secrets/x",
        "http://some-vault.vault.azure.net/secrets/x",
        "https://some-vault.vault.azure.net:8443/secrets/x",
        "https://some-vault.vault.azure.net/keys/x",
        "https://some-vault.vault.azure.net/secrets/x?y=1",
        "https://some-vault.vault.azure.net/secrets/../x",
        "https://[some-vault/secrets/x",
        "https://some-vault.vault.azure.net:x/secrets/x",
        "",
    ],
)
def test_the_token_of_a_vault_goes_to_no_other_server(address: str) -> None:
    with pytest.raises(ValueError, match="is no sound reference to a Key Vault; write"):
        vault_secret(f"@Microsoft.KeyVault(SecretUri={address})")


@pytest.mark.parametrize("text", ["VaultName=a.b;SecretName=x", "VaultName=some", "SecretName=x", "x", "SecretUri=a;VaultName=b"])
def test_half_a_reference_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no sound reference"):
        vault_secret(f"@Microsoft.KeyVault({text})")


@pytest.mark.parametrize("text", ["", "secret", "Microsoft.KeyVault(x)", "@Microsoft"])
def test_another_text_is_no_reference(text: str) -> None:
    assert vault_secret(text) is None
