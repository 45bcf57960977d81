"""Targets to post to."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulators.clock import clock_from_spec
from emulators.downstream.api import Downstream
from tests.harness.raw_server import RawServer


@pytest.fixture
def api() -> Iterator[Downstream]:
    with Downstream(clock_from_spec("real")) as downstream:
        yield downstream


@pytest.fixture
def raw() -> Iterator[RawServer]:
    with RawServer() as server:
        yield server
