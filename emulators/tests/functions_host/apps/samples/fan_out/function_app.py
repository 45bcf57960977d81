"""Fan-out, fan-in: all parts are worked on at once, and what they give is added up when the last is done."""

import azure.durable_functions as df
import azure.functions as func

app = df.DFApp(http_auth_level=func.AuthLevel.ANONYMOUS)


@app.route(route="count", methods=["POST"])
@app.durable_client_input(client_name="client")
async def count(req: func.HttpRequest, client: df.DurableOrchestrationClient) -> func.HttpResponse:
    instance = await client.start_new("count_words", client_input=req.get_json())
    return client.create_check_status_response(req, instance)


@app.orchestration_trigger(context_name="context")
def count_words(context: df.DurableOrchestrationContext):
    pages = yield context.call_activity("list_pages", context.get_input())
    counts = yield context.task_all([context.call_activity("count_page", page) for page in pages])
    total = yield context.call_activity("add_up", counts)
    return {"pages": len(pages), "words": total}


@app.activity_trigger(input_name="book")
def list_pages(book: dict) -> list:
    return book["text"].split("\f")


@app.activity_trigger(input_name="page")
async def count_page(page: str) -> int:
    return len(page.split())


@app.activity_trigger(input_name="counts")
def add_up(counts: list) -> int:
    return sum(counts)
