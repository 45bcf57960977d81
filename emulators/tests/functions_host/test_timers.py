"""Timer functions and their schedules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emulators.clock import VirtualTime
from emulators.functions_host.timers.schedules import CronSchedule, parse_schedule
from emulators.launch import FunctionsHost
from emulators.tests.functions_host.world import World

NOON = datetime(2026, 1, 1, 12, 0, tzinfo=UTC)  # a Thursday


@pytest.mark.parametrize(
    ("expression", "after", "due"),
    [
        ("0 */5 * * * *", NOON, NOON + timedelta(minutes=5)),
        ("0 */5 * * * *", NOON - timedelta(microseconds=1), NOON),
        ("*/15 * * * * *", NOON + timedelta(seconds=1), NOON + timedelta(seconds=15)),
        ("30 0 3 * * *", NOON, datetime(2026, 1, 2, 3, 0, 30, tzinfo=UTC)),
        ("0 0 9-17/4 * * 1-5", NOON, NOON + timedelta(hours=1)),
        ("0 0 0 * * Mon", NOON, datetime(2026, 1, 5, tzinfo=UTC)),
        ("0 0 0 1 jul,feb *", NOON, datetime(2026, 2, 1, tzinfo=UTC)),
        ("0 0 0 13 * Friday", NOON, datetime(2026, 2, 13, tzinfo=UTC)),
        ("0 0 0 29 2 *", NOON, datetime(2028, 2, 29, tzinfo=UTC)),
        ("0 0 0 31 2 *", NOON, None),
        ("*/10 * * * *", NOON, NOON + timedelta(minutes=10)),
        ("01:30:00", NOON, NOON + timedelta(minutes=90)),
        ("2.00:00:00", NOON, NOON + timedelta(days=2)),
    ],
)
def test_the_next_occurrence(expression: str, after: datetime, due: datetime | None) -> None:
    assert parse_schedule(expression, None).next_after(after) == due


@pytest.mark.parametrize(
    "text", ["", "* * * *", "60 * * * * *", "* * * * * 7", "a * * * * *", "*/0 * * * * *", "00:00:00", "25:00:00"]
)
def test_what_is_no_schedule_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_schedule(text, None)


def test_a_time_zone_shifts_the_wall_clock_with_its_summer_time() -> None:
    schedule = CronSchedule("0 30 9 * * *", ZoneInfo("Europe/Paris"))
    assert schedule.next_after(datetime(2026, 1, 10, 12, tzinfo=UTC)) == datetime(2026, 1, 11, 8, 30, tzinfo=UTC)
    assert schedule.next_after(datetime(2026, 7, 10, 12, tzinfo=UTC)) == datetime(2026, 7, 11, 7, 30, tzinfo=UTC)


@settings(max_examples=60, deadline=None)
@given(
    minutes=st.sets(st.integers(0, 59), min_size=1, max_size=3),
    hours=st.sets(st.integers(0, 23), min_size=1, max_size=3),
    weekdays=st.sets(st.integers(0, 6), min_size=1, max_size=3),
    offset=st.integers(0, 7 * 24 * 60),
)
def test_the_next_occurrence_is_the_first_minute_that_matches(
    minutes: set[int], hours: set[int], weekdays: set[int], offset: int
) -> None:
    def field(values: set[int]) -> str:
        return ",".join(map(str, sorted(values)))

    start = NOON + timedelta(minutes=offset)
    found = CronSchedule(f"0 {field(minutes)} {field(hours)} * * {field(weekdays)}").next_after(start)
    candidate = start + timedelta(minutes=1)
    while not (candidate.minute in minutes and candidate.hour in hours and candidate.isoweekday() % 7 in weekdays):
        candidate += timedelta(minutes=1)
    assert found == candidate


def test_timers_run_on_their_schedule(world: World) -> None:
    world.settle()
    assert world.notes() == ["weekly"]  # on start-up
    world.time.advance(299)
    assert world.notes("five") == []
    world.time.advance(1)
    assert world.notes("five") == ["five_minutes past_due=False"]
    world.time.advance(3600)
    assert len(world.notes("five")) == 13
    world.time.advance(4 * 86400)  # past Sunday
    assert len(world.notes("weekly")) == 2


def test_a_retry_policy_runs_a_failed_function_again(world: World) -> None:
    world.time.advance(5400)
    assert world.notes("failing") == ["failing retry=0"]
    world.time.advance(10)
    assert world.notes("failing") == ["failing retry=0", "failing retry=1"]
    world.time.advance(60)
    assert world.notes("failing") == ["failing retry=0", "failing retry=1", "failing retry=2"]


def test_an_occurrence_missed_while_the_host_was_down_is_made_up_for_once(world: World) -> None:
    world.time.advance(300)
    world.host.stop()
    world.time.advance(1000)
    world.host.start()
    world.settle()
    assert world.notes("five") == ["five_minutes past_due=False", "five_minutes past_due=True"]
    world.time.advance(200)
    assert world.notes("five") == ["five_minutes past_due=False", "five_minutes past_due=True", "five_minutes past_due=False"]


def test_nothing_is_past_due_after_a_short_stop(world: World) -> None:
    world.time.advance(300)
    world.host.kill()
    world.time.advance(200)
    world.host.start()
    world.time.advance(99)
    assert len(world.notes("five")) == 1
    world.time.advance(1)
    assert world.notes("five") == ["five_minutes past_due=False"] * 2


def test_a_timer_can_be_started_by_hand(world: World) -> None:
    assert world.host.request("POST", "/admin/functions/five_minutes", json={"input": ""}).status_code == 202
    world.settle()
    assert world.notes("five") == ["five_minutes past_due=False"]


SLOW = """
import os, time
import azure.functions as func
app = func.FunctionApp()

@app.timer_trigger(arg_name="timer", schedule="00:00:01", run_on_startup=True)
def slow(timer: func.TimerRequest) -> None:
    with open(os.environ["NOTES"], "a") as notes:
        notes.write("begin\\n")
    time.sleep(0.05)
    with open(os.environ["NOTES"], "a") as notes:
        notes.write("end\\n")
"""


def test_a_timer_never_overlaps_with_itself(make_app, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    notes = tmp_path / "notes"
    spec = f"accelerated:100:{tmp_path / 'clock'}"
    with FunctionsHost(make_app(SLOW), tmp_path, spec, {"NOTES": str(notes)}) as host:
        host.wait_until(lambda: notes.exists() and len(notes.read_text().splitlines()) >= 8)
    lines = notes.read_text().splitlines()
    assert lines[:8] == ["begin", "end"] * 4


def test_a_zone_that_does_not_exist_is_named() -> None:
    with pytest.raises(ValueError, match="Europe Standard Time"):
        parse_schedule("0 * * * * *", "W. Europe Standard Time")


def test_instants_in_other_zones_are_understood() -> None:
    local = datetime(2026, 1, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert parse_schedule("0 30 12 * * *", None).next_after(local) == NOON + timedelta(minutes=30)


def test_virtual_time_is_what_the_host_logs(world: World, virtual_time: VirtualTime) -> None:
    virtual_time.advance(300)
    assert "2026-01-01T00:05:00.000Z info     [five_minutes] Executed (Succeeded" in world.host.log_tail()
