"""Starting a notice, and sending it to one recipient."""

from __future__ import annotations

import asyncio

import azure.durable_functions as df

from orchestrators.instances import start_notification
from rowpost.app import App
from rowpost.notices.channels import recipients, send
from rowpost.recovery.survey import mark_noticed


def blueprint(app: App) -> df.Blueprint:
    """``start_notice`` takes a notice; ``send_notice`` takes ``{"notice": …, "recipient": …}``."""
    functions = df.Blueprint()

    @functions.function_name("start_notice")
    @functions.activity_trigger(input_name="notice")
    @functions.durable_client_input(client_name="client")
    async def start_notice(notice: dict, client: str) -> bool:  # type: ignore[type-arg]  # the worker refuses parametrised generics
        people = recipients(app.config.notifications)
        await start_notification(client, notice, people)  # type: ignore[arg-type]
        if notice["kind"] == "dead_letter" and app.config.relay(notice["relay"]) is not None:
            await asyncio.to_thread(mark_noticed, app, notice["relay"], notice["at"])
        return bool(people)

    @functions.function_name("send_notice")
    @functions.activity_trigger(input_name="request")
    def send_notice(request: dict) -> dict:  # type: ignore[type-arg]
        return dict(send(app.config.notifications, request["notice"], request["recipient"]))

    return functions
