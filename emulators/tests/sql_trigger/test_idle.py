"""What a listener costs in virtual time: nothing while it is idle, one look per lease that ends, one renewal in 15 s."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from emulators.clock import VirtualTime, clock_from_spec
from emulators.launch import SqlServer
from emulators.tests.sql_trigger.world import LoopThread, World, failing_on, failing_times

WEEK = 7 * 86_400
POLL, HAND_OUT, RELEASE, RENEWAL = 5, 6, 4, 3  # round trips, as of the real extension


def test_an_idle_week_takes_a_handful_of_polls(world: World) -> None:
    world.create_table()
    world.start(world.function())
    world.insert(1, 2)
    world.advance(5)
    before = world.requests()
    world.advance(WEEK)
    assert world.requests() - before <= 3 * POLL


def test_round_trips_of_a_batch(world: World) -> None:
    world.create_table()
    world.start(world.function())
    world.insert(1)
    world.advance(5)
    before = world.requests()
    world.insert(2)
    world.advance(0.5)
    assert world.requests() == before  # the pause after the last poll
    world.until(lambda: world.requests() > before, 5)
    world.advance(0.1)
    assert world.requests() - before == HAND_OUT + RELEASE
    world.advance(1.2)
    assert world.requests() - before == HAND_OUT + RELEASE + POLL


def test_an_exhausted_row_does_not_keep_the_listener_polling(world: World) -> None:
    world.create_table()
    function = world.function(failing_on(1))
    world.start(function)
    world.insert(1)
    world.advance(600)
    assert len(function.invocations) == 5
    before = world.requests()
    world.advance(WEEK)
    assert world.requests() - before <= 3 * POLL


def test_a_leased_row_is_looked_at_when_its_lease_ends(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)

    async def park(changes: list[dict[str, Any]]) -> None:
        world.sql(
            f"UPDATE {listener.lease_table} SET _az_func_AttemptCount = 0, "
            "_az_func_LeaseExpirationTime = DATEADD(day, 3, SYSDATETIME());"
        )
        raise RuntimeError

    function.body = park
    world.insert(1)
    world.advance(5)
    function.body = None
    before = world.requests()
    world.advance(3 * 86_400 + 10)
    assert function.ids == [1, 1]
    assert world.requests() - before <= HAND_OUT + RELEASE + 3 * POLL


def test_a_running_function_costs_one_renewal_in_fifteen_seconds(world: World) -> None:
    world.create_table()

    async def work(changes: list[dict[str, Any]]) -> None:
        await world.clock.sleep(3600)

    function = world.function(work)
    world.start(function)
    world.insert(1)
    world.until(lambda: function.running == 1, 5)
    before = world.requests()
    world.advance(3500)
    assert 230 * RENEWAL <= world.requests() - before <= 236 * RENEWAL


def test_a_server_in_another_time_zone(tmp_path: Path, virtual_time: VirtualTime) -> None:
    with SqlServer(tmp_path, virtual_time.spec, time_zone_offset_minutes=-330) as server:
        loop, clock = LoopThread(), clock_from_spec(virtual_time.spec)
        loop.run(clock.start())
        world = World(server, virtual_time, clock, loop, server.connect())
        world.sql("ALTER DATABASE CURRENT SET CHANGE_TRACKING = ON (CHANGE_RETENTION = 2 DAYS, AUTO_CLEANUP = ON);")
        world.create_table()
        function = world.function(failing_times(2))
        world.start(function)
        world.insert(1)
        world.advance(200)
        first, second, third = (run.at for run in function.invocations)
        assert 60 <= (second - first).total_seconds() <= 62
        assert 60 <= (third - second).total_seconds() <= 62
        world.clean_up()
