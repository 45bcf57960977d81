"""A counter entity: signalled over HTTP, asked by an orchestration, read by the client."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.entity_trigger(context_name="context")
def Tally(context: df.DurableEntityContext) -> None:
    value = context.get_state(lambda: 0)
    if context.operation_name == "add":
        value += context.get_input()
    elif context.operation_name == "clear":
        value = 0
    context.set_result(value)
    context.set_state(value)


@app.route(route="tallies/{key}/{step:int}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def add(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    await client.signal_entity(df.EntityId("Tally", req.route_params["key"]), "add", int(req.route_params["step"]))
    return func.HttpResponse(status_code=202)


@app.route(route="tallies/{key}", methods=["GET"])
@app.durable_client_input(client_name="client")
async def read(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    state = await client.read_entity_state(df.EntityId("Tally", req.route_params["key"]))
    return func.HttpResponse(str(state.entity_state) if state.entity_exists else "none")


@app.route(route="tallies/{key}/limit/{most:int}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def limit(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    job = {"key": req.route_params["key"], "most": int(req.route_params["most"])}
    return client.create_check_status_response(req, await client.start_new("keep_below", client_input=job))


@app.orchestration_trigger(context_name="context")
def keep_below(context: df.DurableOrchestrationContext):
    job = context.get_input()
    tally = df.EntityId("Tally", job["key"])
    value = yield context.call_entity(tally, "get")
    if value > job["most"]:
        context.signal_entity(tally, "clear")
    after = yield context.call_entity(tally, "get")
    return [value, after]
