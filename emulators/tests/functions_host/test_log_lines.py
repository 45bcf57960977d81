"""The host keeps a line of an app only if it knows the invocation, as the real one does; of what it drops it says so once."""

from __future__ import annotations

import json
from pathlib import Path

from emulators.launch import FunctionsHost

APP = """
import asyncio, logging, threading
import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS)
log = logging.getLogger("mine")
log.warning("said at import")

def say(text):
    logging.getLogger("mine." + text.replace(" ", "_")).warning("said %s", text)

@app.route(route="a")
async def a(req: func.HttpRequest) -> str:
    say("in an async function")
    await asyncio.gather(*[asyncio.create_task(nested())])
    await asyncio.to_thread(say, "in to_thread")
    await asyncio.get_running_loop().run_in_executor(None, say, "in an executor")
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    loop.call_soon(lambda: (say("in a callback"), done.set()))
    await done.wait()
    return ""

@app.route(route="c")
def quiet(req: func.HttpRequest, context) -> str:
    say("too softly")
    logging.getLogger("mine.loud").error("said loudly")
    logging.getLogger("mine.fine").debug("said under the breath")

    def known():
        context.thread_local_storage.invocation_id = context.invocation_id
        logging.getLogger("mine.told").error("said in a thread that knows its invocation")

    thread = threading.Thread(target=known)
    thread.start()
    thread.join()
    return ""

async def nested():
    say("in a task of it")

@app.route(route="b")
def b(req: func.HttpRequest) -> str:
    say("in a function")
    thread = threading.Thread(target=say, args=("in a thread of its own",))
    thread.start()
    thread.join()
    return ""
"""


def test_lines_without_an_invocation_are_dropped(tmp_path: Path) -> None:
    app = tmp_path / "app"
    app.mkdir()
    (app / "function_app.py").write_text(APP)
    levels = {"default": "Debug", "Function.quiet": "Error", "Azure": "None"}
    (app / "host.json").write_text(json.dumps({"version": "2.0", "logging": {"logLevel": levels}}))
    with FunctionsHost(app, tmp_path, "real", {"FUNCTIONS_WORKER_RUNTIME": "python"}) as host:
        for _ in range(2):
            for route in "abc":
                host.request("GET", f"/api/{route}").raise_for_status()
        text = host.log_file.read_text()
    said = {line.partition("said ")[2] for line in text.splitlines() if "said " in line}
    kept = {"in an async function", "in a task of it", "in a function"}
    assert said == kept | {"loudly", "in a thread that knows its invocation"}
    assert "[quiet] Executing" not in text and "[a] Executing" in text
    dropped = [line for line in text.splitlines() if "is dropped, as the real host drops it" in line]
    assert len(dropped) == 5 and sum("of the logger mine " in line for line in dropped) == 1
