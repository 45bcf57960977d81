"""Starting to tell people, telling one of them, and writing down how that ended."""

from __future__ import annotations

import azure.durable_functions as df

from orchestrators.instances import start_tellings
from rowpost.app import App
from rowpost.database.notices import record_told as write_down
from rowpost.database.notices import take_turn
from rowpost.log_lines import in_thread
from rowpost.notices.channel import SENT
from rowpost.notices.channels import CHANNELS, send
from rowpost.notices.digest import together


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
        notice, generation, recipient = request["notice"], request["generation"], request["recipient"]
        config = app.config.notifications
        if generation:  # else it could not be written down, and is told as it is
            channel = CHANNELS.get(recipient["channel"])
            collects = channel is not None and channel.collects
            limit = None if collects else (config.throttle.count, config.throttle.seconds)
            turn = take_turn(app.database, notice["id"], request["number"], generation, limit, ordered=collects)
            if turn.over:
                return {"over": True}
            if turn.wait_seconds:
                return {"over": False, "wait": turn.wait_seconds}
            if turn.ended and collects:  # its end was told, or is told next: nobody would end what is begun now
                return {"over": False, **SENT, "error": "not sent: the incident was over"}
            notice = together(turn.documents)
        return {"over": False, **send(config, notice, recipient)}

    @functions.function_name("record_told")
    @functions.activity_trigger(input_name="request")
    async def record_told(request: dict) -> bool:  # type: ignore[type-arg]
        await in_thread(write_down, app.database, request)
        return True

    return functions
