"""Scenarios 26 to 45: failures of the function, of the database and of workers.."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from datetime import timedelta
from typing import Any

import pytest

from emulators.tests.sql_trigger.steps import exhaust
from emulators.tests.sql_trigger.world import (
    HOST_ID,
    ROOT,
    SITE,
    START,
    Failure,
    Lease,
    World,
    failing_on,
    failing_times,
)

RELEASE = "LastAccessTime = GETUTCDATE"  # stands in the statement that releases leases, and in no other


def test_scenario_26_rows_of_a_failed_batch_come_again(world: World) -> None:
    world.create_table()
    function = world.function(failing_times(1))
    listener = world.start(function)
    version = world.insert(1)
    world.until(lambda: len(function.invocations) == 1, 5)
    assert world.leases(listener)[1].attempts == 1
    attempts: list[int] = []

    async def look(changes: list[dict[str, Any]]) -> None:
        attempts.append(world.leases(listener)[1].attempts)

    function.body = look
    world.until(lambda: len(function.invocations) == 2, 100)
    first, second = (run.at for run in function.invocations)
    assert timedelta(seconds=60) <= second - first <= timedelta(seconds=62)
    assert attempts == [2]
    world.advance(1)
    assert world.leases(listener).get(1, Lease(version, 0, None)).attempts == 0


def test_scenario_27_new_rows_pass_a_failed_batch(world: World) -> None:
    world.create_table()
    function = world.function(failing_on(1))
    listener = world.start(function)
    failed = world.insert(1)
    world.advance(3)
    world.insert(2, 3)
    world.advance(3)
    assert function.ids == [1, 2, 3]
    assert world.cursor(listener) < failed


def test_scenario_28_four_failures_then_success(world: World) -> None:
    world.create_table()
    function = world.function(failing_times(4))
    listener = world.start(function)
    version = world.insert(1)
    world.advance(400)
    assert function.ids == [1] * 5
    assert world.cursor(listener) == version
    assert world.leases(listener) == {}


def test_scenario_29_no_sixth_hand_out(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    world.insert(1)
    exhaust(world, function, 1)
    world.advance(3600)
    assert function.ids == [1] * 5
    assert world.logged("1 ignored because all attempts were used", "DEBUG")
    assert world.metric(listener) == 0


def test_scenario_30_an_exhausted_row_is_passed_and_forgotten(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    poison = world.insert(1)
    exhaust(world, function, 1)
    assert world.leases(listener)[1].attempts == 5
    world.insert(2)
    world.advance(3)
    assert world.cursor(listener) > poison
    assert 1 not in world.leases(listener)
    touched = world.connection.execute(f"UPDATE {listener.lease_table} SET _az_func_AttemptCount = 0 WHERE Id = 1;").rowcount
    assert touched == 0
    world.advance(3600)
    assert function.ids == [1] * 5 + [2]


def test_scenario_31_fifth_attempt_in_flight_loses_its_lease(world: World) -> None:
    world.create_table()
    slow = world.function(failing_on(1))
    listener = world.start(slow)
    world.insert(1)
    world.until(lambda: len(slow.invocations) == 4, 400)

    async def work_then_fail(changes: list[dict[str, Any]]) -> None:
        await world.clock.sleep(40)
        raise Failure

    slow.body = work_then_fail
    world.until(lambda: slow.running == 1, 100)
    assert world.leases(listener)[1].attempts == 5
    other = world.function()
    world.start(other)
    version = world.insert(2)
    world.advance(5)
    assert other.ids == [2]
    assert slow.running == 1
    assert world.leases(listener) == {}
    assert world.cursor(listener) == version
    world.advance(3600)
    assert 1 not in other.ids
    assert slow.ids == [1] * 5


def test_scenario_32_change_of_an_exhausted_row_is_lost_or_not(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    world.insert(1)
    exhaust(world, function, 1)
    function.body = None
    function.clear()
    changed = world.update(1)
    world.advance(100)
    assert function.ids == []
    world.insert(2)
    world.advance(3600)
    assert function.ids == [2]  # the change was never handed out once
    assert world.cursor(listener) > changed

    world.insert(10)  # the same with an advance between: it is delivered
    exhaust(world, function, 10)
    function.clear()

    async def change(changes: list[dict[str, Any]]) -> None:
        world.update(10, name="between")

    function.body = change
    world.insert(11)
    world.until(lambda: function.ids == [11], 5)
    function.body = None
    world.advance(5)
    assert function.ids == [11, 10]
    assert function.changes[1]["Item"]["Name"] == "between"


def test_scenario_33_a_poison_row_exhausts_its_batch(world: World) -> None:
    world.create_table()
    function = world.function(failing_on(3))
    listener = world.start(function)
    world.insert(1, 2, 3)
    world.advance(600)
    assert [sorted(run.ids) for run in function.invocations] == [[1, 2, 3]] * 5
    assert {key: lease.attempts for key, lease in world.leases(listener).items()} == {1: 5, 2: 5, 3: 5}


def test_scenario_34_reset_before_an_advance_helps(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    world.insert(1)
    exhaust(world, function, 1)
    function.clear()
    world.sql(f"UPDATE {listener.lease_table} SET _az_func_AttemptCount = 0;")
    world.until(lambda: function.ids == [1], 5)
    assert world.leases(listener)[1].attempts == 1


def test_scenario_35_a_new_version_keeps_the_count(world: World) -> None:
    world.create_table()
    function = world.function(failing_on(1))
    listener = world.start(function)
    world.insert(1)
    world.until(lambda: len(function.invocations) == 2, 200)
    changed = world.update(1)
    world.until(lambda: len(function.invocations) == 3, 200)
    lease = world.leases(listener)[1]
    assert (lease.version, lease.attempts) == (changed, 3)


CRASHING_WORKER = """
import asyncio, logging, sys
from emulators.clock import clock_from_spec
from emulators.functions_host.sql_trigger import SqlTriggerListener

