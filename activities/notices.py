"""Starting a notice, and sending it to one recipient."""

from __future__ import annotations

import asyncio
import logging

import azure.durable_functions as df

from orchestrators.instances import start_once
from rowpost.app import App
from rowpost.notices import recipients, send, subject
from rowpost.recovery import mark_noticed

_log = logging.getLogger("rowpost.notices")


def blueprint(app: App) -> df.Blueprint:
    """``start_notice`` takes a notice; ``send_notice`` takes ``{"notice": …, "recipient": …}``."""
    functions = df.Blueprint()

    @functions.function_name("start_notice")
    @functions.activity_trigger(input_name="notice")
    @functions.durable_client_input(client_name="client")
    async def start_notice(notice: dict, client: str) -> bool:  # type: ignore[type-arg]  # the worker refuses parametrised generics
        # The id names the incident and the kind: run again after a crash, this finds the instance that it started before.
        # It is an orchestration of its own, so that a mailbox that is throttled for hours never holds recovery up.
        _log.warning("%s", subject(notice))  # type: ignore[arg-type]
        people = recipients(app)
        status = await client.get_status(notice["id"])  # type: ignore[attr-defined]
        if people and (status is None or status.runtime_status is None):
            await start_once(client, "notification", notice["id"], {"notice": notice, "recipients": people})
        if notice["kind"] == "dead_letter":
            await asyncio.to_thread(mark_noticed, app, notice["table"], notice["at"])
        return bool(people)

    @functions.function_name("send_notice")
    @functions.activity_trigger(input_name="request")
    def send_notice(request: dict) -> dict:  # type: ignore[type-arg]
        return dict(send(app, request["notice"], request["recipient"]))

    return functions
