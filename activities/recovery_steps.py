"""The steps of a relay's recovery and of its resync."""

from __future__ import annotations

import asyncio
import logging

import azure.durable_functions as df

from orchestrators.instances import ensure_recovery, start_resync, start_tellings, wake_relays_of
from rowpost.app import App
from rowpost.operations.resync import resync_step
from rowpost.recovery.redeliver import REDELIVER_AT_MOST, redeliver
from rowpost.recovery.survey import survey

_log = logging.getLogger("rowpost.resync")
_PAUSE_SECONDS = 60  # after a redelivery in which nothing succeeded, unless rows are due before


def blueprint(app: App) -> df.Blueprint:
    """``survey_relay`` and ``redeliver_relay`` take ``{"relay": name}``, ``resync_step`` also ``resync``, its id, and ``start``."""
    functions = df.Blueprint()

    @functions.function_name("survey_relay")
    @functions.activity_trigger(input_name="request")
    def survey_relay(request: dict) -> dict:  # type: ignore[type-arg]  # the worker refuses parametrised generics
        return survey(app, request["relay"])

    @functions.function_name("redeliver_relay")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def redeliver_relay(request: dict, client: str) -> dict:  # type: ignore[type-arg]
        outcome = await asyncio.to_thread(redeliver, app, request["relay"])
        if outcome.closed:
            await wake_relays_of(client, app.config, app.table(request["relay"]).relay.target)
        settled = outcome.delivered + outcome.skipped + outcome.dead
        # Never in a hot loop: rows that were left out are due still.
        pause = 0 if settled else min(_PAUSE_SECONDS, app.config.retry.backoff.delay_seconds(1))
        return {"pause_seconds": pause, "more": settled > 0 and settled + outcome.failed >= REDELIVER_AT_MOST}

    @functions.function_name("resync_step")
    @functions.activity_trigger(input_name="request")
    @functions.durable_client_input(client_name="client")
    async def make_step(request: dict, client: str) -> dict:  # type: ignore[type-arg]
        name = request["relay"]
        step = await asyncio.to_thread(resync_step, app, name, request["resync"], request["start"])
        relay = app.config.relay(name)
        if relay is not None:
            try:
                if step.queued:
                    await ensure_recovery(client, relay)
                if step.told:
                    await start_tellings(client, app, name)
                if step.over:
                    await start_resync(client, app, relay)  # the one that waits for the end of this one
            except Exception:  # what the step did is written down, and the watchdog comes by
                _log.exception("%s: what follows from a step of a resync could not be started", name)
        return {"over": step.over, "pause_seconds": step.pause_seconds}

    return functions
