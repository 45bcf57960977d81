"""The calls of the SDK's durable client, made by a function, over HTTP, to the host."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from emulators.tests.functions_host.world import World


def test_an_id_is_free_again_only_after_its_instance_has_ended(world: World) -> None:
    world.start("wait_or_time_out", 60, instance="single")
    world.settle()
    with pytest.raises(RuntimeError, match="An Orchestration instance with the status Running already exists"):
        world.client("start_new", orchestration_function_name="chain", instance_id="single")
    world.finish("single")
    assert world.client("start_new", orchestration_function_name="chain", instance_id="single", client_input=2) == "single"
    assert world.finish("single")["output"] == {"value": 8}


def test_an_unknown_orchestrator_and_bad_ids_are_refused(world: World) -> None:
    with pytest.raises(RuntimeError, match="The function 'nowhere' doesn't exist"):
        world.client("start_new", orchestration_function_name="nowhere")
    for bad in ("@x", "a%23b", "x" * 257):
        with pytest.raises(RuntimeError, match="Orchestration instance ids must not"):
            world.client("start_new", orchestration_function_name="chain", instance_id=bad)


def test_names_of_orchestrators_are_found_in_any_case(world: World) -> None:
    instance = world.client("start_new", orchestration_function_name="CHAIN", client_input=1)
    assert world.finish(instance)["name"] == "chain"


def test_an_unknown_instance(world: World) -> None:
    assert world.status("nobody") == {}
    with pytest.raises(RuntimeError, match="No instance with ID nobody found"):
        world.client("raise_event", instance_id="nobody", event_name="go")
    with pytest.raises(RuntimeError, match="nobody"):
        world.client("terminate", instance_id="nobody", reason="why")
    assert world.client("purge_instance_history", instance_id="nobody") == 0


def test_terminate_ends_at_once_with_the_reason_as_output(world: World) -> None:
    instance = world.start("wait_or_time_out", 60)
    world.settle()
    world.client("terminate", instance_id=instance, reason="not needed & more")
    world.settle()
    status = world.status(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Terminated", "not needed & more")
    with pytest.raises(RuntimeError, match="either completed or failed"):
        world.client("raise_event", instance_id=instance, event_name="go")
    world.time.advance(120)
    assert world.status(instance)["lastUpdatedTime"] == status["lastUpdatedTime"]


def test_a_suspended_instance_keeps_its_messages_until_it_is_resumed(world: World) -> None:
    instance = world.start("wait_or_time_out", 60)
    world.settle()
    world.client("suspend", instance_id=instance, reason="pause")
    world.settle()
    assert world.status(instance)["runtimeStatus"] == "Suspended"
    world.time.advance(100)
    assert world.status(instance)["runtimeStatus"] == "Suspended"
    world.client("raise_event", instance_id=instance, event_name="go", event_data="late")
    world.client("resume", instance_id=instance, reason="go on")
    world.settle()
    status = world.status(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Completed", "timeout")
    assert status["lastUpdatedTime"] == "2026-01-01T00:01:40.000000Z"


def test_a_suspended_instance_can_be_terminated(world: World) -> None:
    instance = world.start("wait_or_time_out", 60)
    world.settle()
    world.client("suspend", instance_id=instance, reason="pause")
    world.settle()
    world.client("terminate", instance_id=instance, reason="enough")
    world.settle()
    assert world.status(instance)["runtimeStatus"] == "Terminated"


def test_lists_are_filtered_by_status_time_and_prefix(world: World) -> None:
    world.finish(world.start("chain", 1, instance="a-1"))
    world.time.advance(100)
    world.start("wait_or_time_out", 6000, instance="a-2")
    world.finish(world.start("fails", None, instance="b-1"))

    def ids(**conditions: object) -> list[str]:
        return [
            status["instanceId"]
            for status in world.host.request("GET", "/runtime/webhooks/durabletask/instances", params=conditions).json()
        ]

    assert [status["instanceId"] for status in world.client("get_status_all")] == ["a-1", "a-2", "b-1"]
    assert ids(instanceIdPrefix="a-") == ["a-1", "a-2"]
    assert ids(runtimeStatus="Failed,Running") == ["a-2", "b-1"]
    assert ids(createdTimeFrom="2026-01-01T00:00:50Z") == ["a-2", "b-1"]
    assert ids(createdTimeTo="2026-01-01T00:00:50.000000Z") == ["a-1"]
    page = world.host.request("GET", "/runtime/webhooks/durabletask/instances?top=2")
    assert [status["instanceId"] for status in page.json()] == ["a-1", "a-2"]
    headers = {"x-ms-continuation-token": page.headers["x-ms-continuation-token"]}
    rest = world.host.request("GET", "/runtime/webhooks/durabletask/instances?top=2", headers=headers)
    assert [status["instanceId"] for status in rest.json()] == ["b-1"]
    assert "x-ms-continuation-token" not in rest.headers


def test_purge_removes_finished_instances_only(world: World) -> None:
    world.finish(world.start("chain", 1, instance="done"))
    world.start("wait_or_time_out", 6000, instance="live")
    world.settle()
    assert world.client("purge_instance_history", instance_id="live") == 0
    address = "/runtime/webhooks/durabletask/instances?createdTimeFrom=2020-01-01T00:00:00Z&runtimeStatus=Completed,Running"
    assert world.host.request("DELETE", address).json() == {"instancesDeleted": 1}
    assert world.host.request("DELETE", address).status_code == 404
    assert [status["instanceId"] for status in world.client("get_status_all")] == ["live"]


def test_the_history_of_an_instance(world: World) -> None:
    instance = world.start("chain", 1)
    world.finish(instance)
    address = f"/runtime/webhooks/durabletask/instances/{instance}?showHistory=true&showHistoryOutput=true"
    events = world.host.request("GET", address).json()["historyEvents"]
    assert [event["EventType"] for event in events] == ["ExecutionStarted", *["TaskCompleted"] * 3, "ExecutionCompleted"]
    assert [event.get("FunctionName") for event in events] == ["chain", "double", "double", "echo", None]
    assert [event.get("Result") for event in events[1:]] == [2, 4, {"value": 4}, {"value": 4}]
    assert events[1]["ScheduledTime"] <= events[1]["Timestamp"]
    assert "EventId" not in events[1]


def test_restart_runs_the_same_input_again(world: World) -> None:
    world.finish(world.start("chain", 3, instance="first"))
    answer = world.client("restart", instance_id="first", restart_with_new_instance_id=True)
    assert world.finish(answer["id"])["output"] == {"value": 12}
    world.client("restart", instance_id="first", restart_with_new_instance_id=False)
    world.settle()
    assert world.notes("double 3") == ["double 3"] * 3
    with pytest.raises(RuntimeError, match="400"):
        world.client("restart", instance_id="nobody")


def test_rewind_tries_again_what_failed_down_to_the_child(world: World) -> None:
    instance = world.start("rewindable_parent", instance="r")
    assert world.finish(instance)["runtimeStatus"] == "Failed"
    assert world.status("r-child")["runtimeStatus"] == "Failed"
    world.client("rewind", instance_id=instance, reason="repaired")
    status = world.finish(instance)
    assert (status["runtimeStatus"], status["output"]) == ("Completed", {"child": [2, "ok after 2"]})
    assert world.notes("double") == ["double 1"]  # what had succeeded was not done again
    with pytest.raises(RuntimeError):
        world.client("rewind", instance_id=instance, reason="again")


def test_entities_are_signalled_read_and_deleted(world: World) -> None:
    key = ["Counter", "c"]
    assert world.client("read_entity_state", entity=key) == {"exists": False, "state": None}
    for _ in range(3):
        world.client("signal_entity", entity=key, operation_name="add", operation_input=2)
    world.client("signal_entity", entity=key, operation_name="explode")
    world.settle()
    assert world.client("read_entity_state", entity=key) == {"exists": True, "state": 6}
    listed = world.host.request("GET", "/runtime/webhooks/durabletask/entities/counter?fetchState=true").json()
    assert [(entry["entityId"], entry["state"]) for entry in listed] == [({"name": "counter", "key": "c"}, 6)]
    assert [status["instanceId"] for status in world.client("get_status_all")] == ["@counter@c"]
    world.client("signal_entity", entity=key, operation_name="delete")
    world.settle()
    assert world.client("read_entity_state", entity=key)["exists"] is False
    with pytest.raises(RuntimeError):
        world.client("signal_entity", entity=["Nothing", "c"], operation_name="add", operation_input=2)


def test_a_public_start_and_event_carry_objects(world: World) -> None:
    base = "/runtime/webhooks/durabletask"
    started = world.host.request("POST", f"{base}/orchestrators/wait_or_time_out/web", json=90)
    assert started.status_code == 202
    assert set(started.json()) >= {"id", "statusQueryGetUri", "sendEventPostUri", "terminatePostUri", "purgeHistoryDeleteUri"}
    world.settle()
    # An input that is no JSON text breaks get_input(), as it does on the real host.
    assert world.status("web")["runtimeStatus"] == "Failed"
    world.start("wait_or_time_out", 90, instance="web2")
    world.settle()
    answer = world.host.request("POST", f"{base}/instances/web2/raiseEvent/go", json={"v": 1})
    assert answer.status_code == 202
    world.settle()
    assert world.status("web2")["output"] == {"event": {"v": 1}}
    status = world.host.request("GET", f"{base}/instances/web2")
    assert (status.status_code, status.json()["createdTime"]) == (200, "2026-01-01T00:00:00Z")
    bad = world.host.request("POST", f"{base}/instances/web2/raiseEvent/go", data="{", headers={"Content-Type": "application/json"})
    assert bad.status_code in (400, 410)


def test_start_and_wait_answers_with_the_output_or_the_links(world: World) -> None:
    base = "/runtime/webhooks/durabletask/orchestrators"
    body = {"data": json.dumps("3"), "headers": {"Content-Type": "application/json"}}
    with ThreadPoolExecutor() as pool:
        short = pool.submit(world.host.request, "POST", f"{base}/wait_or_time_out/short?timeout=10&pollingInterval=1", **body)
        body["data"] = json.dumps("300")
        long = pool.submit(world.host.request, "POST", f"{base}/wait_or_time_out/long?timeout=10&pollingInterval=1", **body)
        world.host.wait_until(lambda: all(world.status(name).get("runtimeStatus") == "Running" for name in ("short", "long")))
        world.time.advance(20)
        done, late = short.result(30), long.result(30)
    assert (done.status_code, done.json()) == (200, "timeout")
    assert (late.status_code, late.json()["id"]) == (202, "long")
    assert world.host.request("POST", f"{base}/chain?timeout=1&pollingInterval=5").status_code == 400


def test_a_running_instance_answers_202_and_its_links_work(world: World) -> None:
    answer = world.host.request("POST", "/api/start/wait_or_time_out", data="60")
    links = answer.json()
    assert links["statusQueryGetUri"].startswith(world.host.url)
    world.settle()
    path = links["statusQueryGetUri"].removeprefix(world.host.url)
    status = world.host.request("GET", path)
    assert status.status_code == 202
    assert status.headers["Retry-After"] == "5"
    assert status.json()["runtimeStatus"] == "Running"
    terminate = links["terminatePostUri"].removeprefix(world.host.url).replace("{text}", "by%20link")
    assert world.host.request("POST", terminate).status_code == 202
    world.settle()
    assert world.host.request("GET", path).json()["output"] == "by link"
