"""Secrets that the app reads from a Key Vault itself: a new one is used without a restart."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from standardwebhooks import Webhook
from werkzeug.datastructures import Authorization

from rowpost.auth.kept import Kept
from rowpost.auth.secrets import READ_AGAIN_SECONDS, Secret
from rowpost.config.credentials import BasicConfig, OAuth2Config, SignatureConfig
from rowpost.rules.answer import Answer, Verdict
from rowpost.target.delivery import Deliverer
from tests.harness.http_server import Asked, Given, HttpServer
from tests.harness.identity_endpoint import IdentityEndpoint
from tests.harness.key_vault import KeyVault
from tests.harness.oauth_server import AUTHORITY, OAuth
from tests.harness.threads import everything_logged
from tests.target.posting import deliverer, events

DELIVERED = Answer(Verdict.DELIVERED, 200)
SAID = "said-by-the-vault"


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityEndpoint]:
    with IdentityEndpoint() as endpoint:
        endpoint.use(monkeypatch)
        yield endpoint


@pytest.fixture
def vault(identity: IdentityEndpoint) -> Iterator[KeyVault]:
    with KeyVault() as made:
        yield made


def time_passes(secret: Secret) -> None:
    """The secret was read so long ago that it is read again."""
    kept = secret._kept
    assert isinstance(kept, Kept) and kept._held is not None
    kept._held = replace(kept._held, fresh_until=0.0)


def signing(sender: Deliverer) -> Secret:
    signer = sender._sender.caller._signer
    assert signer is not None
    (secret,) = signer._secrets
    return secret


def signing_secret() -> str:
    return f"whsec_{base64.b64encode(os.urandom(32)).decode()}"


def test_a_signature_is_made_with_the_secret_as_it_is_now(vault: KeyVault, identity: IdentityEndpoint) -> None:
    former, newer = signing_secret(), signing_secret()
    vault.secrets["hook"] = former
    with HttpServer(lambda _: Given()) as api:
        sender = deliverer(api.url, signature=SignatureConfig(secrets=[vault.reference("hook")]))
        assert sender.deliver(events(3)) == [DELIVERED] * 3
        vault.secrets["hook"] = newer
        assert sender.deliver(events()) == [DELIVERED] and len(vault.asked) == 1, f"it is kept for {READ_AGAIN_SECONDS} s"
        time_passes(signing(sender))
        assert sender.deliver(events()) == [DELIVERED] and len(vault.asked) == 2
        for asked, secret in zip(api.asked, [former] * 4 + [newer], strict=True):
            Webhook(secret).verify(asked.body, dict(asked.headers))
    assert [query["resource"] for query in identity.queries()] == ["https://vault.azure.net"], "one token for both looks"


def test_while_the_vault_is_away_the_last_secret_serves(vault: KeyVault) -> None:
    vault.secrets["hook"] = secret = signing_secret()
    with HttpServer(lambda _: Given()) as api:
        sender = deliverer(api.url, signature=SignatureConfig(secrets=[vault.reference("hook")]))
        assert sender.deliver(events()) == [DELIVERED]
        vault.before = lambda _: Given(503)
        time_passes(signing(sender))
        assert sender.deliver(events(2)) == [DELIVERED] * 2 and len(vault.asked) == 2, "nor is it asked for each event"
        for asked in api.asked:
            Webhook(secret).verify(asked.body, dict(asked.headers))


def test_a_password_that_was_changed_is_read_when_the_old_one_is_refused(vault: KeyVault) -> None:
    vault.secrets["pass"] = "old"

    def check(asked: Asked) -> Given:
        shown = Authorization.from_header(asked.headers["Authorization"])
        return Given(200 if shown is not None and shown.password == valid else 401)

    valid = "old"
    with HttpServer(check) as api:
        sender = deliverer(api.url, basic=BasicConfig(user="rowpost", password=vault.reference("pass")))
        assert sender.deliver(events()) == [DELIVERED]
        valid = vault.secrets["pass"] = "new"
        assert sender.deliver(events(2)) == [DELIVERED] * 2
        assert [len(api.asked), len(vault.asked)] == [4, 2]
        valid = "of somebody else"
        assert sender.deliver(events()) == [Answer(Verdict.TRANSIENT, 401, "HTTP 401")]


def test_a_client_secret_that_was_changed_is_read_when_the_old_one_is_refused(vault: KeyVault, tmp_path: Path) -> None:
    vault.secrets["client"] = "old"
    with OAuth(tmp_path) as oauth:
        oauth.client("rowpost", "old")
        section = OAuth2Config(
            token_url=oauth.token_url, client_id="rowpost", client_secret=vault.reference("client"), ca=AUTHORITY.pem
        )
        sender = deliverer(oauth.url, oauth2=section)
        assert sender.deliver(events()) == [DELIVERED]
        oauth.client("rowpost", "new")
        vault.secrets["client"] = "new"
        oauth.revoke_all()
        assert sender.deliver(events()) == [DELIVERED]
        assert [len(vault.asked), len(oauth.login.asked)] == [2, 3]


def test_a_token_that_the_vault_refuses_is_fetched_anew(vault: KeyVault, identity: IdentityEndpoint) -> None:
    vault.secrets["hook"] = signing_secret()
    vault.takes = lambda token: token == "identity-token-2"
    with HttpServer(lambda _: Given()) as api:
        sender = deliverer(api.url, signature=SignatureConfig(secrets=[vault.reference("hook")]))
        assert sender.deliver(events()) == [DELIVERED] and len(identity.asked) == 2


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (Given(401), "HTTP 401"),
        (Given(403, SAID.encode()), "HTTP 403: give the app's identity the role Key Vault Secrets User"),
        (Given(404), "HTTP 404: there is no such secret, or it is disabled"),
        (Given(429, b"", {"Retry-After": "20"}), "HTTP 429"),
        (Given(302, b"", {"Location": f"https://evil.example/{SAID}"}), "HTTP 302"),
        (Given(200, SAID.encode()), "an answer without a secret"),
        (Given(200, b'{"value": ""}'), "an answer without a secret"),
        (Given(200, b'["value"]'), "an answer without a secret"),
        (Given(200, f'{{"value": "{SAID}"}}'.encode()), "the secret is no secret of Standard Webhooks: whsec_ and Base64"),
    ],
)
def test_without_a_secret_nothing_is_sent_and_it_is_the_targets_failure(vault: KeyVault, given: Given, told: str) -> None:
    vault.before = lambda _: given
    with HttpServer(lambda _: Given()) as api:
        sender = deliverer(api.url, signature=SignatureConfig(secrets=[vault.reference("hook")]))
        (answer,) = sender.deliver(events())
        retry_after = 20 if given.status == 429 else None
        assert answer == Answer(Verdict.TRANSIENT, None, f"the Key Vault: {told}", retry_after)
        assert api.asked == []


def test_nothing_of_it_is_logged(vault: KeyVault) -> None:
    vault.secrets["hook"] = secret = signing_secret()
    with HttpServer(lambda _: Given()) as api, everything_logged() as lines:
        sender = deliverer(api.url, signature=SignatureConfig(secrets=[vault.reference("hook")]))
        sender.deliver(events())
        vault.before = lambda _: Given(403, SAID.encode())
        time_passes(signing(sender))
        sender.deliver(events())
    assert [line for line in lines if any(text in line for text in (secret, "identity-token", SAID))] == []
