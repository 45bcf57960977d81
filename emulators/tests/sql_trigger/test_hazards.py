"""Why resetting attempt counts after the fact does not help: six ways in which a row never arrives.

Each test lets the SQL trigger use up a row's five attempts, lets life go on, and then applies the well-known recipe
``UPDATE … SET _az_func_AttemptCount = 0``. The row is not handed out again.
"""

from __future__ import annotations

from typing import Any

import pytest

from emulators.functions_host.sql_trigger import SqlTriggerListener
from emulators.tests.sql_trigger.world import Failure, Function, World, failing_on

DAY = 86_400


def reset_attempts(world: World, listener: SqlTriggerListener) -> int:
    """The recipe; returns how many rows it touched."""
    return int(world.connection.execute(f"UPDATE {listener.lease_table} SET _az_func_AttemptCount = 0;").rowcount)


def exhaust(world: World, function: Function, *ids: int) -> None:
    """Let all five hand-outs of rows fail, and their last lease end."""
    function.body = failing_on(*ids)
    world.until(lambda: sum(set(ids) <= set(run.ids) for run in function.invocations) >= 5, 400)
    world.advance(62)
    function.body = None
    function.clear()


@pytest.fixture
def function(world: World) -> Function:
    return world.function()


@pytest.fixture
def listener(world: World, function: Function) -> SqlTriggerListener:
    world.create_table()
    return world.start(function)


def test_hazard_a_poison_row(world: World, function: Function, listener: SqlTriggerListener) -> None:
    world.insert(1)
    exhaust(world, function, 1)
    world.insert(2)
    world.advance(5)
    assert function.ids == [2]
    assert reset_attempts(world, listener) == 0  # there is no lease left to reset
    world.advance(DAY)
    assert function.ids == [2]


def test_hazard_a_counter_check_the_recipe_works_before_any_success(
    world: World, function: Function, listener: SqlTriggerListener
) -> None:
    world.insert(1)
    exhaust(world, function, 1)
    assert reset_attempts(world, listener) == 1
    world.advance(DAY)
    assert function.ids == [1]


def test_hazard_b_good_rows_in_its_batch(world: World, function: Function, listener: SqlTriggerListener) -> None:
    world.insert(1, 2, 3, 4)
    exhaust(world, function, 3)  # one row fails, the batch fails with it
    world.insert(5)
    world.advance(5)
    reset_attempts(world, listener)
    world.advance(DAY)
    assert function.ids == [5]  # 1, 2 and 4 are as lost as 3


def test_hazard_c_fifth_attempt_in_flight(world: World, function: Function, listener: SqlTriggerListener) -> None:
    world.insert(1)
    function.body = failing_on(1)
    world.until(lambda: len(function.invocations) == 4, 400)

    async def work_then_fail(changes: list[dict[str, Any]]) -> None:
        await world.clock.sleep(40)
        raise Failure

    function.body = work_then_fail
    world.until(lambda: function.running == 1, 100)
    other = world.function()
    world.start(other)
    world.insert(2)
    world.advance(5)
    assert (function.running, other.ids) == (1, [2])
    assert reset_attempts(world, listener) == 0  # even while the attempt still runs
    function.body = None
    world.advance(DAY)
    assert (function.ids, other.ids) == ([1] * 5, [2])


def test_hazard_d_exhausted_row_changes_again(world: World, function: Function, listener: SqlTriggerListener) -> None:
    world.insert(1)
    exhaust(world, function, 1)
    world.update(1, name="never attempted once")
    world.insert(2)
    world.advance(5)
    reset_attempts(world, listener)
    world.advance(DAY)
    assert [change["Item"] for change in function.changes] == [{"Id": 2, "Name": "row 2"}]


def test_hazard_e_exhausted_row_is_deleted(world: World, function: Function, listener: SqlTriggerListener) -> None:
    world.insert(1)
    exhaust(world, function, 1)
    world.delete(1)
    world.insert(2)
    world.advance(5)
    reset_attempts(world, listener)
    world.advance(DAY)
    assert function.ids == [2]
    assert world.scalar("SELECT COUNT(*) FROM dbo.Item WHERE Id = 1;") == 0  # nobody downstream hears of it


def test_hazard_f_retention_clean_up(world: World, function: Function, listener: SqlTriggerListener) -> None:
    world.insert(1)
    exhaust(world, function, 1)
    world.sql("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 1 HOURS, AUTO_CLEANUP = ON);")
    try:
        world.advance(DAY)  # nothing succeeds meanwhile: the lease row is still there
        assert reset_attempts(world, listener) == 1
        world.advance(DAY)
        assert function.ids == []
        assert world.logged("[PreInvocation]")
    finally:
        world.sql("ALTER DATABASE CURRENT SET CHANGE_TRACKING (CHANGE_RETENTION = 14 DAYS, AUTO_CLEANUP = ON);")
