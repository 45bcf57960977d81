"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from emulators.clock import VirtualTime
from emulators.tests.functions_host.world import START, World


@pytest.fixture
def virtual_time(tmp_path: Path) -> Iterator[VirtualTime]:
    coordinator = VirtualTime(tmp_path, START)
    yield coordinator
    coordinator.close()


@pytest.fixture
def world(tmp_path: Path, virtual_time: VirtualTime) -> Iterator[World]:
    made = World(tmp_path, virtual_time)
    with made.host:
        yield made


@pytest.fixture
def make_app(tmp_path: Path) -> Callable[[str, str], Path]:
    """Write an app of one file; its directory."""

    def make(source: str, host_json: str = '{"version": "2.0"}') -> Path:
        app = tmp_path / "app"
        app.mkdir(exist_ok=True)
        (app / "function_app.py").write_text(source)
        (app / "host.json").write_text(host_json)
        return app

    return make
