"""Virtual time: it stands still while anyone is busy, jumps when all sleep, and outlives a participant that is killed."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from emulators.clock import AcceleratedClock, Clock, VirtualTime, clock_from_spec

START = datetime(2026, 1, 1, tzinfo=UTC)


def participate(spec: str, main: Callable[[Clock], Coroutine[Any, Any, None]]) -> threading.Thread:
    joined = threading.Event()

    async def run() -> None:
        clock = clock_from_spec(spec)
        await clock.start()
        async with clock.task():
            joined.set()
            await main(clock)

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    assert joined.wait(5)
    return thread


@pytest.fixture
def time(tmp_path: Path) -> VirtualTime:
    return VirtualTime(tmp_path, START)


def test_sleepers_of_several_participants_wake_in_order_of_their_instants(time: VirtualTime) -> None:
    woken: list[tuple[str, float]] = []

    def sleeper(name: str, seconds: list[float]) -> Callable[[Clock], Coroutine[Any, Any, None]]:
        async def main(clock: Clock) -> None:
            for pause in seconds:
                await clock.sleep(pause)
                woken.append((name, (clock.now() - START).total_seconds()))

        return main

    threads = [participate(time.spec, sleeper("a", [10, 100000])), participate(time.spec, sleeper("b", [5, 10]))]
    time.advance(200000)
    assert woken == [("b", 5), ("a", 10), ("b", 15), ("a", 100010)]
    assert time.now() == START + timedelta(seconds=200000)
    for thread in threads:
        thread.join(5)
        assert not thread.is_alive()


def test_time_stands_still_during_work_in_a_thread(time: VirtualTime) -> None:
    seen: list[datetime] = []
    release = threading.Event()

    async def main(clock: Clock) -> None:
        entered = threading.Event()

        def work() -> None:
            with clock.busy():
                entered.set()
                release.wait(5)
                seen.append(clock.now())

        threading.Thread(target=work, daemon=True).start()
        await asyncio.to_thread(entered.wait)
        await clock.sleep(60)
        seen.append(clock.now())

    participate(time.spec, main)
    threading.Timer(0.2, release.set).start()
    time.advance(3600)
    assert seen == [START, START + timedelta(seconds=60)]


def test_an_idle_poller_costs_nothing_until_it_is_nudged(time: VirtualTime) -> None:
    polls: list[float] = []

    async def poller(clock: Clock) -> None:
        while True:
            polls.append((clock.now() - START).total_seconds())
            await clock.poll_sleep(1, START + timedelta(seconds=5000) if len(polls) < 3 else None)

    async def worker(clock: Clock) -> None:
        await clock.sleep(100)
        clock.nudge()
        await clock.sleep(10**9)

    participate(time.spec, poller)
    participate(time.spec, worker)
    time.advance(10000)
    assert polls == [0, 1, 101]
    time.advance(10)
    assert polls[-1] == 10001


def test_a_participant_that_goes_away_does_not_hold_time(time: VirtualTime) -> None:
    async def main(clock: Clock) -> None:
        await clock.sleep(1)

    participate(time.spec, main)
    time.advance(5)
    time.advance(5)
    assert time.now() == START + timedelta(seconds=10)


def test_until_stops_at_the_jump_that_fulfils_it(time: VirtualTime) -> None:
    ticks: list[int] = []

    async def main(clock: Clock) -> None:
        while True:
            await clock.sleep(60)
            ticks.append(1)

    participate(time.spec, main)
    assert time.advance(86400, until=lambda: len(ticks) >= 3)
    assert time.now() == START + timedelta(seconds=180)


def test_accelerated_clocks_of_two_processes_agree(tmp_path: Path) -> None:
    first, second = AcceleratedClock(1000, tmp_path / "origin"), AcceleratedClock(1000, tmp_path / "origin")
    assert abs((first.now() - second.now()).total_seconds()) < 60
    before = first.now()
    asyncio.run(first.sleep(50))
    assert first.now() - before >= timedelta(seconds=50)


def test_an_unknown_specification_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="sundial"):
        clock_from_spec("sundial")
