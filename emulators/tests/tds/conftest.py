"""One server with the scripted engine for each module, and clients of it."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pyodbc
import pytest

from emulators.tests.tds.client import TdsClient
from emulators.tests.tds.server import RunningServer

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="package")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    pyodbc.pooling = False
    certificate = tmp_path_factory.mktemp("wire") / "certificate.pem"
    command = [sys.executable, "-m", "emulators.tests.tds.scripted_engine", str(certificate)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        yield RunningServer(ready["port"], ready["control_port"], certificate)
        process.terminate()
        assert process.wait(10) == 0


@pytest.fixture
def connection(server: RunningServer) -> Iterator[pyodbc.Connection]:
    with contextlib.closing(server.connect()) as opened:
        yield opened


@pytest.fixture
def client(server: RunningServer) -> Iterator[TdsClient]:
    with contextlib.closing(TdsClient(server.port)) as opened:
        yield opened


@pytest.fixture
def faults(server: RunningServer) -> Iterator[RunningServer]:
    yield server
    server.control("DELETE", "/faults")
