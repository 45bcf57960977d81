"""The durable engine loses nothing and does nothing twice in its history, wherever it is killed."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from emulators.tests.functions_host.world import APPS, World

ROOT = Path(__file__).parents[4]


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork and SIGKILL")
def test_killed_at_every_commit_the_result_is_the_same(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "emulators.tests.functions_host.durable.crash_harness",
        str(APPS / "everything"),
        str(tmp_path),
        "grand",
    ]
    output = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True, timeout=110).stdout
    runs = [json.loads(line) for line in output.splitlines()]
    killed = [run for run in runs if run["killed"]]
    assert len(killed) >= 60
    calm = next(run for run in runs if not run["killed"])
    assert calm["result"] == ["Completed", json.dumps({"sum": 2 * 10 + 11 + 22, "generation": 2})]
    expected = Counter(calm["notes"])
    for run in runs:
        assert run["result"] == calm["result"], run
        surplus = Counter(note for note in run["notes"] if note.startswith("double")) - expected
        assert surplus.total() <= 2, run  # what ran when the process died ran again, and nothing else


def test_activities_that_ran_when_the_host_was_killed_run_again(world: World) -> None:
    instance = world.start("slow_pair")
    world.host.wait_until(lambda: len(world.notes("slow")) == 2)
    world.host.kill()
    Path(f"{world.notes_file}.go").touch()
    world.host.start()
    assert world.finish(instance)["output"] == ["a", "b", 2]
    assert sorted(world.notes("slow")) == ["slow a", "slow a", "slow b", "slow b"]
    assert world.notes("double") == ["double 1"]


def test_a_timer_that_came_due_while_the_host_was_down_fires_at_the_start(world: World) -> None:
    instance = world.start("wait_or_time_out", 600)
    world.settle()
    world.host.kill()
    world.time.advance(5000)
    world.host.start()
    world.settle()
    status = world.status(instance)
    assert status["output"] == "timeout"
    assert status["lastUpdatedTime"] == "2026-01-01T01:23:20.000000Z"


def test_a_graceful_stop_keeps_everything(world: World) -> None:
    instance = world.start("collect")
    world.settle()
    world.client("raise_event", instance_id=instance, event_name="item", event_data="x")
    world.client("signal_entity", entity=["Counter", "k"], operation_name="add", operation_input=2)
    world.settle()
    world.host.stop()
    assert "stopped" in world.host.log_tail(1)
    world.host.start()
    world.client("raise_event", instance_id=instance, event_name="item", event_data="y")
    assert world.finish(instance)["output"] == ['"x"', '"y"']
    assert world.client("read_entity_state", entity=["Counter", "k"])["state"] == 2
