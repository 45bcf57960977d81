"""Monitor: looks at something every half hour, tells when it has cleared up, and gives up after six hours."""

import json
import os
from datetime import datetime, timedelta
from pathlib import Path

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="watch/{place}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def watch(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance = await client.start_new("wait_for_sun", client_input={"place": req.route_params["place"]})
    return client.create_check_status_response(req, instance)


@app.orchestration_trigger(context_name="context")
def wait_for_sun(context: df.DurableOrchestrationContext):
    """Each look is a generation of its own, so that the history stays short however long it takes."""
    job = context.get_input()
    now = context.current_utc_datetime
    until = datetime.fromisoformat(job["until"]) if "until" in job else now + timedelta(hours=6)
    looks = job.get("looks", 0) + 1
    sky = yield context.call_activity("look", job["place"])
    if sky == "clear":
        yield context.call_activity("tell", job["place"])
        return {"sky": sky, "looks": looks}
    if now + timedelta(minutes=30) > until:
        return {"sky": sky, "looks": looks}
    yield context.create_timer(now + timedelta(minutes=30))
    context.continue_as_new({**job, "until": until.isoformat(), "looks": looks})


@app.activity_trigger(input_name="place")
def look(place: str) -> str:
    return json.loads(Path(os.environ["SKIES"]).read_text())[place]


@app.activity_trigger(input_name="place")
def tell(place: str) -> None:
    with open(os.environ["TOLD"], "a") as file:
        file.write(place + "\n")
