"""Scenarios 46 to 50: rows that a function parks, and their recovery.."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.tests.sql_trigger.steps import exhaust, park
from emulators.tests.sql_trigger.world import Failure, World

SENTINEL = 2**63 - 1


def parking(world: World, listener: Any, seconds: int, version: int | None = None) -> Any:
    """A body that parks row 1; with a version it then returns success, else it fails."""

    async def body(changes: list[dict[str, Any]]) -> None:
        if any(change["Item"]["Id"] == 1 for change in changes):
            park(world, listener(), 1, seconds=seconds, version=version)
            if version is None:
                raise Failure

    return body


def test_scenario_46_a_parked_row_waits_and_holds_the_cursor(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    function.body = parking(world, lambda: listener, 600)
    version = world.insert(1)
    world.until(lambda: function.ids == [1], 5)
    parked = world.time.now()
    function.body = None
    assert world.metric(listener) == 0
    world.insert(2)
    world.insert(3)
    world.advance(500)
    assert function.ids == [1, 2, 3]
    assert world.cursor(listener) < version
    attempts: list[int] = []

    async def look(changes: list[dict[str, Any]]) -> None:
        attempts.append(world.leases(listener)[1].attempts)

    function.body = look
    world.until(lambda: len(function.ids) == 4, 200)
    assert function.ids[3] == 1
    assert attempts == [1]
    waited = (function.invocations[-1].at - parked).total_seconds()
    assert 600 <= waited <= 602


@pytest.mark.parametrize("sentinel", [False, True])
def test_scenario_47_parking_and_success(world: World, sentinel: bool) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)

    async def park_and_return(changes: list[dict[str, Any]]) -> None:
        if len(function.invocations) == 1:
            park(world, listener, 1, seconds=600, version=SENTINEL if sentinel else None)

    function.body = park_and_return
    first = world.insert(1)
    world.insert(2)
    world.advance(1000)
    if sentinel:
        assert function.ids == [1, 2, 1]
        assert (function.invocations[1].at - function.invocations[0].at).total_seconds() >= 600
    else:
        assert function.ids == [1, 2]
        assert world.cursor(listener) >= first


def test_scenario_48_a_renewal_overwrites_parking(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)

    async def settle_too_early(changes: list[dict[str, Any]]) -> None:
        if len(function.invocations) == 1:
            park(world, listener, 1, seconds=600)
            world.sql(
                f"UPDATE {listener.lease_table} SET _az_func_AttemptCount = 0, _az_func_LeaseExpirationTime = NULL WHERE Id = 2;"
            )
            await world.clock.sleep(16)  # long enough for a renewal
            raise Failure

    function.body = settle_too_early
    world.insert(1, 2)
    world.until(lambda: len(function.invocations) == 2, 200)
    assert function.invocations[1].ids == [1, 2]
    assert (function.invocations[1].at - function.invocations[0].at).total_seconds() <= 78


@pytest.mark.parametrize("sentinel", [False, True])
def test_scenario_49_a_parked_row_that_changes_again(world: World, sentinel: bool) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    function.body = parking(world, lambda: listener, 600, SENTINEL if sentinel else None)
    world.insert(1)
    world.until(lambda: function.ids == [1], 5)

    async def change_meanwhile(changes: list[dict[str, Any]]) -> None:
        world.update(1)  # beyond the version that this batch moves the cursor to

    function.body = change_meanwhile
    world.insert(2)
    world.until(lambda: len(function.invocations) == 2, 10)
    function.body = None
    world.advance(100)
    assert function.ids == ([1, 2] if sentinel else [1, 2, 1])


@pytest.mark.parametrize("bounded", [True, False])
def test_scenario_50_targeted_rewind(world: World, bounded: bool) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    before = world.cursor(listener)
    world.insert(1)
    exhaust(world, function, 1)
    world.insert(2, 3)
    world.advance(3)
    current = world.cursor(listener)
    assert current > before
    function.clear()
    function.body = None
    world.stop(listener)
    world.insert(4)
    bound = f"AND c.SYS_CHANGE_VERSION <= {current}" if bounded else ""
    world.sql(
        f"""
DECLARE @target bigint = {before}, @lock int;
BEGIN TRANSACTION;
EXEC @lock = sp_getapplock @Resource = N'_az_func_Trigger', @LockMode = 'Exclusive', @LockOwner = 'Transaction',
    @LockTimeout = 1000;
INSERT INTO {listener.lease_table}
SELECT c.Id, c.SYS_CHANGE_VERSION, 0, NULL FROM CHANGETABLE(CHANGES dbo.Item, @target) AS c
WHERE c.Id <> 1 AND NOT EXISTS (SELECT 1 FROM {listener.lease_table} AS l WHERE l.Id = c.Id) {bound};
UPDATE az_func.GlobalState SET LastSyncVersion = @target;
COMMIT TRANSACTION;"""
    )
    world.start(function)
    world.advance(10)
    assert sorted(function.ids) == ([1, 4] if bounded else [1])  # without the bound the backlog is lost
