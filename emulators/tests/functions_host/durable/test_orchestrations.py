"""Orchestrations on the real SDK, in the host's process, in virtual time."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from emulators.tests.functions_host.world import World


def test_a_chain_passes_values_and_sets_its_custom_status(world: World) -> None:
    instance = world.start("chain", 5)
    status = world.finish(instance)
    assert status["output"] == {"value": 20}
    assert status["input"] == "5"
    assert status["customStatus"] == {"at": 20}
    assert world.notes("double") == ["double 5", "double 10"]


def test_a_fan_out_runs_each_activity_once(world: World) -> None:
    assert world.run("fan_out", 20) == 380
    assert sorted(world.notes("double")) == sorted(f"double {i}" for i in range(20))


def test_the_text_of_a_failed_activity_is_that_of_the_real_host(world: World) -> None:
    assert world.run("catch_failure") == "Activity function 'fail' failed:  ValueError: no luck"


def test_an_uncaught_failure_fails_the_instance(world: World) -> None:
    status = world.finish(world.start("fails"))
    assert status["runtimeStatus"] == "Failed"
    text, details = status["output"].split(" \n ", 1)
    assert text == "Orchestrator function 'fails' failed: Activity function 'fail' failed:  ValueError: no luck"
    assert "function_app.py" in details
    assert "invocation.py" not in details


@pytest.mark.parametrize(("failures", "result", "seconds"), [(0, "ok after 1", 0), (2, "ok after 3", 10)])
def test_retries_wait_between_attempts(world: World, failures: int, result: str, seconds: float) -> None:
    output = world.run("retries", {"name": "a", "failures": failures})
    assert output == {"result": result, "seconds": seconds, "after": 42}


def test_retries_give_up_after_the_last_attempt(world: World) -> None:
    output = world.run("retries", {"name": "a", "failures": 99})
    assert output["result"] == "Activity function 'flaky' failed:  OSError: failure 3"
    assert output["seconds"] == 10
    assert output["after"] == 42
    assert world.notes("flaky") == ["flaky a 1", "flaky a 2", "flaky a 3"]


def test_a_timer_fires_at_its_instant_and_not_before(world: World) -> None:
    instance = world.start("wait_or_time_out", 7200)
    world.time.advance(7199)
    assert world.status(instance)["runtimeStatus"] == "Running"
    world.time.advance(1)
    assert world.status(instance)["output"] == "timeout"


def test_an_event_wins_against_a_timer_and_its_payload_is_a_text(world: World) -> None:
    instance = world.start("wait_or_time_out", 7200)
    world.settle()
    world.client("raise_event", instance_id=instance, event_name="go", event_data={"v": 1})
    world.settle()
    status = world.status(instance)
    assert status["output"] == {"event": '{"v": 1}'}
    assert status["runtimeStatus"] == "Completed"  # the cancelled timer does not hold it


def test_a_timer_that_is_left_open_holds_the_end(world: World) -> None:
    instance = world.start("leaves_timer")
    world.time.advance(59)
    assert world.status(instance)["runtimeStatus"] == "Running"
    world.time.advance(1)
    assert world.status(instance)["output"] == "returned"


def test_events_that_come_early_wait_in_order(world: World) -> None:
    instance = world.start("collect")
    for item in (1, 2):
        world.client("raise_event", instance_id=instance, event_name="item", event_data=item)
    assert world.finish(instance)["output"] == ["1", "2"]


def test_event_names_are_compared_exactly(world: World) -> None:
    instance = world.start("wait_or_time_out", 60)
    world.client("raise_event", instance_id=instance, event_name="GO")
    assert world.finish(instance)["output"] == "timeout"


def test_continue_as_new_keeps_the_id_and_loses_no_event(world: World) -> None:
    instance = world.start("eternal", instance="forever")
    world.time.advance(3600)
    first = world.status(instance)
    assert first["runtimeStatus"] == "Running"
    for number in range(3):
        world.client("raise_event", instance_id=instance, event_name="add", event_data=number)
    world.time.advance(60)
    later = world.status(instance)
    assert later["input"] == '{"round": 4, "got": ["0", "1", "2"]}'
    assert later["createdTime"] == first["createdTime"]  # the same instant: three generations began in it
    world.time.advance(3540)
    assert world.status(instance)["output"] == {"round": 5, "got": ["0", "1", "2"]}


def test_sub_orchestrations_answer_their_parent(world: World) -> None:
    instance = world.start("parent", instance="p")
    assert world.finish(instance)["output"] == {
        "good": {"value": 20},
        "bad": "Orchestrator function 'fails' failed: Activity function 'fail' failed:  ValueError: no luck",
    }
    assert world.status("p-child")["output"] == {"value": 20}


def test_a_long_timer_is_cut_into_steps_and_fires_at_its_end(world: World) -> None:
    instance = world.start("ten_days")
    world.time.advance(10 * 86400 - 1)
    assert world.status(instance)["runtimeStatus"] == "Running"
    world.time.advance(1)
    assert world.status(instance)["output"] == 8


def test_entities_are_called_and_signalled_in_order(world: World) -> None:
    assert world.run("counting") == {"value": 7, "error": "bad operation"}
    assert world.client("read_entity_state", entity=["Counter", "k1"]) == {"exists": True, "state": 7}


def test_many_instances_share_an_entity_without_losing_an_operation(world: World) -> None:
    instances = [world.start("counting") for _ in range(20)]
    values = sorted(world.finish(instance)["output"]["value"] for instance in instances)
    assert len(set(values)) == 20
    assert values[-1] == 20 * 7
    assert world.client("read_entity_state", entity=["Counter", "k1"])["state"] == 20 * 7


def test_a_retry_after_a_failed_task_all_is_refused_by_name(world: World) -> None:
    status = world.finish(world.start("retry_after_failure"))
    assert status["runtimeStatus"] == "Failed"
    assert "a retry of 'flaky' goes on although the orchestrator has gone on already" in status["output"]


def test_a_built_in_http_call(world: World) -> None:
    output = world.run("calls_http", f"{world.host.url}/api/hello/bob?x=1")
    assert output["statusCode"] == 201
    assert json.loads(output["content"])["query"] == {"x": "1"}


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("unknown_activity", "The function 'nowhere' doesn't exist, is disabled, or is not an activity function."),
        ("bad_result", "Activity function 'unencodable' failed:  ValueError: activity trigger output must be json serializable"),
        ("unlabelled", " KeyError: 'not a generator'"),
    ],
)
def test_what_can_never_work_fails_the_instance(world: World, name: str, error: str) -> None:
    status = world.finish(world.start(name))
    assert status["runtimeStatus"] == "Failed"
    assert status["output"].startswith(f"Orchestrator function '{name}' failed: {error}")


def test_an_orchestrator_that_changes_its_mind_is_found_out(world: World) -> None:
    instance = world.start("changes_its_mind")
    world.time.advance(10)
    assert world.notes("double") == ["double 1"]
    Path(f"{world.notes_file}.other").touch()
    world.client("raise_event", instance_id=instance, event_name="go")
    world.settle()
    status = world.status(instance)
    assert status["runtimeStatus"] == "Failed"
    assert "Non-Deterministic workflow detected" in status["output"]
    assert "'double' with sequence ID 1" in status["output"]


def test_an_idle_host_uses_no_processor_time(world: World) -> None:
    world.start("wait_or_time_out", 7200)
    world.settle()

    def ticks() -> int:
        fields = Path(f"/proc/{world.host.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return int(fields[11]) + int(fields[12])

    before = ticks()
    time.sleep(0.5)
    assert ticks() - before <= 1
