"""An app with every kind of function that the host runs without a database."""

import json
import logging
import os
import time
from datetime import timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


def _note(line: str) -> None:
    """Append a line to the file that the tests read: what really ran, in order."""
    with open(Path(os.environ["NOTES"]), "a") as notes:
        notes.write(line + "\n")


# HTTP


@app.route(route="hello/{name:alpha}/{times:int?}", methods=["GET", "POST"])
def hello(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
    body = req.get_body()
    answer = {
        "route": dict(req.route_params),
        "query": dict(req.params),
        "method": req.method,
        "header": req.headers.get("x-test"),
        "length": len(body),
        "function": context.function_name,
        "setting": os.environ.get("GREETING"),
    }
    response = func.HttpResponse(json.dumps(answer), status_code=201, mimetype="application/json", headers={"X-Reply": "yes"})
    response.headers.add("Set-Cookie", "a=1; Path=/")
    response.headers.add("Set-Cookie", "b=2")
    return response


@app.route()
async def plain(req: func.HttpRequest) -> str:
    return "plain text"


@app.route(methods=["GET"])
def boom(req: func.HttpRequest) -> func.HttpResponse:
    raise RuntimeError("boom in a function")


@app.route(methods=["GET"])
def none(req: func.HttpRequest) -> func.HttpResponse:
    return None


@app.route(route="locked", auth_level=func.AuthLevel.FUNCTION)
def locked(req: func.HttpRequest) -> str:
    return "open"


@app.route(route="start/{name}/{id?}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def start(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    body = req.get_body()
    data = json.loads(body) if body else None
    instance = await client.start_new(req.route_params["name"], req.route_params.get("id"), data)
    return client.create_check_status_response(req, instance)


@app.route(route="client/{call}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def client_call(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    """Call any method of the SDK's client: the body holds its arguments."""
    arguments = req.get_json()
    if "entity" in arguments:
        arguments["entityId"] = df.EntityId(*arguments.pop("entity"))
    try:
        result = await getattr(client, req.route_params["call"])(**arguments)
    except Exception as problem:
        return func.HttpResponse(json.dumps({"raised": str(problem)}), mimetype="application/json")
    if isinstance(result, list):
        result = [item.to_json() for item in result]
    elif hasattr(result, "to_json"):
        result = result.to_json() if result else {}
    elif hasattr(result, "entity_exists"):
        result = {"exists": result.entity_exists, "state": result.entity_state}
    elif hasattr(result, "instances_deleted"):
        result = result.instances_deleted
    return func.HttpResponse(json.dumps({"returned": result}, default=str), mimetype="application/json")


# Timers


@app.timer_trigger(arg_name="timer", schedule="%EveryFiveMinutes%")
def five_minutes(timer: func.TimerRequest) -> None:
    _note(f"five_minutes past_due={timer.past_due}")


@app.timer_trigger(arg_name="timer", schedule="0 0 3 * * Sun", run_on_startup=True, use_monitor=False)
async def weekly(timer: func.TimerRequest) -> None:
    _note("weekly")


@app.timer_trigger(arg_name="timer", schedule="01:30:00", use_monitor=False)
@app.retry(strategy="fixed_delay", max_retry_count="2", delay_interval="00:00:10")
def failing(timer: func.TimerRequest, context: func.Context) -> None:
    retry = context.retry_context
    _note(f"failing retry={retry.retry_count if retry else 0}")
    raise ValueError("always")


# Activities


@app.activity_trigger(input_name="value")
def double(value: int) -> int:
    _note(f"double {value}")
    return value * 2


@app.activity_trigger(input_name="value")
async def echo(value: dict) -> dict:
    return value


@app.activity_trigger(input_name="value")
def slow(value: str) -> str:
    """Takes as long, in real seconds, as the file it waits for stays away."""
    _note(f"slow {value}")
    while not Path(os.environ["NOTES"] + ".go").exists():
        time.sleep(0.01)
    return value


@app.activity_trigger(input_name="value")
def fail(value: str) -> None:
    _note("fail")
    raise ValueError(f"no {value}")


@app.activity_trigger(input_name="value")
def flaky(value: dict) -> str:
    """Fails as often as it is told to, counted in a file."""
    counter = Path(f"{os.environ['NOTES']}.{value['name']}")
    count = int(counter.read_text()) + 1 if counter.exists() else 1
    counter.write_text(str(count))
    _note(f"flaky {value['name']} {count}")
    if count <= value["failures"]:
        raise OSError(f"failure {count}")
    return f"ok after {count}"


@app.activity_trigger(input_name="value")
def unencodable(value: str) -> set:
    return {value}


# Orchestrations


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    value = yield context.call_activity("double", context.get_input() or 1)
    value = yield context.call_activity("double", value)
    context.set_custom_status({"at": value})
    result = yield context.call_activity("echo", {"value": value})
    return result


@app.orchestration_trigger(context_name="context")
def fan_out(context: df.DurableOrchestrationContext):
    results = yield context.task_all([context.call_activity("double", i) for i in range(context.get_input())])
    return sum(results)


@app.orchestration_trigger(context_name="context")
def catch_failure(context: df.DurableOrchestrationContext):
    try:
        yield context.call_activity("fail", "luck")
    except Exception as problem:
        return str(problem).split(" \n ")[0]


@app.orchestration_trigger(context_name="context")
def fails(context: df.DurableOrchestrationContext):
    yield context.call_activity("fail", "luck")


@app.orchestration_trigger(context_name="context")
def retries(context: df.DurableOrchestrationContext):
    options = df.RetryOptions(5000, 3)
    started = context.current_utc_datetime
    try:
        result = yield context.call_activity_with_retry("flaky", options, context.get_input())
    except Exception as problem:
        result = str(problem).split(" \n ")[0]
    after = yield context.call_activity("double", 21)
    return {"result": result, "seconds": (context.current_utc_datetime - started).total_seconds(), "after": after}


@app.orchestration_trigger(context_name="context")
def wait_or_time_out(context: df.DurableOrchestrationContext):
    deadline = context.create_timer(context.current_utc_datetime + timedelta(seconds=context.get_input() or 60))
    go = context.wait_for_external_event("go")
    winner = yield context.task_any([deadline, go])
    if winner == go:
        deadline.cancel()
        value = yield context.call_activity("echo", {"event": go.result})
        return value
    return "timeout"


@app.orchestration_trigger(context_name="context")
def collect(context: df.DurableOrchestrationContext):
    yield context.call_activity("double", 1)
    first = yield context.wait_for_external_event("item")
    second = yield context.wait_for_external_event("item")
    return [first, second]


@app.orchestration_trigger(context_name="context")
def eternal(context: df.DurableOrchestrationContext):
    state = context.get_input() or {"round": 0, "got": []}
    deadline = context.create_timer(context.current_utc_datetime + timedelta(hours=1))
    event = context.wait_for_external_event("add")
    winner = yield context.task_any([deadline, event])
    if winner == event:
        deadline.cancel()
        state["got"].append(event.result)
    state["round"] += 1
    if state["round"] == 5:
        return state
    context.set_custom_status({"round": state["round"]})
    context.continue_as_new(state)


@app.orchestration_trigger(context_name="context")
def parent(context: df.DurableOrchestrationContext):
    good = yield context.call_sub_orchestrator("chain", 5, f"{context.instance_id}-child")
    try:
        yield context.call_sub_orchestrator("fails")
    except Exception as problem:
        bad = str(problem).split(" \n ")[0]
    return {"good": good, "bad": bad}


@app.orchestration_trigger(context_name="context")
def rewindable(context: df.DurableOrchestrationContext):
    first = yield context.call_activity("double", 1)
    second = yield context.call_activity("flaky", {"name": "rewindable", "failures": 1})
    return [first, second]


@app.orchestration_trigger(context_name="context")
def rewindable_parent(context: df.DurableOrchestrationContext):
    child = yield context.call_sub_orchestrator("rewindable", None, f"{context.instance_id}-child")
    return {"child": child}


@app.orchestration_trigger(context_name="context")
def retry_after_failure(context: df.DurableOrchestrationContext):
    """Goes on after a failed task_all while another member of it still has retries to come."""
    flaky_task = context.call_activity_with_retry("flaky", df.RetryOptions(1000, 5), {"name": "late", "failures": 3})
    try:
        yield context.task_all([flaky_task, context.call_activity("fail", "luck")])
    except Exception:
        yield context.create_timer(context.current_utc_datetime + timedelta(seconds=60))


@app.orchestration_trigger(context_name="context")
def calls_http(context: df.DurableOrchestrationContext):
    answer = yield context.call_http("GET", context.get_input())
    return answer


@app.orchestration_trigger(context_name="context")
def ten_days(context: df.DurableOrchestrationContext):
    yield context.create_timer(context.current_utc_datetime + timedelta(days=10))
    value = yield context.call_activity("double", 4)
    return value


@app.orchestration_trigger(context_name="context")
def counting(context: df.DurableOrchestrationContext):
    entity = df.EntityId("Counter", "k1")
    context.signal_entity(entity, "add", 4)
    value = yield context.call_entity(entity, "add", 3)
    try:
        yield context.call_entity(entity, "boom")
    except Exception as problem:
        return {"value": value, "error": str(problem)}


@app.orchestration_trigger(context_name="context")
def steps(context: df.DurableOrchestrationContext):
    """A hundred activities, one after the other."""
    total = 0
    for number in range(context.get_input()):
        total += yield context.call_activity("double", number)
    return total


@app.orchestration_trigger(context_name="context")
def grand(context: df.DurableOrchestrationContext):
    """A bit of everything, in two generations."""
    state = context.get_input() or {"sum": 0, "generation": 1}
    parts = yield context.task_all([context.call_activity("double", number) for number in (1, 2)])
    flaky_input = {"name": f"g{state['generation']}", "failures": 1}
    yield context.call_activity_with_retry("flaky", df.RetryOptions(1000, 3), flaky_input)
    child = yield context.call_sub_orchestrator("chain", 1)
    entity = df.EntityId("Counter", context.instance_id)
    context.signal_entity(entity, "add", 10)
    counted = yield context.call_entity(entity, "add", 1)
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=1))
    state["sum"] += sum(parts) + child["value"] + counted
    if state["generation"] == 1:
        state["generation"] = 2
        context.continue_as_new(state)
    else:
        return state


@app.orchestration_trigger(context_name="context")
def slow_pair(context: df.DurableOrchestrationContext):
    result = yield context.task_all([context.call_activity("slow", "a"), context.call_activity("slow", "b")])
    last = yield context.call_activity("double", 1)
    return [*result, last]


@app.orchestration_trigger(context_name="context")
def unknown_activity(context: df.DurableOrchestrationContext):
    yield context.call_activity("nowhere", None)


@app.orchestration_trigger(context_name="context")
def bad_result(context: df.DurableOrchestrationContext):
    yield context.call_activity("unencodable", "x")


@app.orchestration_trigger(context_name="context")
def unlabelled(context: df.DurableOrchestrationContext):
    raise KeyError("not a generator")


@app.orchestration_trigger(context_name="context")
def changes_its_mind(context: df.DurableOrchestrationContext):
    """Not deterministic: asks the environment what to do."""
    yield context.create_timer(context.current_utc_datetime + timedelta(seconds=10))
    name = "double" if not Path(os.environ["NOTES"] + ".other").exists() else "echo"
    yield context.call_activity(name, 1)
    yield context.wait_for_external_event("go")


@app.orchestration_trigger(context_name="context")
def leaves_timer(context: df.DurableOrchestrationContext):
    deadline = context.create_timer(context.current_utc_datetime + timedelta(seconds=60))
    first = context.call_activity("double", 2)
    yield context.task_any([deadline, first])
    return "returned"


# Entities


@app.entity_trigger(context_name="context", entity_name="Counter")
def counter(context: df.DurableEntityContext):
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
        context.set_state(value)
        context.set_result(value)
    elif context.operation_name == "get":
        context.set_result(value)
    elif context.operation_name == "delete":
        context.destruct_on_exit()
    else:
        logging.warning("operation %s", context.operation_name)
        raise ValueError("bad operation")
