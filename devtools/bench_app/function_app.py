"""What `python -m devtools.bench` times on the Functions host: generations, and a chain of activities that tell when they ran."""

import time

import azure.durable_functions as df

app = df.DFApp()


@app.orchestration_trigger(context_name="context")
def generations(context: df.DurableOrchestrationContext):
    """One step each; the seconds of all of them. The clock is read here on purpose: a generation is never replayed."""
    job = context.get_input()
    if "began" not in job:
        job["began"] = time.perf_counter()
    if job["left"] == 0:
        return time.perf_counter() - job["began"]
    context.continue_as_new({**job, "left": job["left"] - 1})
    return None


@app.orchestration_trigger(context_name="context")
def chain(context: df.DurableOrchestrationContext):
    """The instants at which the activities ran, in seconds."""
    instants = []
    for _ in range(context.get_input()["activities"]):
        instants.append((yield context.call_activity("instant", None)))
    return instants


@app.activity_trigger(input_name="nothing")
def instant(nothing: None) -> float:
    return time.perf_counter()
