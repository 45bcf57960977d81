"""Keys of every type find their lease again: at hand-out, at release, after a failure, and but for some dates at renewal."""

from __future__ import annotations

from typing import Any

import pytest

from emulators.tests.sql_trigger.world import Failure, World

KEYS = [
    ("bigint", "9223372036854775807", 9223372036854775807),
    ("bit", "1", True),
    ("decimal(28, 10)", "123456789012345678.0000000001", 123456789012345680.0),
    ("money", "922337203685477.5807", 922337203685477.6),
    ("float", "0.1", 0.1),
    ("date", "'2024-02-29'", "2024-02-29T00:00:00"),
    ("datetime", "'2024-02-29T23:59:59.997'", "2024-02-29T23:59:59.997"),
    ("smalldatetime", "'2024-02-29T23:59:00'", "2024-02-29T23:59:00"),
    ("datetime2(7)", "'2024-02-29T23:59:59.1234567'", "2024-02-29T23:59:59.1234567"),
    ("datetime2(0)", "'2024-02-29T23:59:59'", "2024-02-29T23:59:59"),
    ("datetime2(3)", "'2024-02-29T23:59:59.120'", "2024-02-29T23:59:59.12"),
    ("datetime2(3)", "'2024-02-29T23:59:59.123'", "2024-02-29T23:59:59.123"),
    ("date", "'1700-01-01'", "1700-01-01T00:00:00"),
    ("datetime2(0)", "'1752-12-31T23:59:59'", "1752-12-31T23:59:59"),
    ("datetimeoffset(7)", "'2024-02-29T23:59:59.1234567+05:30'", "2024-02-29T18:29:59.1234567+00:00"),
    ("time(7)", "'23:59:59.1234567'", "23:59:59.1234567"),
    ("uniqueidentifier", "'AEC3B4F6-D2D3-4A9C-8BCD-1B2E3F4A5B6C'", "aec3b4f6-d2d3-4a9c-8bcd-1b2e3f4a5b6c"),
    ("binary(3)", "0x00FF80", "AP+A"),
    ("varbinary(8)", "0x00FF80", "AP+A"),
    ("char(4)", "'ab'", "ab  "),
    ("nvarchar(50)", "N'it''s {\"ü\"} \\ 𝄞'", 'it\'s {"ü"} \\ 𝄞'),
]
UNRENEWED = {"2024-02-29T23:59:59.1234567", "2024-02-29T23:59:59.123", "1700-01-01T00:00:00", "1752-12-31T23:59:59"}


@pytest.mark.parametrize(("declaration", "literal", "received"), KEYS, ids=[f"{key[0]} {key[1]}" for key in KEYS])
def test_key(world: World, declaration: str, literal: str, received: Any) -> None:
    world.create_table(columns=f"Id {declaration} NOT NULL PRIMARY KEY, Name nvarchar(50) NULL")

    async def fail_once_after_a_renewal(changes: list[dict[str, Any]]) -> None:
        if len(function.invocations) == 1:
            await world.clock.sleep(20)
            raise Failure

    function = world.function(fail_once_after_a_renewal)
    listener = world.start(function)
    world.sql(f"INSERT INTO dbo.Item (Id, Name) VALUES ({literal}, N'x');")
    version = world.version()
    world.advance(60)
    leases = world.sql(f"SELECT _az_func_AttemptCount, _az_func_ChangeVersion FROM {listener.lease_table};")
    assert leases == [(1, version)]
    assert function.changes == [{"Operation": 0, "Item": {"Id": received, "Name": "x"}}]
    world.advance(60)
    assert len(function.invocations) == 2
    least = 60 if received in UNRENEWED else 70  # the lease was renewed
    assert least <= (function.invocations[1].at - function.invocations[0].at).total_seconds() <= least + 12
    assert world.cursor(listener) == version
    assert world.scalar(f"SELECT COUNT(*) FROM {listener.lease_table};") == 0


def test_composite_key(world: World) -> None:
    world.create_table(
        columns="Name nvarchar(20) NOT NULL, [Od]]d key] int NOT NULL, Id int NOT NULL, PRIMARY KEY (Name, [Od]]d key], Id)"
    )
    function = world.function()
    listener = world.start(function)
    world.sql("INSERT INTO dbo.Item VALUES (N'a', 1, 1), (N'a', 1, 2), (N'a', 2, 1), (N'b', 1, 1);")
    world.advance(3)
    assert len(function.changes) == 4
    world.sql("DELETE FROM dbo.Item WHERE Id = 2;")
    world.advance(3)
    assert function.changes[4:] == [{"Operation": 2, "Item": {"Name": "a", "Od]d key": 1, "Id": 2}}]
    assert world.cursor(listener) == world.version()


def test_a_renewal_of_too_many_values_fails(world: World) -> None:
    world.create_table(columns="A int NOT NULL, B int NOT NULL, C int NOT NULL, PRIMARY KEY (A, B, C)")

    async def work(changes: list[dict[str, Any]]) -> None:
        await world.clock.sleep(20)

    world.start(world.function(work), settings={"Sql_Trigger_MaxBatchSize": "700"})
    world.sql("INSERT INTO dbo.Item SELECT value, 1, 1 FROM GENERATE_SERIES(1, 700);")
    world.advance(30)
    assert world.logged("too many parameters", "ERROR")
