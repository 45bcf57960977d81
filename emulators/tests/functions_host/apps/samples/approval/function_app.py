"""Human interaction: a request waits for an answer, but no longer than three days."""

from datetime import timedelta

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="leave", methods=["POST"])
@app.durable_client_input(client_name="client")
async def ask(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance = await client.start_new("leave_request", client_input=req.get_json())
    return client.create_check_status_response(req, instance)


@app.route(route="leave/{id}/answer", methods=["POST"])
@app.durable_client_input(client_name="client")
async def answer(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.raise_event(req.route_params["id"], "answer", req.get_json())
    return func.HttpResponse(status_code=204)


@app.orchestration_trigger(context_name="context")
def leave_request(context: df.DurableOrchestrationContext):
    request = context.get_input()
    yield context.call_activity("write_to_manager", request)
    context.set_custom_status("waiting for the manager")
    deadline = context.create_timer(context.current_utc_datetime + timedelta(days=3))
    answered = context.wait_for_external_event("answer")
    first = yield context.task_any([answered, deadline])
    if first == deadline:
        outcome = yield context.call_activity("escalate", request)
        return outcome
    deadline.cancel()
    outcome = yield context.call_activity("book", {**request, "answer": answered.result})
    return outcome


@app.activity_trigger(input_name="request")
def write_to_manager(request: dict) -> None:
    """Nobody is written to: the sample ends here."""


@app.activity_trigger(input_name="request")
def escalate(request: dict) -> str:
    return f"{request['who']}: nobody answered"


@app.activity_trigger(input_name="decision")
def book(decision: dict) -> str:
    return f"{decision['who']}: {decision['answer']}"
