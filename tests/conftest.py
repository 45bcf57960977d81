"""Fixtures of the tests that run the whole app."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from emulators.process import Emulator
from emulators.warm import Forked
from tests.harness.running_relay import CONFIG, ORDERS, Relay

if sys.platform == "linux":
    Emulator.starter = Forked

# Files that take minutes begin first, so that no process is left with one of them at the end.
_LONG = (
    "test_demo.py",
    "test_mutants.py",
    "test_unable_relays.py",
    "test_simulation.py",
    "test_resync_crashes.py",
    "test_truth.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that take minutes come first; each file stays whole."""
    items.sort(key=lambda item: _LONG.index(item.path.name) if item.path.name in _LONG else len(_LONG))


@pytest.fixture
def make_relay(tmp_path: Path) -> Iterator[Callable[..., Relay]]:
    """A factory of running relays; all are stopped at the end of the test."""
    running: list[Relay] = []

    def make(config: str = CONFIG, tables: str = ORDERS, *, start: bool = True, **options: Any) -> Relay:
        directory = tmp_path / f"relay{len(running)}"
        directory.mkdir()
        relay = Relay(directory, config, tables, **options)
        running.append(relay)
        if start:
            relay.start()
            relay.advance(2)
        return relay

    yield make
    try:
        for relay in running:
            relay.contract.check()
    finally:
        for relay in reversed(running):
            relay.stack.stop()
            relay.time.close()


@pytest.fixture
def relay(make_relay: Callable[..., Relay]) -> Relay:
    """A running relay of dbo.Orders."""
    return make_relay()
