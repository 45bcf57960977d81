"""Fixtures of the T-SQL tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from emulators.tests.tsql.database import Client, Server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    running = Server(tmp_path)
    yield running
    running.database.close()


@pytest.fixture
def client(server: Server) -> Client:
    return server.client()
