"""Tokens by managed identity: the real SDK, against a server that speaks the identity endpoint of App Service."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from rowpost.config.credentials import ManagedIdentityConfig
from rowpost.rules.answer import Answer, Verdict
from tests.harness.http_server import Asked, Given, HttpServer
from tests.harness.identity_endpoint import HEADER, IdentityEndpoint
from tests.harness.threads import everything_logged
from tests.target.posting import SHORT, deliverer, events, post

ROOT = Path(__file__).resolve().parents[3]
DELIVERED = Answer(Verdict.DELIVERED, 200)
RESOURCE = "api://0f1e2d3c-0000-0000-0000-000000000000"
OWN = "11111111-2222-3333-4444-555555555555"
SAID = "said-by-the-endpoint"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> Iterator[IdentityEndpoint]:
    with IdentityEndpoint() as endpoint:
        endpoint.use(monkeypatch)
        yield endpoint


@pytest.fixture
def api() -> Iterator[HttpServer]:
    with HttpServer(lambda _: Given()) as server:
        yield server


def shown(api: HttpServer) -> list[str | None]:
    return [asked.headers.get("Authorization") for asked in api.asked]


def section(client_id: str | None = None) -> ManagedIdentityConfig:
    return ManagedIdentityConfig(resource=RESOURCE, client_id=client_id)


def test_one_token_of_the_resource_serves_many_events(identity: IdentityEndpoint, api: HttpServer) -> None:
    sender = deliverer(api.url, managed_identity=section(), concurrency=4)
    assert sender.deliver(events(6)) == [DELIVERED] * 6
    assert shown(api) == ["Bearer identity-token-1"] * 6
    assert identity.queries() == [{"api-version": "2019-08-01", "resource": RESOURCE}]


@pytest.mark.parametrize(("configured", "setting"), [(OWN, None), (None, OWN), (OWN, OWN[::-1])])
def test_the_identity_is_the_configured_one_or_that_of_the_setting(
    identity: IdentityEndpoint, api: HttpServer, monkeypatch: pytest.MonkeyPatch, configured: str | None, setting: str | None
) -> None:
    identity.use(monkeypatch, setting)
    assert post(api.url, managed_identity=section(configured)) == DELIVERED
    assert [query["client_id"] for query in identity.queries()] == [OWN]


def test_a_refused_token_is_fetched_anew_though_the_sdk_keeps_it(identity: IdentityEndpoint, api: HttpServer) -> None:
    api.answer = lambda asked: Given(401 if asked.headers["Authorization"].endswith("-1") else 200)
    assert post(api.url, managed_identity=section()) == DELIVERED
    assert shown(api) == ["Bearer identity-token-1", "Bearer identity-token-2"]


def test_a_token_whose_time_is_over_is_fetched_anew(identity: IdentityEndpoint, api: HttpServer) -> None:
    identity.seconds = 1
    sender = deliverer(api.url, managed_identity=section())
    for number in range(1, 5000):
        assert sender.deliver(events(1, number)) == [DELIVERED]
        if len(identity.asked) == 2:
            break
    assert shown(api)[-1] == "Bearer identity-token-2"


@pytest.mark.parametrize(
    "given",
    [
        Given(500, SAID.encode()),
        Given(400, f'{{"error": "{SAID}", "error_description": "{SAID}"}}'.encode(), JSON),
        Given(200, SAID.encode(), JSON),
        Given(200, b'{"access_token": "a\\r\\nb", "expires_on": "99999999999", "resource": "x"}', JSON),
        Given(200, b"{}", JSON),
        Given(302, b"", {"Location": f"https://evil.example/{SAID}"}),
        Given(429, b"", {"Retry-After": "3600"}),
    ],
)
def test_without_a_token_it_is_the_targets_failure(identity: IdentityEndpoint, api: HttpServer, given: Given) -> None:
    identity.before = lambda _: given
    answer = post(api.url, managed_identity=section())
    assert (
        answer.verdict is Verdict.TRANSIENT and answer.status is None and (answer.error or "").startswith("the managed identity: ")
    )
    assert SAID not in repr(answer) and api.asked == [] and len(identity.asked) == 1, "one request, and no wait of the SDK's own"


def test_an_endpoint_that_is_away_or_silent_takes_no_longer_than_a_target(
    identity: IdentityEndpoint, api: HttpServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(_: Asked) -> Given:
        identity.over.wait()
        return Given()

    identity.before = never
    answer = post(api.url, managed_identity=section(), timeout=SHORT)
    assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, None) and "the managed identity: " in str(answer.error)
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    monkeypatch.setenv("IDENTITY_ENDPOINT", f"http://127.0.0.1:{port}/msi/token")
    answer = post(api.url, managed_identity=section())
    assert (answer.verdict, answer.status) == (Verdict.TRANSIENT, None) and "the managed identity: " in str(answer.error)
    assert api.asked == []


def test_neither_token_nor_header_is_logged(identity: IdentityEndpoint, api: HttpServer) -> None:
    with everything_logged() as lines:
        post(api.url, managed_identity=section())
        for given in (
            Given(400, f'{{"error": "{SAID}"}}'.encode(), JSON),
            Given(500, SAID.encode()),
        ):
            identity.before = lambda _, given=given: given  # type: ignore[misc]
            post(api.url, managed_identity=section())
    assert [line for line in lines if any(text in line for text in (HEADER, "identity-token", SAID))] == []


USED = """
import sys
from rowpost.config.credentials import BasicConfig, ManagedIdentityConfig, OAuth2Config, SignatureConfig
from rowpost.config.sections import TargetConfig
from rowpost.target.delivery import Deliverer
secret = "whsec_" + "A" * 43
Deliverer(TargetConfig(name="a", url="https://a.example", basic=BasicConfig(user="a", password="b")))
Deliverer(TargetConfig(name="b", url="https://a.example", signature=SignatureConfig(secrets=[secret])))
Deliverer(TargetConfig(name="c", url="https://a.example", managed_identity=ManagedIdentityConfig(resource="api://x")))
Deliverer(TargetConfig(name="d", url="https://a.example",
    oauth2=OAuth2Config(token_url="https://a.example", client_id="a", client_secret="b")))
print(sorted({name.partition(".")[0] for name in sys.modules} & {"azure", "msal", "cryptography", "jwt"}))
"""


def test_the_sdk_is_not_imported_before_the_first_token_is_asked_for() -> None:
    done = subprocess.run([sys.executable, "-c", USED], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stdout + done.stderr
