"""The certificates of ``ca``: from a file or a setting, whatever form they have on the way; else one sentence at start."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowpost.config.authorities import read_authorities
from rowpost.config.errors import ConfigError
from tests.config.relay_toml import SETTINGS, changed, load
from tests.harness.certificates import issue

ROOT, OTHER = issue("Example Root", authority=True), issue("Other Root", authority=True)
PEM = ROOT.pem
DER_TEXT = base64.b64encode(b"no certificate").decode()


def test_a_file_lies_beside_relay_toml(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "root.pem").write_text(f"subject=Example\n{PEM}{OTHER.pem}", encoding="utf-8")
    config = load(changed("targets.0.ca", "keys/root.pem"), tmp_path)
    assert config.targets[0].ca == PEM + OTHER.pem


def test_a_webhook_has_its_own(tmp_path: Path) -> None:
    (tmp_path / "root.pem").write_text(PEM)
    config = load(changed("notifications.webhooks.0.ca", str(tmp_path / "root.pem")), tmp_path)
    assert (config.notifications.webhooks[0].ca, config.targets[0].ca) == (PEM, None)


@pytest.mark.parametrize(
    "text",
    [PEM, PEM.strip(), PEM.replace("\n", "\r\n"), PEM.replace("\n", " "), PEM.replace("\n", "\\n"), f"\ufeff{PEM}"],
    ids=[
        "as it is",
        "without the last break",
        "of Windows",
        "with blanks for breaks",
        "with written breaks",
        "with a byte order mark",
    ],
)
def test_a_setting_holds_it_in_any_form_that_portals_make(tmp_path: Path, text: str) -> None:
    assert load(changed("targets.0.ca", "%ROOT_CA%"), tmp_path, SETTINGS | {"ROOT_CA": text}).targets[0].ca == PEM


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("missing.pem", r"the file cannot be read \(No such file or directory\); give a path from the folder of relay\.toml"),
        (".", r"the file cannot be read \(Is a directory\)"),
        ("a\0b", r"the file cannot be read \("),
        ("x" * 9000, r"the file cannot be read \(File name too long\)"),
        ("relay.toml", "holds no certificate; give one in PEM form"),
        ("-----BEGIN CERTIFICATE-----", "holds no certificate"),
        ("-----BEGIN PRIVATE KEY-----\nhidden\n-----END PRIVATE KEY-----", "holds no certificate"),
        (f"-----BEGIN CERTIFICATE-----\n{DER_TEXT}\n-----END CERTIFICATE-----", "a certificate cannot be read; export it anew"),
        (f"{PEM}-----BEGIN CERTIFICATE-----\n-----END CERTIFICATE-----", "certificate 2 of 2 cannot be read"),
        (PEM.replace("M", "*"), "a certificate cannot be read"),
        (f"{PEM[:200]}ä{PEM[200:]}", "a certificate cannot be read"),
    ],
)
def test_what_is_none_is_told_at_start(tmp_path: Path, value: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=rf"^relay\.toml: targets\[0\]\.ca: {problem}") as told:
        load(changed("targets.0.ca", "%ROOT_CA%"), tmp_path, SETTINGS | {"ROOT_CA": value})
    assert "hidden" not in str(told.value) and len(str(told.value)) < 300


@given(st.text(max_size=80), st.integers(0, len(PEM)), st.integers(0, 80))
def test_whatever_is_given_is_read_or_refused(text: str, place: int, removed: int) -> None:
    for value in (text, PEM[:place] + text + PEM[place + removed :]):
        assert _said(value).startswith(("-----BEGIN CERTIFICATE-----", "the file cannot", "holds no", "a certificate cannot"))


def _said(value: str) -> str:
    try:
        return read_authorities(value, Path("/nowhere"))
    except ValueError as error:
        return str(error)


@pytest.mark.parametrize("section", ["targets.0", "notifications.webhooks.0"])
def test_it_is_of_no_use_without_tls(tmp_path: Path, section: str) -> None:
    (tmp_path / "root.pem").write_text(PEM)
    document = changed(f"{section}.ca", "root.pem")
    owner = document["targets"][0] if section.startswith("targets") else document["notifications"]["webhooks"][0]
    owner["url"] = "HTTP://api.example/"
    with pytest.raises(ConfigError, match=r"\[0\]\.ca: is of no use with an http address; use https, or remove it$"):
        load(document, tmp_path)
