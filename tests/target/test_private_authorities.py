"""A target behind a private certificate authority: named by ``ca``, it is verified as any other. At the wire."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest
from cryptography import x509

from rowpost.rules.answer import Answer, Verdict
from tests.harness.certificates import Issued, issue
from tests.harness.raw_server import RawServer
from tests.target.posting import post

DELIVERED = Answer(Verdict.DELIVERED, 200)
REFUSED = Answer(Verdict.TRANSIENT, None, "TLS failure: the certificate or the protocol of the target was not accepted")

ROOT = issue("Example Root", authority=True)
BETWEEN = issue("Example Issuing", ROOT, authority=True)
LEAF = issue("api.example", BETWEEN)
OTHER = issue("Other Root", authority=True)


def answer(folder: Path, server: Issued, ca: str | None) -> Answer:
    with RawServer(tls=server.tls(folder)) as raw:
        return post(raw.url, ca=ca)


@pytest.mark.parametrize(
    "ca",
    [ROOT.pem, BETWEEN.pem, LEAF.pem, OTHER.pem + ROOT.pem],
    ids=["its root", "the authority between", "its own certificate", "one of several"],
)
def test_a_server_for_whom_a_named_certificate_vouches_is_trusted(tmp_path: Path, ca: str) -> None:
    assert answer(tmp_path, LEAF, ca) == DELIVERED


def test_nobody_vouches_for_it_without(tmp_path: Path) -> None:
    assert answer(tmp_path, LEAF, None) == REFUSED


def test_another_authority_does_not_vouch_for_it(tmp_path: Path) -> None:
    assert answer(tmp_path, LEAF, OTHER.pem) == REFUSED


def test_the_name_is_verified(tmp_path: Path) -> None:
    elsewhere = issue("elsewhere", ROOT, names=(x509.DNSName("elsewhere.example"),))
    assert answer(tmp_path, elsewhere, ROOT.pem) == REFUSED


@pytest.mark.parametrize("days", [(-3, -1), (1, 3)], ids=["over", "not begun"])
def test_the_time_of_a_certificate_is_verified(tmp_path: Path, days: tuple[int, int]) -> None:
    assert answer(tmp_path, issue("late", ROOT, days=days), ROOT.pem) == REFUSED


@pytest.mark.parametrize("ca", [None, LEAF.pem], ids=["the public's", "a private one"])
def test_the_public_and_a_private_authority_are_not_mixed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ca: str | None) -> None:
    """What requests and OpenSSL take from the environment changes nothing."""
    (tmp_path / "other.pem").write_text(ROOT.pem + OTHER.pem)
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "other.pem"))
    assert answer(tmp_path, issue("other", OTHER), ca) == REFUSED


@pytest.mark.parametrize("named", [False, True], ids=["the public's", "a private one"])
def test_tls_1_2_is_the_oldest(tmp_path: Path, named: bool) -> None:
    context = LEAF.tls(tmp_path)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with RawServer(tls=context) as raw:
        assert post(raw.url, ca=ROOT.pem if named else None) == REFUSED
    context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_2
    with RawServer(tls=context) as raw:
        assert post(raw.url, ca=ROOT.pem) == DELIVERED
