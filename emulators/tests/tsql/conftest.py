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


@pytest.fixture
def table(client: Client) -> Client:
    """A client of a database with a small table, dbo.T."""
    client.rows("CREATE TABLE dbo.T (Id int PRIMARY KEY, N int NOT NULL); INSERT dbo.T VALUES (1, 10), (2, 20)")
    return client
