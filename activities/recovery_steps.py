"""The steps of a relay's recovery and of its resync."""

from __future__ import annotations

import asyncio

import azure.durable_functions as df

from orchestrators.instances import ensure_recovery, wake_relays_of
from orchestrators.lives import doubt, verify_first
from rowpost.app import App
from rowpost.operations.resync import resync_page
from rowpost.recovery.redeliver import REDELIVER_AT_MOST, redeliver
from rowpost.recovery.survey import survey

_PAUSE_SECONDS = 60  # after a redelivery in which nothing succeeded, unless rows are due before


def blueprint(app: App) -> df.Blueprint:
    """``survey_relay`` and ``redeliver_relay`` take ``{"relay": name}``, ``resync_page`` also what the page before said."""
    functions = df.Blueprint()

    @functions.function_name("survey_relay")
    @functions.activity_trigger(input_name="request")
    def survey_relay(request: dict) -> dict:  # type: ignore[type-arg]  # the worker refuses parametrised generics
        return survey(app, request["relay"])

    @functions.function_name("redeliver_relay")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def redeliver_relay(request: dict, client: str) -> dict:  # type: ignore[type-arg]
        await verify_first(client, app)
        outcome = await asyncio.to_thread(redeliver, app, request["relay"])
        if outcome.doubted:
            await doubt(client, app)
        if outcome.closed:
            await wake_relays_of(client, app.config, app.table(request["relay"]).relay.target)
        settled = outcome.delivered + outcome.skipped + outcome.dead
        # Never in a hot loop: rows that were left out are due still.
        pause = 0 if settled else min(_PAUSE_SECONDS, app.config.retry.backoff.delay_seconds(1))
        return {"pause_seconds": pause, "more": settled > 0 and settled + outcome.failed >= REDELIVER_AT_MOST}

    @functions.function_name("resync_page")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def take_page(request: dict, client: str) -> dict:  # type: ignore[type-arg]
        page = await asyncio.to_thread(resync_page, app, request["relay"], request["after"], request["since"])
        relay = app.config.relay(request["relay"])
        if page["rows"] and relay is not None:
            await ensure_recovery(client, relay)
        return page

    return functions
