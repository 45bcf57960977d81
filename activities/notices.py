"""Starting to tell people, telling one of them, and writing down how that ended."""

from __future__ import annotations

import azure.durable_functions as df

from orchestrators.instances import start_tellings
from rowpost.app import App
from rowpost.database.notices import may_tell
from rowpost.database.notices import record_told as write_down
from rowpost.log_lines import in_thread
from rowpost.notices.channels import send


def blueprint(app: App) -> df.Blueprint:
    """``start_notice`` takes ``{"relay": name}``; ``send_notice`` what a telling has, ``record_told`` how its try ended."""
    functions = df.Blueprint()

    @functions.function_name("start_notice")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def start_notice(request: dict, client: str) -> bool:  # type: ignore[type-arg]  # the worker refuses parametrised generics
        await start_tellings(client, app, request["relay"])
        return True

    @functions.function_name("send_notice")
    @functions.activity_trigger(input_name="request")
    def send_notice(request: dict) -> dict:  # type: ignore[type-arg]
        notice, generation = request["notice"], request["generation"]
        if generation and not may_tell(app.database, notice["id"], request["number"], generation):
            return {"over": True}
        return {"over": False, **send(app.config.notifications, notice, request["recipient"])}

    @functions.function_name("record_told")
    @functions.activity_trigger(input_name="request")
    async def record_told(request: dict) -> bool:  # type: ignore[type-arg]
        await in_thread(write_down, app.database, request)
        return True

    return functions
