"""Scenarios 51 to 54: scaling, and the life cycle of a listener.."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from emulators.functions_host.sql_trigger import ListenerError
from emulators.functions_host.sql_trigger.errors import DatabaseError
from emulators.functions_host.sql_trigger.scaling import Sample, Vote, scale_vote, target_worker_count
from emulators.tests.sql_trigger.world import (
    START,
    World,
)


def test_scenario_51_metric_and_target(world: World) -> None:
    world.create_table()
    world.insert(*range(1, 6))
    listener = world.listener(world.function(), settings={"Sql_Trigger_MaxChangesPerWorker": "10"})
    with pytest.raises(DatabaseError, match=r"Invalid object name 'az_func\.GlobalState'"):
        world.metric(listener)  # there is nothing in az_func yet: only the target counts what is tracked
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
