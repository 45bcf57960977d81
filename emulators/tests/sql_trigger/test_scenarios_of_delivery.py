"""Scenarios 15 to 25: what the SQL trigger hands out.."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from typing import Any

import pytest

from emulators.tests.sql_trigger.world import (
    DELETE,
    INSERT,
    UPDATE,
    Lease,
    World,
)


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
