"""Targets to post to."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.clock import clock_from_spec
from emulators.downstream.api import Downstream
from tests.harness.certificates import self_signed
from tests.harness.raw_server import RawServer


@pytest.fixture
def api() -> Iterator[Downstream]:
    with Downstream(clock_from_spec("real")) as downstream:
        yield downstream


@pytest.fixture
def raw() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server


@pytest.fixture
def trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """TLS of a server that the app trusts."""
    context = self_signed(tmp_path)
    monkeypatch.setattr("requests.adapters.DEFAULT_CA_BUNDLE_PATH", str(tmp_path / "server.pem"))
    return context
