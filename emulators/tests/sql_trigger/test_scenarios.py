"""The SQL trigger's observable behaviour, one numbered scenario a test, against the SQL Server emulator in virtual time.

Numbers 1-14 start-up, 15-25 delivery, 26-45 failure, 46-50 parking and recovery, 51-54 scaling and life cycle.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from emulators.functions_host.sql_trigger import ListenerError
from emulators.functions_host.sql_trigger.identity import host_function_id, site_function_id
from emulators.functions_host.sql_trigger.scaling import Sample, Vote, scale_vote, target_worker_count
from emulators.tests.sql_trigger.world import (
    DELETE,
    HOST_ID,
    INSERT,
    ROOT,
    SITE,
    START,
    UPDATE,
    Failure,
    Function,
    Lease,
    World,
    failing_on,
    failing_times,
)

SENTINEL = 2**63 - 1
RELEASE = "LastAccessTime = GETUTCDATE"  # stands in the statement that releases leases, and in no other


def refusal(world: World, function: Function | None = None, **options: Any) -> str:
    """The message of a start that fails."""
    listener = world.listener(function or world.function(), **options)
    with pytest.raises(ListenerError) as caught:
        world.loop.run(listener.start())
    return str(caught.value)


def park(world: World, listener: Any, *ids: int, seconds: int, version: int | None = None) -> None:
    """Write AC = 0 and a later lease end, as a function under test does."""
    sentinel = "" if version is None else f", _az_func_ChangeVersion = {version}"
    world.sql(
        f"UPDATE {listener.lease_table} SET _az_func_AttemptCount = 0, "
        f"_az_func_LeaseExpirationTime = DATEADD(second, {seconds}, SYSDATETIME()){sentinel} "
        f"WHERE Id IN ({', '.join(map(str, ids))});"
    )


def exhaust(world: World, function: Function, *ids: int) -> None:
    """Let all five hand-outs of rows fail, and their last lease end."""
    function.body = failing_on(*ids)
    world.until(lambda: sum(set(ids) <= set(run.ids) for run in function.invocations) >= 5, 400)
    world.advance(62)


# ---- start-up


def test_scenario_01_missing_table(world: World) -> None:
    assert "dbo.Missing" in refusal(world, table="dbo.Missing")
    assert world.scalar("SELECT SCHEMA_ID(N'az_func');") is None


def test_scenario_02_no_primary_key(world: World) -> None:
    world.create_table(columns="Id int NOT NULL, Name nvarchar(50) NULL", tracked=False)
    assert "primary key" in refusal(world)


def test_scenario_03_tracking_off_rolls_back(world: World) -> None:
    world.create_table(tracked=False)
    assert "change tracking enabled" in refusal(world)
    assert world.scalar("SELECT SCHEMA_ID(N'az_func');") is None
    assert world.scalar("SELECT OBJECT_ID(N'az_func.GlobalState');") is None


def test_scenario_04_reserved_column_names(world: World) -> None:
    world.create_table(
        columns="Id int NOT NULL PRIMARY KEY, _az_func_ChangeVersion int, _az_func_AttemptCount int, "
        "_az_func_LeaseExpirationTime int"
    )
    message = refusal(world)
    assert "reserved" in message
    for name in ("_az_func_ChangeVersion", "_az_func_AttemptCount", "_az_func_LeaseExpirationTime"):
        assert name in message


def test_scenario_05_unsupported_types(world: World) -> None:
    world.create_table(columns="Id int NOT NULL PRIMARY KEY, A geography, B geometry, C hierarchyid")
    message = refusal(world)
    for name, kind in (("A", "geography"), ("B", "geometry"), ("C", "hierarchyid")):
        assert f"'{name}' (type: {kind})" in message


def test_scenario_06_compatibility_level(world: World) -> None:
    world.create_table()
    before = world.scalar("SELECT compatibility_level FROM sys.databases WHERE name = DB_NAME();")
    world.sql("ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = 120;")
    try:
        message = refusal(world)
    finally:
        world.sql(f"ALTER DATABASE CURRENT SET COMPATIBILITY_LEVEL = {before};")
    assert "130" in message
    assert "120" in message


def test_scenario_07_first_start_creates_objects(world: World) -> None:
    world.create_table(columns="Region nvarchar(20) NOT NULL, Id int NOT NULL, Name nvarchar(50), PRIMARY KEY (Region, Id)")
    listener = world.start(world.function())
    assert world.cursor(listener) == world.scalar("SELECT CHANGE_TRACKING_MIN_VALID_VERSION(OBJECT_ID(N'dbo.Item'));")

    def columns(table: str) -> list[str]:
        rows = world.sql(f"SELECT name FROM sys.columns WHERE object_id = OBJECT_ID(N'{table}') ORDER BY column_id;")
        return [name for (name,) in rows]

    assert columns("az_func.GlobalState") == ["UserFunctionID", "UserTableID", "LastSyncVersion", "LastAccessTime"]
    expected = ["Region", "Id", "_az_func_ChangeVersion", "_az_func_AttemptCount", "_az_func_LeaseExpirationTime"]
    assert columns(str(listener.lease_table)) == expected
    object_id = world.scalar("SELECT OBJECT_ID(N'dbo.Item');")
    assert listener.lease_table == f"[az_func].[Leases_{site_function_id(SITE, 'ItemsTrigger')}_{object_id}]"


def test_scenario_08_last_access_time_is_added(world: World) -> None:
    world.create_table()
    world.sql("EXEC(N'CREATE SCHEMA az_func');")
    world.sql(
        "CREATE TABLE az_func.GlobalState (UserFunctionID char(16) NOT NULL, UserTableID int NOT NULL, "
        "LastSyncVersion bigint NOT NULL, PRIMARY KEY (UserFunctionID, UserTableID));"
    )
    world.start(world.function())
    assert world.scalar("SELECT COUNT(*) FROM az_func.GlobalState WHERE LastAccessTime IS NOT NULL;") == 1


def test_scenario_09_state_of_the_host_id_is_taken_over(world: World) -> None:
    world.create_table()
    object_id = world.scalar("SELECT OBJECT_ID(N'dbo.Item');")
    former_id = host_function_id(HOST_ID, "ItemsTrigger")
    world.stop(world.start(world.function(), settings={"WEBSITE_SITE_NAME": ""}))  # an app without a site name
    assert world.scalar("SELECT UserFunctionID FROM az_func.GlobalState;") == former_id
    first = world.insert(1)
    second = world.insert(2)
    world.insert(3)
    world.sql(f"UPDATE az_func.GlobalState SET LastSyncVersion = {first};")
    world.sql(f"INSERT INTO az_func.Leases_{former_id}_{object_id} VALUES (2, {second}, 0, NULL);")
    cursors: list[int] = []

    async def look(changes: list[dict[str, Any]]) -> None:
        cursors.append(world.scalar("SELECT LastSyncVersion FROM az_func.GlobalState;"))

    function = world.function(look)
    listener = world.start(function)
    assert cursors == [first]
    assert function.ids == [3]  # 1 is behind the cursor, 2 is marked as done by the moved lease
    assert world.sql("SELECT UserFunctionID FROM az_func.GlobalState;") == [(listener.function_id,)]
    assert world.scalar(f"SELECT OBJECT_ID(N'az_func.Leases_{former_id}_{object_id}');") is None


def test_scenario_10_user_defined_lease_table(world: World) -> None:
    world.create_table()
    listener = world.start(world.function(), leases="Leases")
    assert listener.lease_table == "[az_func].[Leases]"
    assert world.scalar("SELECT OBJECT_ID(N'az_func.Leases', N'U');") is not None


def test_scenario_11_reserved_word_as_table_name(world: World) -> None:
    world.create_table("dbo.[User]")
    function = world.function()
    world.start(function, table="dbo.[User]")
    world.insert(1, table="dbo.[User]")
    world.advance(2)
    assert function.ids == [1]


def test_scenario_12_changes_before_the_first_start(world: World) -> None:
    world.create_table(tracked=False)
    world.insert(1, 2)
    world.sql("ALTER TABLE dbo.Item ENABLE CHANGE_TRACKING;")
    world.update(2)
    world.insert(3)
    function = world.function()
    world.start(function)
    world.advance(2)
    assert [(c["Operation"], c["Item"]["Id"]) for c in function.changes] == [(UPDATE, 2), (INSERT, 3)]


@pytest.mark.parametrize(
    ("settings", "host", "sizes"),
    [
        ({}, {}, [7]),
        ({}, {"MaxBatchSize": 4}, [4, 3]),
        ({"Sql_Trigger_MaxBatchSize": "3"}, {"MaxBatchSize": 4}, [3, 3, 1]),
        ({"Sql_Trigger_BatchSize": "5"}, {"MaxBatchSize": 4}, [5, 2]),
        ({"Sql_Trigger_BatchSize": "5", "Sql_Trigger_MaxBatchSize": "6"}, {}, [6, 1]),
    ],
)
def test_scenario_13_app_settings_win(world: World, settings: dict[str, str], host: dict[str, int], sizes: list[int]) -> None:
    world.create_table()
    world.insert(*range(1, 8))
    function = world.function()
    world.start(function, settings=settings, host_json={"version": "2.0", "extensions": {"Sql": host}})
    world.advance(5)
    assert [len(run.changes) for run in function.invocations] == sizes


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"Sql_Trigger_PollingIntervalMs": "0"}, "Sql_Trigger_PollingIntervalMs"),
        ({"Sql_Trigger_MaxBatchSize": "0"}, "Sql_Trigger_MaxBatchSize"),
        ({"Sql_Trigger_BatchSize": "-1"}, "Sql_Trigger_BatchSize"),
        ({"Sql_Trigger_MaxChangesPerWorker": "x"}, "Sql_Trigger_MaxChangesPerWorker"),
        ({"Sql_Trigger_MaxChangesPerWorker": "-1"}, "Sql_Trigger_MaxChangesPerWorker"),
        ({"Sql_Trigger_MaxChangesPerWorker": "0"}, "Sql_Trigger_MaxChangesPerWorker"),
        ({"Sql_Trigger_MaxChangesPerWorker": "10000000000"}, "Sql_Trigger_MaxChangesPerWorker"),
        ({"Sql_Trigger_AppLockTimeoutMs": "500"}, "Sql_Trigger_AppLockTimeoutMs"),
    ],
)
def test_scenario_14_bad_settings(world: World, settings: dict[str, str], named: str) -> None:
    world.create_table()
    assert named in refusal(world, settings=settings)


# ---- delivery


def test_scenario_15_inserts_updates_deletes(world: World) -> None:
    world.create_table()
    function = world.function()
    world.start(function)
    world.insert(*range(1, 31))
    world.advance(3)
    assert function.changes == [{"Operation": INSERT, "Item": {"Id": i, "Name": f"row {i}"}} for i in range(1, 31)]
    function.clear()
    # The newest row was left in the lease table, so it would come as Insert: leave it out.
    world.update(*range(1, 21))
    world.advance(3)
    assert function.changes == [{"Operation": UPDATE, "Item": {"Id": i, "Name": "changed"}} for i in range(1, 21)]
    function.clear()
    world.delete(*range(1, 21))
    world.advance(3)
    assert function.changes == [{"Operation": DELETE, "Item": {"Id": i}} for i in range(1, 21)]


def test_scenario_16_insert_and_updates_collapse(world: World) -> None:
    world.create_table()
    function = world.function()
    world.start(function)
    world.insert(1)
    world.update(1, name="second")
    world.update(1, name="third")
    world.advance(3)
    assert function.changes == [{"Operation": INSERT, "Item": {"Id": 1, "Name": "third"}}]


def test_scenario_17_updates_of_a_delivered_row_collapse(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    first = world.insert(1)
    world.insert(2)
    world.advance(3)
    assert world.cursor(listener) == first
    function.clear()
    world.update(1, name="second")
    world.update(1, name="third")
    world.advance(3)
    assert function.changes == [{"Operation": UPDATE, "Item": {"Id": 1, "Name": "third"}}]


def test_scenario_18_insert_update_delete_collapse(world: World) -> None:
    world.create_table()
    function = world.function()
    world.start(function)
    world.insert(1)
    world.update(1)
    world.delete(1)
    world.advance(3)
    assert function.changes == [{"Operation": DELETE, "Item": {"Id": 1}}]


def test_scenario_19_cursor_stops_at_the_second_highest_version(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function)
    first = world.insert(1)
    second = world.insert(2)
    world.advance(3)
    assert function.ids == [1, 2]
    assert world.cursor(listener) == first
    assert world.leases(listener) == {2: Lease(second, 0, None)}
    function.clear()
    world.update(2)
    world.advance(3)
    assert [(c["Operation"], c["Item"]["Name"]) for c in function.changes] == [(INSERT, "changed")]


def test_scenario_20_transaction_larger_than_a_batch(world: World) -> None:
    world.create_table()
    function = world.function()
    listener = world.start(function, settings={"Sql_Trigger_MaxBatchSize": "2"})
    before = world.cursor(listener)
    world.sql("INSERT INTO dbo.Item (Id, Name) VALUES (1, N'a'), (2, N'b'), (3, N'c');")
    version = world.version()
    world.until(lambda: len(function.invocations) == 1, 5)
    assert world.cursor(listener) == before
    assert len(world.leases(listener)) == 2
    world.until(lambda: len(function.invocations) == 2, 5)
    assert sorted(function.ids) == [1, 2, 3]
    assert world.cursor(listener) == version
    assert world.leases(listener) == {}


@pytest.mark.parametrize(("size", "count"), [(400, 1), (100, 4)])
def test_scenario_21_batches_in_order_of_versions(world: World, size: int, count: int) -> None:
    world.create_table()
    for start in range(0, 400, 20):
        values = ", ".join(f"({i}, N'row')" for i in range(start, start + 20))
        world.sql(f"INSERT INTO dbo.Item (Id, Name) VALUES {values};")
    function = world.function()
    world.start(function, settings={"Sql_Trigger_MaxBatchSize": str(size), "Sql_Trigger_PollingIntervalMs": "250"})
    world.advance(10)
    assert [len(run.changes) for run in function.invocations] == [size] * count
    assert [i // 20 for i in function.ids] == [i // 20 for i in range(400)]
    times = [run.at for run in function.invocations]
    assert all(later - earlier == timedelta(milliseconds=250) for earlier, later in pairwise(times))


def test_scenario_22_two_functions_on_a_table(world: World) -> None:
    world.create_table()
    functions = [world.function(), world.function()]
    listeners = [world.start(function, name=f"Trigger{i}") for i, function in enumerate(functions)]
    world.insert(1, 2)
    world.advance(3)
    assert [function.ids for function in functions] == [[1, 2], [1, 2]]
    assert listeners[0].lease_table != listeners[1].lease_table
    assert world.scalar("SELECT COUNT(*) FROM az_func.GlobalState;") == 2


def test_scenario_23_three_workers_share_the_rows(world: World) -> None:
    world.create_table()

    async def work(changes: list[dict[str, Any]]) -> None:
        await world.clock.sleep(5)

    functions = [world.function(work) for _ in range(3)]
    for function in functions:
        world.start(function, settings={"Sql_Trigger_MaxBatchSize": "10"})
    world.insert(*range(1, 91))
    world.advance(60)
    assert sorted(i for function in functions for i in function.ids) == list(range(1, 91))
    assert all(function.invocations for function in functions)


def test_scenario_24_column_types(world: World) -> None:
    world.create_table(
        columns="""Id int NOT NULL PRIMARY KEY, Big bigint, Flag bit, Price decimal(28, 10), Round numeric(10, 2), Cash money,
        Tiny decimal(10, 6), F float, R real, D date, DT datetime, SDT smalldatetime, DT2 datetime2(7), DTO datetimeoffset(7),
        T time(7), T0 time(0), G uniqueidentifier, B varbinary(10), FixedB binary(4), C char(5), NC nchar(3), Xml xml,
        Iso nvarchar(60), IsoZ varchar(60), Text1 nvarchar(max), Nothing int, Twice AS (Id * 2)"""
    )
    function = world.function()
    world.start(function)
    world.sql(
        """INSERT INTO dbo.Item (Id, Big, Flag, Price, Round, Cash, Tiny, F, R, D, DT, SDT, DT2, DTO, T, T0, G, B, FixedB, C, NC,
        Xml, Iso, IsoZ, Text1)
        VALUES (1, 9007199254740993, 1, 12345678901234567.12345678901234567890, 5.00, 1.25, 0.000010, 0.1, 1.1,
        '2022-10-20', '2022-10-20T12:39:13.123', '2022-10-20T12:39:00', '2022-10-20T12:39:13.1234567',
        '2022-10-20T12:39:13.5000000+02:00', '12:39:13.1230000', '12:39:13', 'AEC3B4F6-D2D3-4A9C-8BCD-1B2E3F4A5B6C',
        0x010203, 0x01, 'ab', N'x', N'<a>1</a>', N'2022-10-20T12:39:13.1000', '2022-10-20T12:39:13Z', N'"quoted" \\ täxt');"""
    )
    world.advance(3)
    assert function.texts == [
        '[{"Operation":0,"Item":{"Id":1,"Big":9007199254740993,"Flag":true,"Price":12345678901234568.0,"Round":5.0,'
        '"Cash":1.25,"Tiny":1E-05,"F":0.1,"R":1.1,"D":"2022-10-20T00:00:00","DT":"2022-10-20T12:39:13.123",'
        '"SDT":"2022-10-20T12:39:00","DT2":"2022-10-20T12:39:13.1234567","DTO":"2022-10-20T10:39:13.5+00:00",'
        '"T":"12:39:13.1230000","T0":"12:39:13","G":"aec3b4f6-d2d3-4a9c-8bcd-1b2e3f4a5b6c","B":"AQID",'
        '"FixedB":"AQAAAA==","C":"ab   ","NC":"x  ","Xml":"<a>1</a>","Iso":"2022-10-20T12:39:13.1",'
        '"IsoZ":"2022-10-20T12:39:13Z","Text1":"\\"quoted\\" \\\\ täxt","Nothing":null,"Twice":2}}]'
    ]


def test_scenario_25_a_function_that_writes_to_its_table(world: World) -> None:
    world.create_table()

    async def write_back(changes: list[dict[str, Any]]) -> None:
        if len(function.invocations) < 3:
            world.update(1, name=f"seen {len(function.invocations)}")

    function = world.function(write_back)
    world.start(function)
    world.insert(1)
    world.advance(10)
    assert [change["Item"]["Name"] for change in function.changes] == ["row 1", "seen 1", "seen 2"]


# ---- failure


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


# ---- parking and recovery


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


# ---- scaling and life cycle


def test_scenario_51_metric_and_target(world: World) -> None:
    world.create_table()
    world.insert(*range(1, 6))
    listener = world.listener(world.function(), settings={"Sql_Trigger_MaxChangesPerWorker": "10"})
    assert world.metric(listener) == 5  # there is nothing in az_func yet
    assert world.loop.run(listener.target_workers()) == 1
    world.loop.run(listener.start())
    world.advance(3)
    assert world.metric(listener) == 0
    world.stop(listener)
    world.insert(*range(6, 36))
    assert world.metric(listener) == 30
    assert world.loop.run(listener.target_workers()) == 3
    assert world.loop.run(listener.target_workers(instance_concurrency=7)) == 5
    samples = [Sample(30, START + timedelta(seconds=15 * i)) for i in range(5)]
    assert scale_vote(samples, 1, 10) is Vote.OUT
    assert (target_worker_count(6000, 1000), target_worker_count(1080, 100)) == (6, 11)
    with pytest.raises(ValueError, match="at least 1"):
        target_worker_count(1, 1000, 0)


@pytest.mark.parametrize(
    ("counts", "workers", "vote"),
    [
        ([0, 0, 0, 0, 1001], 1, Vote.OUT),
        ([0, 0, 0, 0, 1000], 1, Vote.NONE),
        ([0, 1, 500, 501, 751], 1, Vote.OUT),
        ([0, 1, 500, 501, 750], 1, Vote.NONE),
        ([9005, 9004, 9003, 9001, 9000], 10, Vote.IN),
        ([9005, 9004, 9003, 9002, 9001], 10, Vote.NONE),
        ([0, 0, 0, 0, 0], 1, Vote.IN),
        ([5, 5, 5, 5, 5], 10, Vote.NONE),
        ([0, 0, 0, 5000], 1, Vote.NONE),
    ],
)
def test_scenario_52_incremental_votes(counts: list[int], workers: int, vote: Vote) -> None:
    samples = [Sample(count, START + timedelta(seconds=15 * i)) for i, count in enumerate(counts)]
    assert scale_vote(samples, workers, 1000) is vote


def test_scenario_53_two_listeners_start_at_once(world: World) -> None:
    world.create_table()
    world.create_table("dbo.Other")
    functions = [world.function(), world.function()]
    listeners = [
        world.listener(function, name=f"At{table}", table=f"dbo.{table}")
        for function, table in zip(functions, ("Item", "Other"), strict=True)
    ]

    async def both() -> None:
        await asyncio.gather(*(listener.start() for listener in listeners))

    world.loop.run(both())
    world.insert(1)
    world.insert(2, table="dbo.Other")
    world.advance(3)
    assert [function.ids for function in functions] == [[1], [2]]


def test_scenario_54_life_cycle(world: World) -> None:
    world.create_table()
    listener = world.start(world.function())
    with pytest.raises(ListenerError, match="already been started"):
        world.loop.run(listener.start())
    assert world.metric(listener) == 0
    world.stop(listener)
    with pytest.raises(ListenerError, match="already been started"):
        world.loop.run(listener.start())