async def main(spec, connection_string, site, host_id):
    clock = clock_from_spec(spec)
    await clock.start()

    async def invoke(text):
        print("running", flush=True)
        await clock.sleep(30)
        return True

    listener = SqlTriggerListener("ItemsTrigger", "dbo.Item", connection_string, None, {"WEBSITE_SITE_NAME": site}, {},
        host_id, clock, invoke, logging.getLogger())
    await listener.start()
    print("started", flush=True)
    await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


def test_scenario_36_a_crash_after_hand_out(world: World) -> None:
    world.create_table()
    arguments = [world.time.spec, world.server.ado_net_connection_string, SITE, HOST_ID]
    worker = subprocess.Popen(
        [sys.executable, "-c", CRASHING_WORKER, *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert worker.stdout is not None
    assert worker.stdout.readline() == "started\n"
    world.insert(1)
    world.advance(3)
    assert worker.stdout.readline() == "running\n"
    handed_out = world.time.now()
    worker.send_signal(signal.SIGKILL)
    worker.wait(10)
    attempts: list[int] = []

    async def look(changes: list[dict[str, Any]]) -> None:
        attempts.append(world.leases(listener)[1].attempts)

    function = world.function(look)
    listener = world.start(function)
    world.advance(50)
    assert function.ids == []
    world.advance(20)
    assert function.ids == [1]
    assert attempts == [2]
    assert function.invocations[0].at - handed_out <= timedelta(seconds=62)


def test_scenario_37_leases_are_renewed_while_a_function_runs(world: World) -> None:
    world.create_table()

    async def work(changes: list[dict[str, Any]]) -> None:
        await world.clock.sleep(100)

    slow = world.function(work)
    listener = world.start(slow)
    world.insert(1)
    world.until(lambda: slow.running == 1, 5)
    other = world.function()
    world.start(other)
    ends: list[float] = []
    for _ in range(9):
        world.advance(10)
        ends.append(world.leases(listener)[1].seconds or 0)
    assert all(45 <= end <= 60 for end in ends), ends
    world.advance(60)
    assert (slow.ids, other.ids) == ([1], [])


def test_scenario_38_one_cancel_signal_after_ten_renewals(world: World) -> None:
    world.create_table()
    cancels: list[float] = []
    handed_out = START

    async def work(changes: list[dict[str, Any]]) -> None:
        nonlocal handed_out
        handed_out = world.clock.now()
        await world.clock.sleep(400)

    def on_cancel() -> None:
        cancels.append((world.clock.now() - handed_out).total_seconds())

    function = world.function(work)
    listener = world.start(function, on_cancel=on_cancel)
    version = world.insert(1)
    world.until(lambda: function.running == 1, 5)
    world.advance(390)
    assert len(cancels) == 1
    assert 135 <= cancels[0] <= 150
    assert (world.leases(listener)[1].seconds or 0) > 40
    world.advance(20)
    assert function.ids == [1]
    assert world.cursor(listener) == version


def test_scenario_39_stop_while_a_function_runs(world: World) -> None:
    world.create_table()

    async def work(changes: list[dict[str, Any]]) -> None:
        await world.clock.sleep(20)

    first = world.function(work)
    listener = world.start(first)
    world.insert(1)
    world.until(lambda: first.running == 1, 5)
    world.stop(listener)
    assert first.running == 1
    world.advance(30)
    assert (first.running, world.leases(listener)[1].attempts) == (0, 1)
    second = world.function()
    world.start(second)
    world.advance(60)
    assert second.ids == [1]


def test_scenario_40_release_fails_three_times(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    world.fault("error", RELEASE, number=1205, times=3)
    version = world.insert(1)
    world.advance(3)
    assert len(world.logged("Failed to release", "ERROR")) == 3
    assert function.ids == [1]
    assert world.leases(listener)[1].attempts == 1
    world.advance(62)
    assert function.ids == [1, 1]
    assert world.cursor(listener) == version


BEGIN = "^BEGIN TRANSACTION"


@pytest.mark.parametrize("number", [1222, 9002])
def test_a_release_whose_transaction_cannot_begin_ends_the_loop_for_good(world: World, number: int) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)

    async def fail_the_next_transaction(changes: list[dict[str, Any]]) -> None:
        world.fault("error", BEGIN, number=number, times=1)

    function.body = fail_the_next_transaction
    world.insert(1)
    world.advance(3)
    assert world.logged("The change consumption loop ends: LoopEnds", "ERROR")
    function.body = None
    world.insert(2)
    world.advance(600)
    assert function.ids == [1]
    assert world.leases(listener)[1].attempts == 1


def test_a_deadlock_at_the_begin_of_a_release_does_not_end_the_loop(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)

    async def fail_the_next_transaction(changes: list[dict[str, Any]]) -> None:
        world.fault("error", BEGIN, number=1205, times=1)

    function.body = fail_the_next_transaction
    version = world.insert(1)
    world.advance(5)
    assert function.ids == [1]
    assert world.cursor(listener) == version


def test_a_poll_whose_transaction_cannot_begin_is_made_again(world: World) -> None:
    world.create_table()
    function = world.function()
    world.start(function)
    world.advance(2)
    world.fault("error", BEGIN, number=9002, times=3)
    world.insert(1)
    world.advance(10)
    assert function.ids == [1]


def test_a_failed_count_of_leased_rows_does_not_fail_the_poll(world: World) -> None:
    world.create_table()
    function = world.function()
    world.start(function)
    world.advance(2)
    world.fault("error", "SUM\\(CASE WHEN", number=1222, times=1)
    world.insert(1)
    world.advance(3)
    assert function.ids == [1]
    assert len(world.logged("Failed to count the leased rows", "ERROR")) == 1


def test_scenario_41_connection_loss_while_idle(world: World) -> None:
    world.create_table()
    function = world.function()
    world.start(function)
    world.advance(2)
    world.fault("drop_before", "SELECT TOP", times=2)
    world.insert(1)
    world.until(lambda: bool(function.invocations), 30)
    assert function.ids == [1]
    assert world.logged("Lost the connection", "ERROR")


@pytest.mark.parametrize("action", ["drop_before", "drop_after"])
def test_scenario_41_connection_loss_in_release(world: World, action: str) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    world.fault(action, RELEASE, times=2)
    version = world.insert(1)
    world.advance(30)
    assert function.ids == [1]
    assert world.cursor(listener) == version
    world.advance(120)
    assert function.ids == [1]


def test_scenario_42_cursor_jumps_to_the_oldest_valid_version(world: World) -> None:
    world.create_table()
    function = world.function(failing_on(1))
    listener = world.start(function)
    world.insert(1)
    world.advance(3)
    world.sql("ALTER TABLE dbo.Item DISABLE CHANGE_TRACKING; ALTER TABLE dbo.Item ENABLE CHANGE_TRACKING;")
    oldest = world.scalar("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.Item'));")
    world.advance(100)
    assert world.cursor(listener) == oldest
    assert world.logged("[PreInvocation]", "DEBUG")
    assert list(world.leases(listener)) == [1]
    assert function.ids == [1]
    world.insert(2)
    world.advance(3)
    assert function.ids == [1, 2]
    assert world.leases(listener) == {}


def test_scenario_43_truncate(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    world.insert(1, 2)
    world.advance(3)
    world.insert(3)
    world.sql("TRUNCATE TABLE dbo.Item;")
    world.advance(100)
    assert function.ids == [1, 2]
    assert world.cursor(listener) == world.scalar("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.Item'));")


def test_scenario_44_a_dropped_column(world: World) -> None:
    world.create_table(columns="Id int NOT NULL PRIMARY KEY, Name nvarchar(50), Extra int")
    function = world.function()
    listener = world.start(function)
    before = world.cursor(listener)
    world.sql("ALTER TABLE dbo.Item DROP COLUMN Extra;")
    world.insert(1)
    world.advance(5)
    assert function.ids == []
    assert len(world.logged("Extra", "ERROR")) >= 3
    assert world.cursor(listener) == before
    world.stop(listener)
    world.start(function)
    world.advance(3)
    assert function.ids == [1]


def test_scenario_45_app_lock_held_by_somebody(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function, settings={"Sql_Trigger_AppLockTimeoutMs": "1000"})
    world.advance(2)
    world.sql("BEGIN TRANSACTION; EXEC sp_getapplock N'_az_func_Trigger', 'Exclusive', 'Transaction', 0, N'public';")
    world.sql("INSERT INTO dbo.Item (Id, Name) VALUES (1, N'x');")
    world.until(lambda: bool(world.logged("application lock", "ERROR")), 10)
    assert function.ids == []
    world.sql("COMMIT TRANSACTION;")
    assert world.leases(listener) == {}
    world.advance(5)
    assert function.ids == [1]
