"""Targets to post to."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.clock import clock_from_spec
from emulators.downstream.api import Downstream
from tests.harness.certificates import Trusted, issue
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
def trusted(tmp_path: Path) -> Trusted:
    """A server that the app trusts, if it is told whom to trust."""
    issued = issue("127.0.0.1")
    return Trusted(issued.tls(tmp_path), issued.pem)
