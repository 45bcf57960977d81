"""Scenarios 1 to 14: the start of the SQL trigger.."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.functions_host.sql_trigger.identity import host_function_id, site_function_id
from emulators.tests.sql_trigger.steps import refusal
from emulators.tests.sql_trigger.world import (
    HOST_ID,
    INSERT,
    SITE,
    UPDATE,
    World,
)


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
        ({"Sql_Trigger_BatchSize": "-1"}, "Sql_Trigger_MaxBatchSize"),  # told by its newer name
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
