"""mTLS: a target that asks for a certificate of a private authority gets the one of the app. At the wire."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from rowpost.config.credentials import ClientCertificateConfig, OAuth2Config
from rowpost.rules.answer import Answer, Verdict
from tests.harness.certificates import Issued, issue
from tests.harness.http_server import Asked, Given, HttpServer
from tests.harness.oauth_server import AUTHORITY, OAuth
from tests.target.posting import deliverer, events, post

DELIVERED = Answer(Verdict.DELIVERED, 200)
NOT_KNOWN = Answer(
    Verdict.TRANSIENT, None, "TLS failure: the target asks for a client certificate, or does not accept the one of this app"
)
# With TLS 1.3 a server refuses after the handshake, and closes: whether its alert or the end is seen first is not certain.
CLOSED = Answer(Verdict.TRANSIENT, None, "connection failed or was closed by the target")
BROKEN = Answer(Verdict.TRANSIENT, None, "TLS failure: the certificate or the protocol of the target was not accepted")

SERVERS_ROOT, CLIENTS_ROOT = issue("Servers", authority=True), issue("Clients", authority=True)
SERVER = issue("api", SERVERS_ROOT)
BETWEEN = issue("Clients Issuing", CLIENTS_ROOT, authority=True)
CLIENT = issue("rowpost-app", BETWEEN)
STRANGER = issue("stranger", issue("Others", authority=True))
LATE = issue("late", CLIENTS_ROOT, days=(-3, -1))


def asking(folder: Path, newest: ssl.TLSVersion) -> ssl.SSLContext:
    """TLS of a server that talks only to whom the authority of clients vouches for."""
    context = SERVER.tls(folder)
    context.verify_mode = ssl.CERT_REQUIRED
    context.load_verify_locations(cadata=CLIENTS_ROOT.pem)
    context.maximum_version = newest
    return context


def section(issued: Issued) -> ClientCertificateConfig:
    return ClientCertificateConfig(certificate=issued.pem + issued.above, key=issued.key_pem)


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["TLS 1.2", "TLS 1.3"])
def tls(request: pytest.FixtureRequest, tmp_path: Path) -> ssl.SSLContext:
    return asking(tmp_path, request.param)


def test_the_target_sees_the_certificate_of_the_app(tls: ssl.SSLContext) -> None:
    with HttpServer(lambda _: Given(), tls) as api:
        sender = deliverer(api.url, ca=SERVERS_ROOT.pem, client_certificate=section(CLIENT))
        assert sender.deliver(events(3)) == [DELIVERED] * 3
        names = [dict(pair for (pair,) in asked.certificate["subject"]) for asked in api.asked if asked.certificate]
        assert names == [{"commonName": "rowpost-app"}] * 3


def test_without_one_nothing_is_sent_and_the_reason_is_told(tls: ssl.SSLContext) -> None:
    with HttpServer(lambda _: Given(), tls) as api:
        answer = post(api.url, ca=SERVERS_ROOT.pem)
        assert answer.verdict is Verdict.TRANSIENT and answer.status is None and api.asked == []
        if tls.maximum_version is ssl.TLSVersion.TLSv1_3:  # older TLS says no more than that the handshake has failed
            assert answer in (NOT_KNOWN, CLOSED, BROKEN)


@pytest.mark.parametrize("shown", [STRANGER, LATE], ids=["of another authority", "its time is over"])
def test_one_that_the_target_does_not_accept_is_told_as_such(tls: ssl.SSLContext, shown: Issued) -> None:
    with HttpServer(lambda _: Given(), tls) as api:
        answer = post(api.url, ca=SERVERS_ROOT.pem, client_certificate=section(shown))
        assert answer in ((NOT_KNOWN, CLOSED, BROKEN) if tls.maximum_version is ssl.TLSVersion.TLSv1_3 else (NOT_KNOWN,))
        assert api.asked == []


def test_the_target_is_verified_all_the_same(tls: ssl.SSLContext) -> None:
    """With a certificate of one's own too, only those are trusted that are named, or else the public."""
    refused = Answer(Verdict.TRANSIENT, None, "TLS failure: the certificate or the protocol of the target was not accepted")
    with HttpServer(lambda _: Given(), tls) as api:
        for ca in (None, CLIENTS_ROOT.pem):
            assert post(api.url, ca=ca, client_certificate=section(CLIENT)) == refused
        assert api.asked == []


def test_it_goes_together_with_a_token(tls: ssl.SSLContext, tmp_path: Path) -> None:
    with OAuth(tmp_path) as oauth:
        oauth.client("rowpost", "secret")
        login = OAuth2Config(token_url=oauth.token_url, client_id="rowpost", client_secret="secret", ca=AUTHORITY.pem)

        def both(asked: Asked) -> Given:
            return Given(200 if asked.certificate and asked.headers["Authorization"] == "Bearer token-1" else 401)

        with HttpServer(both, tls) as api:
            sender = deliverer(api.url, ca=SERVERS_ROOT.pem, client_certificate=section(CLIENT), oauth2=login)
            assert sender.deliver(events()) == [DELIVERED]
