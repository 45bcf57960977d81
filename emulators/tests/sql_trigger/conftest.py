"""Fixtures of these tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from emulators.clock import VirtualTime, clock_from_spec
from emulators.launch import SqlServer
from emulators.tests.sql_trigger.world import START, LoopThread, World


@pytest.fixture(scope="module")
def virtual_time(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VirtualTime]:
    """Virtual time for the tests of a module."""
    time = VirtualTime(tmp_path_factory.mktemp("time"), START)
    yield time
    time.close()


@pytest.fixture(scope="module")
def sql_server(tmp_path_factory: pytest.TempPathFactory, virtual_time: VirtualTime) -> Iterator[SqlServer]:
    """A SQL Server emulator whose database has change tracking on."""
    with SqlServer(tmp_path_factory.mktemp("sql"), virtual_time.spec) as server:
        with server.connect() as connection:
            connection.execute("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 14 DAYS, AUTO_CLEANUP = ON);")
        yield server


@pytest.fixture
def world(sql_server: SqlServer, virtual_time: VirtualTime) -> Iterator[World]:
    """A world without tables."""
    loop = LoopThread()
    clock = clock_from_spec(virtual_time.spec)
    loop.run(clock.start())
    world = World(sql_server, virtual_time, clock, loop, sql_server.connect())
    yield world
    world.clean_up()
