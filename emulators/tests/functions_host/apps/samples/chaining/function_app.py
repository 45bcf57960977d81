"""Function chaining: each activity takes what the one before returned."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="parcels/{weight:int}", methods=["POST"])
@app.durable_client_input(client_name="client")
async def ship(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance = await client.start_new("ship_parcel", client_input={"kilograms": int(req.route_params["weight"])})
    return client.create_check_status_response(req, instance)


@app.orchestration_trigger(context_name="context")
def ship_parcel(context: df.DurableOrchestrationContext):
    try:
        label = yield context.call_activity("weigh", context.get_input())
        priced = yield context.call_activity("price", label)
        receipt = yield context.call_activity("stamp", priced)
    except Exception as problem:
        return {"refused": str(problem).splitlines()[0]}
    return receipt


@app.activity_trigger(input_name="parcel")
def weigh(parcel: dict) -> dict:
    if parcel["kilograms"] > 30:
        raise ValueError("too heavy")
    return {**parcel, "size": "S" if parcel["kilograms"] < 5 else "L"}


@app.activity_trigger(input_name="parcel")
def price(parcel: dict) -> dict:
    return {**parcel, "cents": 450 if parcel["size"] == "S" else 1290}


@app.activity_trigger(input_name="parcel")
def stamp(parcel: dict) -> str:
    return f"{parcel['size']} {parcel['cents'] / 100:.2f}"
